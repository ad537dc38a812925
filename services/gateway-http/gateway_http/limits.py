"""How much a key may ask for: requests a minute, tasks and credits a day.

Everything is counted before it is done and given back when it is refused, so that a
gateway which dies in between costs its caller one, and never gives one away. Without
NATS nothing can be counted and nothing is let through; nothing could be done either.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.bus import Bus
from contracts.counting import CREDITS, REQUESTS, TASKS, Period, add
from contracts.keys import OWNER, Key
from contracts.requests import RequestRefusedError
from gateway_http.access import Caller
from gateway_http.problems import Problem, unavailable
from gateway_http.voices import refusal

Clock = Callable[[], datetime]
TOLD = {
    REQUESTS: ("rate_limited", "make {} requests a minute"),
    TASKS: ("quota_exceeded", "make {} tasks a day (UTC)"),
    CREDITS: ("budget_exceeded", "spend {} credits a day (UTC), as estimated"),
}
log = logging.getLogger("http")


@dataclass(frozen=True)
class Window:
    """How much of a limit is used."""

    period: Period
    limit: int
    used: int
    left_seconds: int

    @property
    def remaining(self) -> int:
        """How much may still be asked for before it is as new."""
        return max(0, self.limit - self.used)


class Allowance:
    """What one request may take from its key's limits."""

    def __init__(self, bus: Bus, key: Key | None, request_id: str, now: Clock) -> None:
        self._bus = bus
        self._key = key
        self._request = request_id
        self._now = now
        self.windows: list[Window] = []
        self._taken: list[tuple[str, int]] = []
        self._counted = False

    def one_of_many(self, name: str) -> "Allowance":
        """Return what one of several tasks of this request may take."""
        return Allowance(self._bus, self._key, f"{self._request}:{name}", self._now)

    async def request(self) -> None:
        """Count the request itself. Raises Problem where it is one too many."""
        if self._key and self._key.rate_limit:
            limit = self._key.rate_limit
            await self._take(REQUESTS, limit, self._key.id, self._now())

    @asynccontextmanager
    async def task(self, *, later: bool = False) -> AsyncIterator[None]:
        """Count a task; given back at the end, unless it is to be kept.

        `later`: it is counted by `new_task` alone. Raises Problem where it is one too
        many.
        """
        try:
            if not later:
                await self.new_task()
            yield
        finally:
            await self._give_back()

    async def new_task(self) -> None:
        """Count a task, inside of `task`, once. Raises Problem."""
        if self._key and not self._counted:
            self._counted = True
            limit = self._key.daily_quota
            await self._take(TASKS, limit, self._key.id, self._now())

    def keep(self) -> None:
        """Give nothing back: what was counted is accepted, or may be."""
        self._taken.clear()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Keep what was taken unless a question is refused: no answer is no refusal."""
        try:
            yield
        except RequestRefusedError:
            raise
        except BaseException:
            self.keep()
            raise
        self.keep()

    async def credits(self, amount: int, owner: str | None, moment: datetime) -> None:
        """Count what a task is expected to cost its owner, inside of `task`.

        Raises Problem where it is more than is left; others pay for an owner as they
        like.
        """
        key = (owner or "").removeprefix(OWNER)
        if key == owner or not key:
            return
        mine = self._key is not None and self._key.id == key
        limit = self._key.daily_credits if self._key and mine else 0
        await self._take(CREDITS, limit, key, moment, amount)

    async def _take(
        self, period: Period, limit: int, key: str, moment: datetime, amount: int = 1
    ) -> None:
        """Count something, or raise a Problem."""
        subject = period.subject(key, moment)
        once = f"{self._request}:{period.name}"
        try:
            used = await add(self._js, subject, amount, once)
        except (NatsError, TimeoutError):
            raise unavailable("NATS does not answer: nothing can be counted") from None
        if period is not REQUESTS:  # of those the refused count too
            self._taken.append((subject, amount))
        if not limit:
            return
        self.windows.append(Window(period, limit, used, period.left_seconds(moment)))
        if used > limit:
            raise _too_many(self.windows[-1])

    async def _give_back(self) -> None:
        taken, self._taken = self._taken, []
        for subject, amount in taken:
            once = f"{self._request}:back:{subject}"
            try:
                await add(self._js, subject, -amount, once)
            except (NatsError, TimeoutError, Problem) as error:
                log.warning("what was not made stays counted: %r", error)

    @property
    def _js(self) -> JetStreamContext:
        if not self._bus.connected:
            raise unavailable("NATS is away: nothing can be counted")
        return self._bus.jetstream


class Limited:
    """Counts requests, and tells in each answer how much is left."""

    def __init__(self, app: ASGIApp, bus: Bus, now: Clock) -> None:
        self._app = app
        self._bus = bus
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        caller: Caller = scope["caller"]
        allowed = Allowance(self._bus, caller.key, scope["request_id"], self._now)
        scope["allowance"] = allowed

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start" and allowed.windows:
                headers = MutableHeaders(raw=message["headers"])
                headers.update(_headers(allowed.windows))
                message["headers"] = headers.raw
            await send(message)

        try:
            await allowed.request()
        except Problem as problem:
            response = refusal(problem, scope)
            await response(scope, receive, send_with_limits)
            return
        await self._app(scope, receive, send_with_limits)


def allowance_of(request: Request) -> Allowance:
    """Return what a request may take."""
    allowance: Allowance = request.scope["allowance"]
    return allowance


def _too_many(window: Window) -> Problem:
    kind, words = TOLD[window.period]
    text = f"this key may {words.format(window.limit)}: try again later"
    return Problem(
        429,
        kind,
        f"{text}, in {window.left_seconds} s",
        headers={"Retry-After": str(window.left_seconds)},
        limit=window.limit,
        retry_after=window.left_seconds,
        violated_policies=[window.period.name],
    )


def _headers(windows: list[Window]) -> dict[str, str]:
    """Tell what is left: by the IETF's draft, and in the words that came before it."""
    policies = (f'"{w.period.name}";q={w.limit};w={w.period.seconds}' for w in windows)
    states = (f'"{w.period.name}";r={w.remaining};t={w.left_seconds}' for w in windows)
    told = {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
    counts = [window for window in windows if window.period is not CREDITS]
    least = min(counts, key=lambda window: window.remaining, default=None)
    for name, value in (
        (
            ("limit", least.limit),
            ("remaining", least.remaining),
            ("reset", least.left_seconds),
        )
        if least
        else ()
    ):
        told[f"x-ratelimit-{name}"] = str(value)
        unit = "s" if name == "reset" else ""
        told[f"x-ratelimit-{name}-requests"] = f"{value}{unit}"
    return told
