"""Requests that are sent again: what was accepted once is not made a second time.

The first one of a key claims it in `KV idem`, by creating an entry with its task's id
and what its body comes to. Whoever finds an entry publishes that very task again, which
changes nothing, and gives the same answer. Needs NATS only.
"""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256

from fastapi import Request
from nats.js.errors import APIError, NotFoundError

from boundary import boundary
from contracts.bus import Bus
from contracts.message import Value
from contracts.values import FileRef
from gateway_http.accept import NotAcceptedError, insist
from gateway_http.access import ARRIVED, COUNT_HEADER, KEY_HEADER, Caller
from gateway_http.intake import Shelf
from gateway_http.prefer import LONGEST_SECONDS
from gateway_http.problems import Problem, unavailable
from gateway_http.wish import FILES, Retry, Wish

REPLAYED = {"Idempotency-Replayed": "true"}
STREAM = "KV_idem"
KEPT_SECONDS = 86_400
# Without a key. Client libraries give up after ten minutes, or with us after the
# longest wait, and try twice more: what they began must still be known at the last try.
MATCHED_SECONDS = 4 * LONGEST_SECONDS
NO_KEY = (
    "Idempotency-Key must be 1 to 255 visible ASCII characters, given once, bare or "
    "in double quotes"
)
_WRONG_LAST_SEQUENCE = 10071
_BARE = re.compile(r"(?!\")[!-~]{1,255}")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"')
_COUNT = re.compile(r"[0-9]{1,4}")


class Claim(Value):
    """Whose a key is: the first task's, with when it was asked for and by what.

    `again`: by what said itself that it was sent again.
    """

    task: str
    body: str
    at: datetime
    again: bool = False


@dataclass(frozen=True)
class Mark:
    """How a request is known again. `fresh`: it says itself that it is the first.

    `since` is when it began to arrive.
    """

    name: str
    kept_seconds: int
    fresh: bool = False
    since: datetime | None = None

    @property
    def subject(self) -> str:
        """Where its claim lies."""
        return f"$KV.idem.{self.name}"


def fingerprint(wish: Wish, files: Sequence[FileRef]) -> str:
    """Return what a body comes to, whatever form it came in."""
    fields = wish.model_dump(mode="json", exclude=set(FILES))
    if secret := wish.webhook_secret:
        fields["webhook_secret"] = secret.get_secret_value()
    # In a retry, to say what the old task had already means something else.
    named = sorted(wish.named) if isinstance(wish, Retry) else []
    kept = [file.model_dump(mode="json", exclude={"key"}) for file in files]
    # Under another task's id only what came in the same order has the same name.
    names = [file.key.partition("/")[2] for file in files]
    return _hash(fields, named, kept, names)


def mark_of(request: Request, caller: Caller, body: str) -> Mark | None:
    """Return how a request is known again; None: it is one of its own.

    Without a key, only what says that it is a retry is matched, by its body: four
    equal requests may mean four variants. Raises Problem for a malformed key.
    """
    whose = caller.owner, request.url.path
    if (key := _key(request)) is not None:
        return Mark(_hash("key", *whose, key), KEPT_SECONDS)
    count = request.headers.get(COUNT_HEADER, "")
    if not _COUNT.fullmatch(count):
        return None
    return Mark(
        _hash("body", *whose, body),
        MATCHED_SECONDS,
        fresh=int(count) == 0,
        since=request.scope.get(ARRIVED),
    )


async def claimed(
    bus: Bus,
    mark: Mark | None,
    mine: Claim,
    lent: Shelf,
    *,
    ready: Callable[[], Awaitable[None]],
    seconds: float,
) -> Claim:
    """Return the claim that holds, mine or an earlier one. Raises Problem.

    `ready` is asked before anything new begins. Files of a claim stay, whatever
    becomes of the request: who sends it again publishes a task that names them.
    """
    if mark is None:
        await ready()
        return mine
    try:
        holds = (
            None if mark.fresh else await insist(partial(_earlier, bus, mark), seconds)
        )
        if holds is None:
            holds = await _overtaken(bus, mark, ready, seconds)
        if holds is None:
            lent.keep = True
            holds = await insist(partial(_take, bus, mark, mine), seconds)
    except NotAcceptedError as error:
        lent.keep = not error.certain
        text = f"NATS does not answer for the {KEY_HEADER}: nothing was accepted"
        raise unavailable(text, "not_accepted", task_id=mine.task) from None
    lent.keep = holds.task == mine.task
    if holds.body != mine.body:
        text = (
            f"this {KEY_HEADER} was used with another body: give each request its own"
        )
        raise Problem(422, "idempotency_key_reused", text, task_id=holds.task)
    return holds


async def _overtaken(
    bus: Bus, mark: Mark, ready: Callable[[], Awaitable[None]], seconds: float
) -> Claim | None:
    """Ask whether something new may begin. Raises Problem.

    Returns an equal request's claim where that was what used up the last of a limit.
    """
    try:
        await ready()
    except Problem:
        found = None
        if not mark.fresh:
            found = await insist(partial(_earlier, bus, mark), seconds)
        if found is None:
            raise
        return found
    return None


def moved(files: Sequence[FileRef], task: str) -> tuple[FileRef, ...]:
    """Name files as they lie under another task's id, in the same order."""
    return tuple(
        file.model_copy(update={"key": f"{task}/{file.key.partition('/')[2]}"})
        for file in files
    )


async def _take(bus: Bus, mark: Mark, mine: Claim) -> Claim:
    """Claim it, unless somebody has: then return that claim."""
    place = 0
    mine = mine.model_copy(update={"again": not mark.fresh})
    while not await _put(bus, mark, mine, place):
        # Mine perhaps, when an acknowledgement was lost. Or expired just now.
        held, place = await _last(bus, mark)
        if held and (held.task == mine.task or _is_it(held, mark)):
            return held
    return mine


def _is_it(held: Claim, mark: Mark) -> bool:
    """Whether a claim that is there is this very request's.

    What says that it is the first is another one, unless it is so slow that its own
    retry has come before it.
    """
    return not mark.fresh or bool(held.again and mark.since and held.at > mark.since)


async def _put(bus: Bus, mark: Mark, mine: Claim, place: int) -> bool:
    """Claim it where what is at this place is still the last; False: it is not."""
    headers = {
        "Nats-TTL": str(mark.kept_seconds),
        "Nats-Expected-Last-Subject-Sequence": str(place),
    }
    try:
        with boundary("publish", mark.subject):
            await bus.jetstream.publish(
                mark.subject,
                mine.model_dump_json().encode(),
                stream=STREAM,
                headers=headers,
            )
    except APIError as error:
        if error.err_code != _WRONG_LAST_SEQUENCE:
            raise
        return False
    return True


async def _earlier(bus: Bus, mark: Mark) -> Claim | None:
    """Return what is claimed already."""
    return (await _last(bus, mark))[0]


async def _last(bus: Bus, mark: Mark) -> tuple[Claim | None, int]:
    """Return what is claimed already, as the stream's leader knows it, and its place.

    What has expired leaves a message that says so.
    """
    try:
        kept = await bus.jetstream.get_last_msg(STREAM, mark.subject)
    except NotFoundError:
        return None, 0
    claim = Claim.model_validate_json(kept.data) if kept.data else None
    return claim, kept.seq or 0


def _key(request: Request) -> str | None:
    given = request.headers.getlist(KEY_HEADER)
    if not given:
        return None
    text = given[0].strip()
    quoted = _QUOTED.fullmatch(text)
    if len(given) > 1 or not (quoted or _BARE.fullmatch(text)):
        raise Problem(400, "invalid_idempotency_key", NO_KEY)
    return re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text


def _hash(*parts: object) -> str:
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
