"""Dead letters, as who looks after them has them: read, put back, taken out."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import APIError, NotFoundError

from boundary import boundary
from contracts.message import now
from contracts.streams import Kept, is_still_there

STREAM = "DLQ"


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
