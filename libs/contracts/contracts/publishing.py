"""How commands, events and dead letters get into their streams.

Each with an id of its own, so that one sent again, after a lost acknowledgement, is no
second one; and each return means that it is stored.
"""

from nats.js.api import PubAck
from nats.js.errors import APIError

from boundary import boundary
from contracts.connection import Connection
from contracts.dead import DeadLetter
from contracts.streams import Kept, is_still_there

PUBLISH_SECONDS = 5.0


async def issue(
    broker: Connection, subject: str, body: bytes, message_id: str, correlation: str
) -> Kept:
    """Put a command into CMD; every return means that it is there, or was done."""
    try:
        ack = await _publish(
            broker, subject, body, "CMD", message_id=message_id, correlation=correlation
        )
    except APIError as error:
        if is_still_there(error):
            return Kept.STILL_THERE
        raise
    return Kept.DUPLICATE if ack.duplicate else Kept.STORED


async def tell(
    broker: Connection,
    subject: str,
    body: bytes,
    message_id: str,
    *,
    ttl_seconds: int | None,
    to: str,
) -> None:
    """Put an event into EVT, or a value into a bucket."""
    await _publish(
        broker,
        subject,
        body,
        to,
        message_id=message_id,
        correlation=subject.split(".")[2],
        headers={"Nats-TTL": str(ttl_seconds)} if ttl_seconds else {},
    )


async def bury(broker: Connection, letter: DeadLetter) -> None:
    """Put a dead letter into DLQ."""
    with boundary("publish", letter.subject):
        await broker.publish(
            letter.raw.data,
            letter.subject,
            stream="DLQ",
            timeout=PUBLISH_SECONDS,
            headers=letter.headers,
            correlation_id=letter.correlation,
        )


async def _publish(
    broker: Connection,
    subject: str,
    body: bytes,
    stream: str,
    *,
    message_id: str,
    correlation: str,
    headers: dict[str, str] | None = None,
) -> PubAck:
    # Without `stream` this is a core publish: no acknowledgement, silently lost
    # where no stream listens.
    with boundary("publish", subject):
        return await broker.publish(
            body,
            subject,
            stream=stream,
            timeout=PUBLISH_SECONDS,
            headers={
                "Nats-Msg-Id": message_id,
                "content-type": "application/json",
                **(headers or {}),
            },
            correlation_id=correlation,
        )
