"""`/api/v1/me` and `/api/v1/usage`: what was used, and what is left."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from nats.errors import Error as NatsError
from pydantic import BaseModel, BeforeValidator, Field

from contracts.counting import CREDITS, TASKS, read
from contracts.keys import OWNER, Key
from contracts.message import now
from contracts.usage import ReadUsage, Used
from gateway_http.access import ADMIN, Caller, Known, Scope, needs
from gateway_http.key_forms import KeyView, key_view
from gateway_http.moments import day
from gateway_http.parts import Parts
from gateway_http.problems import invalid_field, unavailable

MOST_DAYS = 366
SHOWN_DAYS = 30
ANY = -1


class Today(BaseModel):
    """What a key used today (UTC), and what is left; -1: as much as it likes."""

    task_count: int
    quota_remaining: int
    credits: int = Field(description="As estimated until the charges are known.")
    credits_remaining: int


class Me(BaseModel):
    """Who asks, and what they may."""

    name: str
    scopes: list[Scope]
    key: KeyView | None = None
    today: Today | None = None


class Counts(BaseModel):
    """What was used."""

    task_count: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    credits: int = Field(0, description="As estimated for what was bought.")


class UsedView(Counts):
    """What an owner used on a day."""

    date: date
    owner: str | None
    api_key_id: str | None
    api_key_name: str | None


class UsageView(BaseModel):
    """What was used, the latest day first."""

    usage: list[UsedView]
    total: Counts


class OwnerSum(Counts):
    """What an owner used on all of the days."""

    owner: str | None
    api_key_id: str | None
    api_key_name: str | None


class Summary(BaseModel):
    """What each owner used, who used most first."""

    summary: list[OwnerSum]


Day = Annotated[date, BeforeValidator(day)]
From = Annotated[
    Day | None,
    Query(alias="from", description="First day (UTC); 30 days are told otherwise."),
]
To = Annotated[Day | None, Query(description="Last day (UTC); else today.")]
KeyOf = Annotated[
    str | None, Query(max_length=64, description="Of this key alone, by its id.")
]


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1", tags=["usage"])

    @routes.get("/me")
    async def me(caller: Known) -> Me:
        """Tell who asks, what they may, and what is left of today."""
        return await _me(parts, caller)

    @routes.get("/usage", dependencies=[needs(ADMIN)])
    async def usage(
        first: From = None, to: To = None, key_id: KeyOf = None
    ) -> UsageView:
        """Tell what was used on which day, also by keys that were deleted since."""
        found = await _used(parts, first, to, key_id)
        return UsageView(usage=[_view(each) for each in found], total=_sum(found))

    @routes.get("/usage/summary", dependencies=[needs(ADMIN)])
    async def summary(
        first: From = None, to: To = None, key_id: KeyOf = None
    ) -> Summary:
        """Tell what each owner used on all of the days together."""
        return Summary(summary=_by_owner(await _used(parts, first, to, key_id)))

    return routes


async def _me(parts: Parts, caller: Caller) -> Me:
    told = Me(name=caller.name, scopes=sorted(caller.scopes))
    if caller.key is None:
        return told
    today = await _today(parts, caller.key)
    return told.model_copy(update={"key": key_view(caller.key), "today": today})


async def _today(parts: Parts, key: Key) -> Today:
    js, moment = parts.bus.jetstream, now()
    try:
        tasks = await read(js, TASKS, key.id, moment)
        spent = await read(js, CREDITS, key.id, moment)
    except (NatsError, TimeoutError):
        raise unavailable("NATS does not answer: nothing is known of today") from None
    return Today(
        task_count=tasks,
        quota_remaining=_left(key.daily_quota, tasks),
        credits=max(0, spent),
        credits_remaining=_left(key.daily_credits, spent),
    )


def _left(limit: int, used: int) -> int:
    return max(0, limit - max(0, used)) if limit else ANY


async def _used(
    parts: Parts, first: date | None, last: date | None, key: str | None
) -> tuple[Used, ...]:
    last = last or now().date()
    first = first or date.fromordinal(max(1, last.toordinal() - SHOWN_DAYS + 1))
    if not 0 <= (last - first).days < MOST_DAYS:
        raise invalid_field("from", f"is 0 to {MOST_DAYS - 1} days before `to`")
    owner = OWNER + key if key else None
    found = await parts.bus.ask(ReadUsage(first=first, last=last, owner=owner))
    return found.used


def _view(used: Used) -> UsedView:
    return UsedView(
        **_sum([used]).model_dump(),
        date=used.day,
        owner=used.owner,
        api_key_id=used.key,
        api_key_name=used.name,
    )


def _sum(found: Iterable[Used]) -> Counts:
    total = Counts()
    for each in found:
        total.task_count += each.tasks
        total.succeeded += each.succeeded
        total.failed += each.failed
        total.cancelled += each.cancelled
        total.credits += each.credits
    return total


def _by_owner(found: Iterable[Used]) -> list[OwnerSum]:
    grouped: dict[tuple[str | None, ...], list[Used]] = {}
    for each in found:
        grouped.setdefault((each.owner, each.key, each.name), []).append(each)
    sums = [
        OwnerSum(
            **_sum(used).model_dump(),
            owner=owner,
            api_key_id=key,
            api_key_name=name,
        )
        for (owner, key, name), used in grouped.items()
    ]
    return sorted(sums, key=lambda each: -each.task_count)
