"""Statements about endpoints. A removed one leaves its row, without its secrets."""

from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler.domain.endpoints import Endpoint
from scheduler.store.hook_tables import endpoints

_FIELDS = tuple(endpoints.c[each.name] for each in fields(Endpoint))
_THERE = (
    select(*_FIELDS)
    .where(endpoints.c.sealed.is_not(None))
    .order_by(endpoints.c.created_at, endpoints.c.id)
)


async def every(db: AsyncConnection) -> list[Endpoint]:
    """Return every endpoint, the oldest first."""
    return [_of(row) for row in (await db.execute(_THERE)).mappings()]


async def load(db: AsyncConnection, endpoint_id: str) -> Endpoint | None:
    """Return an endpoint."""
    query = _THERE.where(endpoints.c.id == endpoint_id)
    row = (await db.execute(query)).mappings().one_or_none()
    return _of(row) if row else None


async def add(db: AsyncConnection, endpoint: Endpoint) -> None:
    """Insert an endpoint."""
    await db.execute(insert(endpoints).values(**asdict(endpoint)))


async def save(db: AsyncConnection, endpoint: Endpoint) -> None:
    """Write a changed endpoint."""
    values = asdict(endpoint)
    await db.execute(
        update(endpoints).where(endpoints.c.id == endpoint.id).values(**values)
    )


async def remove(db: AsyncConnection, endpoint_id: str) -> None:
    """Leave of it what its deliveries show."""
    await db.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id)
        .values(sealed=None, enabled=False)
    )


async def shown(db: AsyncConnection) -> dict[str, str]:
    """Return what is shown of the URL of every endpoint there ever was."""
    rows = await db.execute(select(endpoints.c.id, endpoints.c.shown))
    return {row.id: row.shown for row in rows}


def _of(row: RowMapping) -> Endpoint:
    values: dict[str, Any] = dict(row)
    return Endpoint(**{**values, "events": tuple(values["events"])})
