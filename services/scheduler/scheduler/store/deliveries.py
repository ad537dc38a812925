"""Statements about deliveries and their tries."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.webhooks import ListDeliveries, Notice, Try
from scheduler.domain.delivering import Delivery
from scheduler.store.hook_tables import deliveries, tries

AT_ONCE = 100  # due deliveries looked at in one transaction
_FIELDS = tuple(deliveries.c[each.name] for each in fields(Delivery))
_DUE = select(*_FIELDS).where(deliveries.c.due_at.is_not(None))


async def add(db: AsyncConnection, found: Sequence[Delivery]) -> None:
    """Insert deliveries; one there is already, of the same cause, stays alone."""
    rows = [_row(each) for each in found]
    await db.execute(upsert(deliveries).on_conflict_do_nothing(), rows)


async def load(db: AsyncConnection, delivery_id: str) -> Delivery | None:
    """Return a delivery."""
    query = select(*_FIELDS).where(deliveries.c.id == delivery_id)
    row = (await db.execute(query)).mappings().one_or_none()
    return _of(row) if row else None


async def save(db: AsyncConnection, delivery: Delivery) -> None:
    """Write a changed delivery."""
    changing = {"status", "n", "since", "due_at", "error", "delivered_at"}
    values = {k: v for k, v in asdict(delivery).items() if k in changing}
    await db.execute(
        update(deliveries).where(deliveries.c.id == delivery.id).values(**values)
    )


async def due(db: AsyncConnection, now: datetime) -> list[Delivery]:
    """Return what is to be sent now, the longest due first."""
    query = _DUE.where(deliveries.c.due_at <= now)
    rows = await db.execute(query.order_by(deliveries.c.due_at).limit(AT_ONCE))
    return [_of(row) for row in rows.mappings()]


async def next_due(db: AsyncConnection) -> datetime | None:
    """Return when something is to be sent next."""
    query = _DUE.order_by(deliveries.c.due_at).limit(1)
    row = (await db.execute(query)).mappings().one_or_none()
    return row["due_at"] if row else None


async def note(db: AsyncConnection, delivery_id: str, one: Try) -> None:
    """Add a try to the log."""
    await db.execute(insert(tries).values(delivery=delivery_id, **one.model_dump()))


async def tries_of(db: AsyncConnection, delivery_id: str) -> tuple[Try, ...]:
    """Return what was tried, the first first."""
    query = select(tries).where(tries.c.delivery == delivery_id).order_by(tries.c.n)
    rows = await db.execute(query)
    return tuple(Try.model_validate(dict(row)) for row in rows.mappings())


async def page(
    db: AsyncConnection, wish: ListDeliveries
) -> tuple[list[Delivery], str | None]:
    """Return some deliveries, the newest first, and where the next page begins.

    Raises ValueError for a cursor that is none.
    """
    place = tuple_(deliveries.c.created_at, deliveries.c.id)
    query = select(*_FIELDS).order_by(
        deliveries.c.created_at.desc(), deliveries.c.id.desc()
    )
    wanted = {"task": wish.task, "receiver": wish.endpoint, "status": wish.status}
    for name, value in wanted.items():
        if value is not None:
            query = query.where(deliveries.c[name] == value)
    if wish.cursor:
        query = query.where(place < _place_of(wish.cursor))
    rows = (await db.execute(query.limit(wish.limit + 1))).mappings().all()
    found = [_of(row) for row in rows[: wish.limit]]
    return found, _cursor(found[-1]) if len(rows) > wish.limit else None


async def forget_old(db: AsyncConnection, before: datetime) -> None:
    """Forget what ended long ago."""
    old = select(deliveries.c.id).where(
        deliveries.c.created_at < before, deliveries.c.status != "pending"
    )
    if await db.scalar(select(func.count()).select_from(old.limit(1).subquery())):
        await db.execute(delete(tries).where(tries.c.delivery.in_(old)))
        await db.execute(delete(deliveries).where(deliveries.c.id.in_(old)))


async def forget(db: AsyncConnection, task_id: str) -> None:
    """Forget what was told, and is to be told, of a task."""
    its = select(deliveries.c.id).where(deliveries.c.task == task_id)
    await db.execute(delete(tries).where(tries.c.delivery.in_(its)))
    await db.execute(delete(deliveries).where(deliveries.c.task == task_id))


async def stop(db: AsyncConnection, receiver: str, why: str) -> None:
    """Give up whatever a receiver has not got yet."""
    await db.execute(
        update(deliveries)
        .where(deliveries.c.receiver == receiver, deliveries.c.status == "pending")
        .values(status="failed", due_at=None, error=why)
    )


def _row(delivery: Delivery) -> dict[str, Any]:
    notice = delivery.notice.model_dump() if delivery.notice else None
    return {**asdict(delivery), "notice": notice}


def _of(row: RowMapping) -> Delivery:
    values: dict[str, Any] = dict(row)
    notice = values["notice"] and Notice.model_validate(values["notice"])
    return Delivery(**{**values, "notice": notice})


def _cursor(delivery: Delivery) -> str:
    at = delivery.created_at.astimezone(UTC).replace(tzinfo=None)
    return f"{at.isoformat()}Z_{delivery.id}"


def _place_of(cursor: str) -> tuple[datetime, str]:
    at, _, delivery_id = cursor.partition("_")
    try:
        return datetime.fromisoformat(at).astimezone(UTC), delivery_id
    except (ValueError, OverflowError):
        raise ValueError("not a cursor of ours") from None
