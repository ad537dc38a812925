"""Statements about API keys. A key is known by its hash alone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.keys import OWNER, CreateKey, Key
from scheduler.store.tables import keys

_CONCURRENT = select(keys.c.id, keys.c.concurrent).where(keys.c.concurrent > 0)
_HERE = select(keys).where(keys.c.deleted_at.is_(None)).order_by(keys.c.created_at)


async def add(db: AsyncConnection, key_id: str, wish: CreateKey, now: datetime) -> None:
    """Insert a key."""
    values = wish.model_dump(exclude={"made_by"}) | {"scopes": list(wish.scopes)}
    about = {"id": key_id, "enabled": True, "created_at": now, "updated_at": now}
    await db.execute(insert(keys).values(**values, **about))


async def load(db: AsyncConnection, key_id: str) -> Row[Any] | None:
    """Return the row of a key that was not deleted."""
    return (await db.execute(_HERE.where(keys.c.id == key_id))).one_or_none()


async def by_hash(db: AsyncConnection, hashed: str) -> Row[Any] | None:
    """Return the row that has this hash."""
    return (await db.execute(_HERE.where(keys.c.hash == hashed))).one_or_none()


async def every(db: AsyncConnection) -> Sequence[Row[Any]]:
    """Return the rows of all keys, the oldest first."""
    return (await db.execute(_HERE)).all()


async def concurrent(db: AsyncConnection) -> dict[str | None, int]:
    """Return how many tasks an owner may have at work, of those who are limited."""
    rows = await db.execute(_CONCURRENT)
    return {f"{OWNER}{row.id}": row.concurrent for row in rows}


async def change(db: AsyncConnection, key_id: str, values: dict[str, Any]) -> None:
    """Write some columns of a key."""
    await db.execute(update(keys).where(keys.c.id == key_id).values(**values))


def key_of(row: Row[Any]) -> Key:
    """Read a row."""
    return Key.model_validate(dict(row._mapping))  # noqa: SLF001 - its public name
