"""Statements about what operators did; either of its two tellings may come first."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.audit import Deed, DeedAnswered, DeedAsked, ListDeeds
from scheduler.store.tables import audit

AT_ONCE = 1000  # forgotten in one transaction


async def asked(db: AsyncConnection, event: DeedAsked) -> None:
    """Keep what was asked for."""
    told = event.model_dump(exclude={"deed"})
    if not event.target:  # the answer may have told it
        del told["target"]
    await _keep(db, event.deed, event.at, told)


async def answered(db: AsyncConnection, event: DeedAnswered) -> None:
    """Keep what came of it."""
    told: dict[str, Any] = {"status": event.status, "answered_at": event.at}
    if event.target:
        told["target"] = event.target
    await _keep(db, event.deed, event.at, told)


async def _keep(
    db: AsyncConnection, deed: str, at: datetime, told: dict[str, Any]
) -> None:
    await db.execute(
        upsert(audit)
        .values(**({"deed": deed, "at": at} | told))
        .on_conflict_do_update(index_elements=["deed"], set_=told)
    )


async def forget_old(db: AsyncConnection, before: datetime) -> None:
    """Forget what was asked for long ago, so many at a time."""
    # In the order they came, which is that of their moments but for a wrong clock.
    first = select(audit.c.n).order_by(audit.c.n).limit(AT_ONCE)
    await db.execute(delete(audit).where(audit.c.n.in_(first), audit.c.at < before))


async def page(db: AsyncConnection, wish: ListDeeds) -> tuple[list[Deed], int | None]:
    """Return some of what was done, the latest first, and where it goes on."""
    query = select(audit).order_by(audit.c.n.desc()).limit(wish.limit + 1)
    for column in (audit.c.actor, audit.c.action, audit.c.target):
        if wanted := getattr(wish, column.name):
            query = query.where(column == wanted)
    if wish.cursor is not None:
        query = query.where(audit.c.n < wish.cursor)
    rows = (await db.execute(query)).mappings().all()
    found = [Deed.model_validate(dict(row)) for row in rows[: wish.limit]]
    return found, found[-1].n if len(rows) > wish.limit else None
