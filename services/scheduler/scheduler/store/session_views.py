"""Sessions as operators see them: with what became of the tasks that ended on them."""

from typing import Any

from sqlalchemy import Row, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import pool as asked
from contracts.values import TERMINAL
from scheduler.store.sessions import in_pool
from scheduler.store.tables import attempts, sessions, tasks


async def views(
    db: AsyncConnection, session_id: str | None = None
) -> list[asked.Session]:
    """Return sessions as operators see them; lent ones only by their id."""
    ended = (
        select(
            attempts.c.session,
            func.count().label("total"),
            func.sum(
                literal_column("CASE tasks.status WHEN 'succeeded' THEN 1 END")
            ).label("succeeded"),
            func.sum(
                literal_column("CASE tasks.status WHEN 'failed' THEN 1 END")
            ).label("failed"),
        )
        .join(tasks, tasks.c.id == attempts.c.task)
        .where(tasks.c.status.in_(TERMINAL), tasks.c.attempt == attempts.c.n)
        .group_by(attempts.c.session)
        .subquery()
    )
    query = in_pool(ended.c.total, ended.c.succeeded, ended.c.failed).outerjoin(
        ended, ended.c.session == sessions.c.id
    )
    one = sessions.c.id == session_id if session_id else sessions.c.lent.is_(False)
    query = query.where(one)
    return [_view(r) for r in await db.execute(query)]


def _view(row: Row[Any]) -> asked.Session:
    counted = {"total", "succeeded", "failed", "today"}
    fields = {
        name: getattr(row, name)
        for name in asked.Session.model_fields
        if name not in counted
    }
    return asked.Session(
        **fields,
        total=row.total or 0,
        succeeded=row.succeeded or 0,
        failed=row.failed or 0,
        today=row.accepted,
    )
