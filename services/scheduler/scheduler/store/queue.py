"""Statements about tasks that wait: for a session, for their turn, for a moment."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, case, func, literal, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from jimeng import InvalidJob, find_model
from scheduler.domain.dispatch import Waiting, rank
from scheduler.domain.rows import Task
from scheduler.store.near import LONG
from scheduler.store.tables import attempts, tasks

BACKLOG = 50  # waiting tasks of one owner and model looked at in one dispatch
AT_ONCE = 100  # due tasks looked at in one transaction

# Built once: building a statement takes longer than running it.
_QUEUED = tasks.c.status == "queued"
# A pause longer than any was set by a clock that was wrong: it is none.
_PAUSED = and_(
    tasks.c.not_before > bindparam("moment"), tasks.c.not_before <= bindparam("latest")
)
_ANY_QUEUED = select(tasks.c.id).where(_QUEUED).limit(1)
_PLACES = (
    select(
        tasks.c.id,
        tasks.c.owner,
        tasks.c.rank,
        tasks.c.created_at,
        tasks.c.model,
        tasks.c.stage,
        func.row_number()
        .over(
            partition_by=(tasks.c.owner, tasks.c.model),
            order_by=(tasks.c.rank, tasks.c.created_at, tasks.c.id),
        )
        .label("place"),
    )
    .where(_QUEUED, or_(tasks.c.not_before.is_(None), not_(_PAUSED)))
    .subquery()
)
_FIRST = select(_PLACES).where(_PLACES.c.place <= BACKLOG).prefix_with(LONG)
_RESUMED = (
    select(func.min(tasks.c.not_before)).prefix_with(LONG).where(_QUEUED, _PAUSED)
)
_RUNNING = (
    select(tasks.c.owner, func.count())
    .join(attempts, attempts.c.task == tasks.c.id)
    .where(attempts.c.state != "ended")
    .group_by(tasks.c.owner)
)
_DUE = (
    select(tasks.c.id, tasks.c.due_at)
    .where(tasks.c.due_at.is_not(None))
    .order_by(tasks.c.due_at)
    .limit(AT_ONCE)
)


async def waiting(
    db: AsyncConnection, now: datetime, longest: timedelta
) -> tuple[list[Waiting], list[tuple[str, InvalidJob]], datetime | None]:
    """Return who may go next, who never can and why, and when the next pause ends.

    The first ones of each owner and model, so that many who cannot go do not hide one
    who can. `longest` is the longest pause there is.
    """
    if await db.scalar(_ANY_QUEUED) is None:  # as after most transactions
        return [], [], None
    moments = {"moment": now, "latest": now + longest}
    rows = (await db.execute(_FIRST, moments)).all()
    pause = await db.scalar(_RESUMED, moments)
    able: list[Waiting] = []
    strange: list[tuple[str, InvalidJob]] = []
    for row in rows:
        try:
            able.append(_waiting_of(row))
        except InvalidJob as error:  # of another version
            strange.append((row.id, error))
    return able, strange, pause


async def running_of(db: AsyncConnection) -> dict[str | None, int]:
    """Return how many tasks of each owner hold a slot."""
    rows = await db.execute(_RUNNING)
    return {row[0]: row[1] for row in rows}


async def due(db: AsyncConnection) -> list[tuple[str, datetime]]:
    """Return the tasks that are to be looked at again, with when, the first first."""
    rows = await db.execute(_DUE)
    return [(row.id, row.due_at) for row in rows]


async def put_off(db: AsyncConnection, task_id: str, until: datetime) -> None:
    """Look at a task later, whatever it waits for."""
    then = literal(until, tasks.c.due_at.type)
    await db.execute(
        update(tasks)
        .where(tasks.c.id == task_id)
        .values(
            not_before=case((tasks.c.status == "queued", then)),
            due_at=case((tasks.c.due_at.is_not(None), then)),
        )
    )


def _waiting_of(row: Any) -> Waiting:
    return Waiting(
        id=row.id,
        owner=row.owner,
        rank=row.rank,
        created_at=row.created_at,
        model=find_model(row.model),
        stage=row.stage,
    )


async def place(db: AsyncConnection, task: Task) -> tuple[int, int]:
    """Return how many queued tasks go before this one, and how many there are."""
    mine = rank(task.belonging.priority, task.created_at)
    older = and_(tasks.c.rank == mine, tasks.c.created_at < task.created_at)
    before = func.count().filter(or_(tasks.c.rank < mine, older))
    counted = select(before, func.count()).prefix_with(LONG).where(_QUEUED)
    row = (await db.execute(counted)).one()
    return int(row[0]), int(row[1])
