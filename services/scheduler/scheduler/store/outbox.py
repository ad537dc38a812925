"""Inbox and outbox: what was taken in, and what is still to be told."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import and_, bindparam, delete, insert, or_, select, text
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.counting import CREDITS, Addition
from contracts.keys import KeyEntry
from contracts.message import Command, Event
from scheduler.store.near import LONG
from scheduler.store.tables import inbox, outbox

FORGOTTEN_SECONDS = 86_400  # what is told of a key that is gone
FLEETING = (":poller.absent:", ":poller.progressed:")


Said = Command | Event | KeyEntry | Addition


@dataclass(frozen=True)
class Parcel:
    """One message that waits to be published."""

    id: int
    stream: str
    subject: str
    message_id: str | None
    ttl_seconds: int | None
    body: bytes
    once: bool = False
    """Whether it is done with when its predecessor is still there; not stored."""


# Built once: building a statement takes longer than running it.
_NOTE = upsert(inbox).on_conflict_do_nothing()
_SEEN = select(inbox.c.id).where(inbox.c.id == bindparam("key"))
_PUT = insert(outbox)
_LAST = text("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'")
_SENT = delete(outbox).where(outbox.c.id.in_(bindparam("ids", expanding=True)))


async def first_time(db: AsyncConnection, event_id: str, now: datetime) -> bool:
    """Note an event; False when it was taken in before."""
    done = await db.execute(_NOTE, {"id": event_id, "seen_at": now})
    return done.rowcount == 1


async def seen(db: AsyncConnection, event_id: str) -> bool:
    """Whether an event was taken in."""
    found = await db.scalar(_SEEN, {"key": event_id})
    return found is not None


async def forget(db: AsyncConnection, event_id: str) -> None:
    """Take an event for new, should it come again."""
    await db.execute(delete(inbox).where(inbox.c.id == event_id))


async def forget_old(
    db: AsyncConnection, before: datetime, fleeting_before: datetime
) -> None:
    """Forget events that no longer exist anywhere; those of polls live an hour."""
    of_polls = or_(*(inbox.c.id.contains(what) for what in FLEETING))
    gone = or_(
        inbox.c.seen_at < before, and_(inbox.c.seen_at < fleeting_before, of_polls)
    )
    await db.execute(delete(inbox).where(gone).prefix_with(LONG))


def parcel_of(message: Said, parcel_id: int, *, once: bool) -> Parcel:
    """Pack a message."""
    if isinstance(message, Addition):
        subject, by = message.subject, f"{message.by:+d}".encode()
        return Parcel(parcel_id, CREDITS.stream, subject, None, None, by)
    event = message if isinstance(message, Event) else None
    ttl = event.TTL_SECONDS if event else None
    if isinstance(message, KeyEntry) and message.key is None:
        ttl = FORGOTTEN_SECONDS
    return Parcel(
        id=parcel_id,
        stream=message.STREAM,
        subject=message.subject,
        message_id=event.id if event else None,
        ttl_seconds=ttl,
        body=message.body(),
        once=once,
    )


async def put(db: AsyncConnection, parcels: list[Parcel]) -> None:
    """Write messages to be published after the commit."""
    if parcels:
        rows = [{k: v for k, v in asdict(p).items() if k != "once"} for p in parcels]
        await db.execute(_PUT, rows)


async def left(db: AsyncConnection) -> list[Parcel]:
    """Return what an earlier run did not get to publish, in order."""
    rows = await db.execute(select(outbox).order_by(outbox.c.id))
    return [Parcel(**row) for row in rows.mappings()]


async def last_id(db: AsyncConnection) -> int:
    """Return the highest id there ever was, also of what is sent and gone."""
    return await db.scalar(_LAST) or 0


async def sent(db: AsyncConnection, ids: list[int]) -> None:
    """Forget what was published."""
    await db.execute(_SENT, {"ids": ids})
