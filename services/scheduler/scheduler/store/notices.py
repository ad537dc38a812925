"""Statements about what operators were told."""

from dataclasses import asdict, fields
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler.domain.noticing import Known
from scheduler.store.hook_tables import notices

_FIELDS = tuple(notices.c[each.name] for each in fields(Known))


async def every(db: AsyncConnection) -> dict[str, Known]:
    """Return all that is known, by key."""
    rows = await db.execute(select(*_FIELDS))
    return {row["key"]: Known(**row) for row in rows.mappings()}


async def save(db: AsyncConnection, known: Known) -> None:
    """Write what is known of a condition."""
    values = asdict(known)
    key = values.pop("key")
    await db.execute(
        upsert(notices)
        .values(key=key, **values)
        .on_conflict_do_update(index_elements=["key"], set_=values)
    )


async def forget(db: AsyncConnection, before: datetime) -> None:
    """Forget what has been over for long."""
    await db.execute(delete(notices).where(notices.c.over_at < before))
