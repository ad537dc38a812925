"""Statements about the lease: one row that says which scheduler may write."""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler.store.tables import lease

_EPOCH = select(lease.c.epoch).where(lease.c.owner.is_not(None))


@dataclass(frozen=True)
class Held:
    """Who holds it, the how-manieth holder that is, and how often it has beaten."""

    owner: str | None
    epoch: int
    beat: int


async def read(db: AsyncConnection) -> Held:
    """Return the lease as it stands."""
    row = (await db.execute(select(lease))).one()
    return Held(row.owner, row.epoch, row.beat)


async def take(db: AsyncConnection, owner: str, seen: Held) -> int | None:
    """Become the holder, unless the lease is not as it was seen; return the epoch."""
    epoch: int | None = await db.scalar(
        update(lease)
        .where(lease.c.epoch == seen.epoch, lease.c.beat == seen.beat)
        .values(owner=owner, epoch=seen.epoch + 1, beat=seen.beat + 1)
        .returning(lease.c.epoch)
    )
    return epoch


async def holds(db: AsyncConnection, epoch: int) -> bool:
    """Whether the holder of this epoch still is."""
    return bool(await db.scalar(_EPOCH) == epoch)


async def beat(db: AsyncConnection) -> None:
    """Show that the holder lives."""
    await db.execute(update(lease).values(beat=lease.c.beat + 1))


async def release(db: AsyncConnection) -> None:
    """Let another take it at once."""
    await db.execute(update(lease).values(owner=None, beat=lease.c.beat + 1))
