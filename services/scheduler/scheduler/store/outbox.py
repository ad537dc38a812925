"""Inbox and outbox: what was taken in, and what is still to be told."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.message import Command, Event
from scheduler.store.tables import inbox, outbox


@dataclass(frozen=True)
class Parcel:
    """One message that waits to be published."""

    id: int
    stream: str
    subject: str
    message_id: str | None
    ttl_seconds: int | None
    body: bytes


async def first_time(db: AsyncConnection, event_id: str, now: datetime) -> bool:
    """Note an event; False when it was taken in before."""
    done = await db.execute(
        upsert(inbox).values(id=event_id, seen_at=now).on_conflict_do_nothing()
    )
    return done.rowcount == 1


async def put(db: AsyncConnection, message: Command | Event) -> Parcel:
    """Write a message to be published after the commit."""
    event = message if isinstance(message, Event) else None
    parcel = Parcel(
        id=0,
        stream=message.STREAM,
        subject=message.subject,
        message_id=event.id if event else None,
        ttl_seconds=event.TTL_SECONDS if event else None,
        body=message.body(),
    )
    values = {k: v for k, v in asdict(parcel).items() if k != "id"}
    done = await db.execute(insert(outbox).values(**values).returning(outbox.c.id))
    return replace(parcel, id=int(done.scalar_one()))


async def left(db: AsyncConnection) -> list[Parcel]:
    """Return what an earlier run did not get to publish, in order."""
    rows = await db.execute(select(outbox).order_by(outbox.c.id))
    return [Parcel(**row) for row in rows.mappings()]


async def unneeded(db: AsyncConnection, subject: str) -> None:
    """Forget a command whose worker is at work already."""
    await db.execute(delete(outbox).where(outbox.c.subject == subject))


async def sent(db: AsyncConnection, ids: list[int]) -> None:
    """Forget what was published."""
    await db.execute(delete(outbox).where(outbox.c.id.in_(ids)))
