"""What becomes of a delivered message: four endings for a handler, no fifth.

It returns (ack), raises Again (a planned wait), raises anything else (waits with
growing, jittered pauses until its first delivery is too long ago, then a dead letter),
or the message cannot be read (a dead letter at once). A command whose worker does not
live to any of these endings becomes a dead letter, too: see `Delivery`.
"""

import asyncio
import logging
import random
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from typing import Any
from weakref import WeakKeyDictionary

from faststream import BaseMiddleware
from faststream.message import StreamMessage
from nats.aio.msg import Msg

from boundary import boundary
from contracts.dead import DeadLetter
from contracts.ending import end
from contracts.marks import Marks, Record
from contracts.message import now
from contracts.taking import Taken, UnreadableError

HEARTBEATS = 3  # in each ack_wait: two may be lost
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
FIRST_MARKED = 4  # the delivery from which on starts are marked
MOST_MARKS = 3  # starts without an end, after which a command is given up

log = logging.getLogger("bus")


class Again(Exception):  # noqa: N818 - a plan, not an error
    """Deliver this command again in so many seconds; nothing went wrong.

    `uncounted`: it could not begin, so its deadline counts from the next delivery on.
    """

    def __init__(self, seconds: float, *, uncounted: bool = False) -> None:
        super().__init__(f"again in {seconds:.3f} s")
        self.seconds = seconds
        self.uncounted = uncounted


class DeadlyError(Exception):
    """A command's worker died of it again and again."""


Scope = Callable[[str, bytes], AbstractContextManager[None]]
"""What to enter while a message is worked on, given its subject and body."""

Bury = Callable[[DeadLetter], Awaitable[None]]


class Delivery:
    """The policy of one bus, as a middleware around every handler.

    A command may kill its process (memory, a crash of a library), and then no code of
    ours sees an ending. So from its fourth delivery on each start leaves a mark, which
    every ending takes away again; where three stand, it is not started any more. One
    that has a mark runs alone among such, because those it took with it look the same.
    """

    def __init__(
        self,
        bury: Bury,
        scope: Scope,
        pause: Callable[[int], float],
        heartbeat_seconds: float,
        marks: Marks,
    ) -> None:
        self.taken: dict[str, Taken] = {}
        self._heartbeat = heartbeat_seconds
        self._bury = bury
        self._scope = scope
        self._pause = pause
        self._marks = marks

    def middleware(self, *args: Any, **kwargs: Any) -> BaseMiddleware:
        """Make the middleware of one message."""
        return _PolicyMiddleware(self, *args, **kwargs)

    async def run(
        self, call: Callable[[], Awaitable[Any]], raw: Msg, taken: Taken
    ) -> Any:
        """Run a handler to one of its four endings; the message is settled after."""
        known: Record | None = None
        try:
            with self._scope(raw.subject, raw.data):
                async with _in_progress(raw, self._heartbeat):
                    known = await self._recall(raw, taken)
                    result = await self._start(call, raw, taken, known)
        except Again as again:
            if again.uncounted:
                await self._forget(raw, taken)
            else:
                await self._remember(raw, taken, known)
            with boundary("nak", raw.subject):
                await raw.nak(delay=again.seconds)
        except asyncio.CancelledError:
            # The service stops: hand back at once instead of after ack_wait.
            with suppress(Exception):  # away: ack_wait hands it back
                await asyncio.shield(self._hand_back(raw, taken, known))
            raise
        except Exception as error:  # noqa: BLE001 - every failure has an ending here
            await self._failed(raw, taken, known, error)
        else:
            await self._forget(raw, taken)
            with boundary("ack", raw.subject):
                await raw.ack()
            return result
        return None

    async def _start(
        self,
        call: Callable[[], Awaitable[Any]],
        raw: Msg,
        taken: Taken,
        known: Record,
    ) -> Any:
        if known.standing >= MOST_MARKS:
            raise DeadlyError(f"{known.standing} starts of it ended with its worker")
        async with asyncio.timeout(seconds_left(taken, known)):
            async with _alone() if known.standing else nullcontext():
                if _marked(raw, taken):
                    await self._marks.keep(raw, known.started())
                return await call()

    async def _failed(
        self, raw: Msg, taken: Taken, known: Record | None, error: Exception
    ) -> None:
        detail = f"{type(error).__name__}: {error}"
        if reason := _REASONS.get(type(error)):
            await self._end(DeadLetter(taken, raw, reason, detail), known)
            return
        wait = self._pause(raw.metadata.num_delivered)
        # One that could only be tried again too late is given up with what it says now.
        if _expired(taken, known, after=wait):
            await self._end(DeadLetter(taken, raw, "deadline", detail), known)
            return
        log.warning(
            "handler failed, again in %.1f s",
            wait,
            extra={
                "subject": raw.subject,
                "error": detail,
                "trace": "".join(traceback.format_exception(error))[-4000:],
            },
        )
        await self._remember(raw, taken, known)
        with boundary("nak", raw.subject):
            await raw.nak(delay=wait)

    async def _end(self, letter: DeadLetter, known: Record | None) -> None:
        log.error(
            "dead letter: %s",
            letter.reason,
            extra={"subject": letter.raw.subject, "error": letter.detail},
        )
        try:
            await self._bury(letter)
        except Exception:
            log.exception("dead letter not stored, again", extra=letter.headers)
            await self._remember(letter.raw, letter.taken, known)
            with boundary("nak", letter.raw.subject):
                await letter.raw.nak(delay=LONGEST_PAUSE_SECONDS)
            return
        await self._forget(letter.raw, letter.taken)
        with boundary("term", letter.raw.subject):
            await letter.raw.term()

    # what is remembered between deliveries

    async def _recall(self, raw: Msg, taken: Taken) -> Record:
        fresh = Record(first=now())
        if not taken.remembered or raw.metadata.num_delivered == 1:
            return fresh
        return await self._marks.read(raw) or fresh

    async def _remember(self, raw: Msg, taken: Taken, known: Record | None) -> None:
        if taken.remembered and known:
            await self._marks.note(raw, known)

    async def _forget(self, raw: Msg, taken: Taken) -> None:
        if taken.remembered and raw.metadata.num_delivered > 1:
            await self._marks.note(raw, None)

    async def _hand_back(self, raw: Msg, taken: Taken, known: Record | None) -> None:
        if _marked(raw, taken):
            await self._remember(raw, taken, known)
        with boundary("nak", raw.subject):
            await raw.nak()


_REASONS = {UnreadableError: "unreadable", DeadlyError: "crashes"}
_SUSPECTS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
    WeakKeyDictionary()
)


def _alone() -> asyncio.Lock:
    """Return what all buses of a process share: one process dies for all of them."""
    return _SUSPECTS.setdefault(asyncio.get_running_loop(), asyncio.Lock())


def _marked(raw: Msg, taken: Taken) -> bool:
    return taken.remembered and raw.metadata.num_delivered >= FIRST_MARKED


class _PolicyMiddleware(BaseMiddleware):
    """Decoding, validation and the handler all run inside `consume_scope`."""

    def __init__(self, policy: Delivery, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._policy = policy

    async def consume_scope(
        self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]
    ) -> Any:
        raw = msg.raw_message
        if not raw.reply.startswith("$JS.ACK."):
            return await call_next(msg)
        taken = self._policy.taken[raw.metadata.consumer]
        return await self._policy.run(lambda: call_next(msg), raw, taken)


def backoff(deliveries: int) -> float:
    """Return the pause in seconds after the n-th failed delivery, jittered by half."""
    doublings = min(deliveries - 1, 16)  # planned waits count too, in thousands
    pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0**doublings)
    jitter: float = random.uniform(0.5, 1.0)  # noqa: S311 - spreads load
    return pause * jitter


def seconds_left(taken: Taken, known: Record) -> float | None:
    """Return how long the handler may run, counted from the first delivery.

    A command that waited while no worker ran has not failed yet.
    """
    if taken.deadline_seconds is None:
        return None
    return max(0.001, taken.deadline_seconds - known.age_seconds)


def _expired(taken: Taken, known: Record | None, *, after: float) -> bool:
    limit = taken.deadline_seconds
    return (
        limit is not None and known is not None and known.age_seconds + after >= limit
    )


@asynccontextmanager
async def _in_progress(raw: Msg, every_seconds: float) -> AsyncIterator[None]:
    """Tell the server every few seconds that the message is being worked on."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(every_seconds)
            with suppress(Exception):  # a lost beat is made good by the next
                await raw.in_progress()  # no boundary: changes nothing

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        await end(task)
