"""What becomes of a delivered message: four endings for a handler, no fifth.

It returns (ack), raises Again (a planned wait), raises anything else (waits with
growing, jittered pauses until the command is too old, then a dead letter), or the
message cannot be read (a dead letter at once).
"""

import asyncio
import logging
import random
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from faststream import BaseMiddleware
from faststream.message import StreamMessage
from nats.aio.msg import Msg
from pydantic import ValidationError

from contracts.message import Message
from contracts.tasks import AttemptCommand, Died

HEARTBEAT_SECONDS = 10.0  # a third of ack_wait: two may be lost
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0

log = logging.getLogger("bus")


class Again(Exception):  # noqa: N818 - a plan, not an error
    """Deliver this command again in so many seconds; nothing went wrong."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds:.3f} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Taken:
    """How one durable's messages are treated."""

    message: type[Message]
    service: str
    deadline_seconds: float | None


@dataclass(frozen=True)
class DeadLetter:
    """A message no retry will help, and why."""

    taken: Taken
    raw: Msg
    reason: str
    detail: str

    @property
    def subject(self) -> str:
        """`dlq.<service>.<original subject>`."""
        return f"dlq.{self.taken.service}.{self.raw.subject}"

    @property
    def headers(self) -> dict[str, str]:
        """Everything needed to put the message back, and one id however often sent."""
        meta = self.raw.metadata
        return {
            "Nats-Msg-Id": f"dlq:{meta.stream}:{meta.sequence.stream}",
            "Dlq-Reason": self.reason,
            "Dlq-Detail": " ".join(self.detail.split())[:500],
            "Dlq-Subject": self.raw.subject,
            "Dlq-Stream": meta.stream,
            "Dlq-Sequence": str(meta.sequence.stream),
            "Dlq-Deliveries": str(meta.num_delivered),
        }

    def died(self) -> Died | None:
        """Return what the scheduler must hear first: that this step was given up."""
        if not issubclass(self.taken.message, AttemptCommand):
            return None
        with suppress(ValidationError):
            command = self.taken.message.parse(self.raw.data)
            return Died(
                task=command.task,
                attempt=command.attempt,
                n=getattr(command, "send", 0),
                service=self.taken.service,
                reason=f"{self.reason}: {self.detail}"[:500],
            )
        return None


Scope = Callable[[str], AbstractContextManager[None]]
"""What to enter while a message is worked on, given its subject."""

Bury = Callable[[DeadLetter], Awaitable[None]]


class Delivery:
    """The policy of one bus, as a middleware around every handler."""

    def __init__(
        self,
        bury: Bury,
        scope: Scope,
        pause: Callable[[int], float],
    ) -> None:
        self.taken: dict[str, Taken] = {}
        self._bury = bury
        self._scope = scope
        self._pause = pause

    def middleware(self, *args: Any, **kwargs: Any) -> BaseMiddleware:
        """Make the middleware of one message."""
        return _PolicyMiddleware(self, *args, **kwargs)

    async def run(
        self, call: Callable[[], Awaitable[Any]], raw: Msg, taken: Taken
    ) -> Any:
        """Run a handler to one of its four endings; the message is settled after."""
        left = seconds_left(raw, taken)
        try:
            with self._scope(raw.subject):
                async with _in_progress(raw), asyncio.timeout(left):
                    result = await call()
        except Again as again:
            await raw.nak(delay=again.seconds)
        except asyncio.CancelledError:
            # The service stops: hand back at once instead of after ack_wait.
            await asyncio.shield(raw.nak())
            raise
        except Exception as error:  # noqa: BLE001 - every failure has an ending here
            await self._failed(raw, taken, error)
        else:
            await raw.ack()
            return result
        return None

    async def _failed(self, raw: Msg, taken: Taken, error: Exception) -> None:
        detail = f"{type(error).__name__}: {error}"
        if not _readable(raw, taken):
            await self._end(DeadLetter(taken, raw, "unreadable", detail))
            return
        if _expired(raw, taken):
            await self._end(DeadLetter(taken, raw, "deadline", detail))
            return
        wait = self._pause(raw.metadata.num_delivered)
        log.warning(
            "handler failed, again in %.1f s",
            wait,
            extra={
                "subject": raw.subject,
                "error": detail,
                "trace": "".join(traceback.format_exception(error))[-4000:],
            },
        )
        await raw.nak(delay=wait)

    async def _end(self, letter: DeadLetter) -> None:
        log.error(
            "dead letter: %s",
            letter.reason,
            extra={"subject": letter.raw.subject, "error": letter.detail},
        )
        try:
            await self._bury(letter)
        except Exception:
            log.exception("dead letter not stored, again", extra=letter.headers)
            await letter.raw.nak(delay=LONGEST_PAUSE_SECONDS)
            return
        await letter.raw.term()


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
    pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (deliveries - 1))
    jitter: float = random.uniform(0.5, 1.0)  # noqa: S311 - spreads load
    return pause * jitter


def seconds_left(raw: Msg, taken: Taken) -> float | None:
    """Return how long the handler may run; a first delivery has the whole deadline.

    A command that waited while no worker ran has not failed yet.
    """
    if taken.deadline_seconds is None:
        return None
    if raw.metadata.num_delivered == 1:
        return taken.deadline_seconds
    return max(0.001, taken.deadline_seconds - _age_seconds(raw))


def _readable(raw: Msg, taken: Taken) -> bool:
    try:
        taken.message.parse(raw.data)
    except ValidationError:
        return False
    return True


def _expired(raw: Msg, taken: Taken) -> bool:
    limit = taken.deadline_seconds
    return limit is not None and _age_seconds(raw) >= limit


def _age_seconds(raw: Msg) -> float:
    return (datetime.now(UTC) - raw.metadata.timestamp).total_seconds()


@asynccontextmanager
async def _in_progress(raw: Msg) -> AsyncIterator[None]:
    """Tell the server every few seconds that the message is being worked on."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            with suppress(Exception):  # a lost beat is made good by the next
                await raw.in_progress()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
