"""Dead letters: how a bus writes them, and how who looks after them has them.

These read them, put them back or take them out.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote

from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import APIError, NotFoundError
from pydantic import ValidationError

from boundary import boundary
from contracts.message import now
from contracts.streams import Kept, is_still_there
from contracts.taking import Taken
from contracts.tasks import AttemptCommand, Died

STREAM = "DLQ"
_PLAIN = "".join(map(chr, range(32, 127))).replace("%", "")


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
        """Everything needed to put the message back, and one id however often sent.

        The detail is percent-encoded where it is not ASCII: headers must be.
        """
        meta = self.raw.metadata
        return {
            "Nats-Msg-Id": f"dlq:{meta.stream}:{meta.sequence.stream}",
            "Dlq-Reason": self.reason,
            "Dlq-Detail": quote(" ".join(self.detail.split())[:500], safe=_PLAIN),
            "Dlq-Subject": self.raw.subject,
            "Dlq-Stream": meta.stream,
            "Dlq-Sequence": str(meta.sequence.stream),
            "Dlq-Deliveries": str(meta.num_delivered),
        }

    @property
    def correlation(self) -> str:
        """What the message was about, as it came."""
        return (self.raw.headers or {}).get("correlation_id", self.raw.subject)

    def died(self) -> Died | None:
        """Return what the scheduler must hear first: that this step was given up.

        The subject tells the attempt also where the message cannot be read.
        """
        task, _, attempt = self.raw.subject.rpartition(".")[2].rpartition("-")
        if not issubclass(self.taken.message, AttemptCommand) or not attempt.isdigit():
            return None
        return Died(
            task=task,
            attempt=int(attempt),
            n=self._send(),
            service=self.taken.service,
            reason=f"{self.reason}: {self.detail}"[:500],
        )

    def _send(self) -> int:
        with suppress(ValidationError):
            return getattr(self.taken.message.parse(self.raw.data), "send", 0)
        return 0


class NoLetterError(Exception):
    """There is no dead letter with this number, or no longer."""


@dataclass(frozen=True)
class Letter:
    """A message no retry helped, with all that is needed to put it back."""

    sequence: int
    at: datetime
    service: str
    subject: str
    """Where it was before."""
    stream: str
    reason: str
    detail: str
    correlation: str
    headers: dict[str, str]
    body: bytes

    @property
    def age_seconds(self) -> float:
        """How long it has been a dead letter."""
        return (now() - self.at).total_seconds()


async def letters(js: JetStreamContext) -> AsyncIterator[Letter]:
    """Give every dead letter, the oldest first; nothing is taken."""
    sequence = 1
    while True:
        try:
            raw = await js.get_msg(
                STREAM, sequence, subject="dlq.>", direct=True, next=True
            )
        except NotFoundError:
            return
        letter = _letter(raw)
        yield letter
        sequence = letter.sequence + 1


async def letter(js: JetStreamContext, sequence: int) -> Letter:
    """Return one dead letter; raises NoLetterError."""
    try:
        return _letter(await js.get_msg(STREAM, sequence, direct=True))
    except NotFoundError:
        raise NoLetterError(f"there is no dead letter {sequence}") from None


async def put_back(js: JetStreamContext, dead: Letter) -> Kept:
    """Send a message again as it was, and take its dead letter out.

    Nothing is changed when it is STILL_THERE: its subject is occupied. Its new id is
    the same each time, so that a second try, or one cut off between the two steps, does
    not send it twice.
    """
    headers = {
        "Nats-Msg-Id": f"requeue:{dead.sequence}",
        "content-type": "application/json",
        "correlation_id": dead.correlation,
    }
    try:
        with boundary("publish", dead.subject):
            ack = await js.publish(
                dead.subject, dead.body, stream=dead.stream or None, headers=headers
            )
    except APIError as error:
        if is_still_there(error):
            return Kept.STILL_THERE
        raise
    await take_out(js, dead.sequence)
    return Kept.DUPLICATE if ack.duplicate else Kept.STORED


async def take_out(js: JetStreamContext, sequence: int) -> None:
    """Delete a dead letter for good; raises NoLetterError."""
    try:
        with boundary("delete", STREAM):
            await js.delete_msg(STREAM, sequence)
    except APIError as error:
        if "no message found" in str(error.description):
            raise NoLetterError(f"there is no dead letter {sequence}") from None
        raise


def _letter(raw: RawStreamMsg) -> Letter:
    headers = dict(raw.headers or {})
    service, _, subject = str(raw.subject).removeprefix("dlq.").partition(".")
    # What the server adds to its answer tells of DLQ, not of the message.
    own = {n: v for n, v in headers.items() if n not in _ANSWERS}
    return Letter(
        sequence=int(raw.seq or 0),
        at=raw.time or now(),
        service=service,
        subject=subject,
        stream=headers.get("Dlq-Stream", ""),
        reason=headers.get("Dlq-Reason", ""),
        detail=unquote(headers.get("Dlq-Detail", "")),
        correlation=headers.get("correlation_id", subject),
        headers=own,
        body=raw.data or b"",
    )


_ANSWERS = {
    "Nats-Stream",
    "Nats-Subject",
    "Nats-Sequence",
    "Nats-Time-Stamp",
    "Nats-Last-Sequence",
    "Nats-Num-Pending",
}
