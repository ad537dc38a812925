"""Statements about attempts. Each UPDATE carries its attempt: 0 rows = superseded."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.errors import ErrorCode
from contracts.values import Item, Progress
from contracts.workers import DueAttempt
from scheduler.domain.rows import Attempt
from scheduler.store.tables import attempts, sessions, tasks

OPEN = ("permitted", "known")

# Built once: building a statement takes longer than running it.
_THIS = (attempts.c.task == bindparam("of_task"), attempts.c.n == bindparam("nth"))
_ONE = select(attempts).where(*_THIS)
_SAVE = update(attempts).where(*_THIS, attempts.c.state != "ended")
_OF_SESSION = (
    attempts.c.session == bindparam("of_session"),
    attempts.c.state.in_(OPEN),
)
_HAS_OPEN = select(attempts.c.n).where(*_OF_SESSION).limit(1)
_ROUND = (
    update(attempts)
    .where(*_OF_SESSION)
    .values(round=attempts.c.round + 1)
    .returning(
        attempts.c.task,
        attempts.c.n,
        attempts.c.submit_id,
        attempts.c.round,
        attempts.c.said,
        attempts.c.said_at,
        select(tasks.c.kind)
        .where(tasks.c.id == attempts.c.task)
        .scalar_subquery()
        .label("kind"),
    )
)


async def reserve(db: AsyncConnection, attempt: Attempt, slots: int) -> bool:
    """Take a slot of a session for a task, in one statement; False: none was free."""
    taken = (
        select(func.count())
        .select_from(attempts)
        .where(attempts.c.session == attempt.session, attempts.c.state != "ended")
        .scalar_subquery()
    )
    waits = select(tasks.c.id).where(
        tasks.c.id == attempt.task, tasks.c.status == "queued"
    )
    values: dict[str, Any] = {
        "task": attempt.task,
        "n": attempt.n,
        "session": attempt.session,
        "state": attempt.state,
        "submit_id": attempt.submit_id,
        "sends": 0,
        "absent": 0,
        "reserved_at": attempt.reserved_at,
    }
    columns = [literal(v, attempts.c[k].type) for k, v in values.items()]
    done = await db.execute(
        insert(attempts).from_select(
            [*values, "materials"],
            select(*columns, literal([], attempts.c.materials.type)).where(
                taken < slots, waits.exists()
            ),
        )
    )
    if done.rowcount != 1:
        return False
    await db.execute(
        update(sessions)
        .where(sessions.c.id == attempt.session)
        .values(last_used_at=attempt.reserved_at)
    )
    return True


async def adopt(db: AsyncConnection, attempt: Attempt) -> None:
    """Insert an attempt that goes on with another's submit, which has ended."""
    values = asdict(attempt)
    values["materials"] = list(attempt.materials)
    values["items"] = []
    await db.execute(insert(attempts).values(**values))


async def load(db: AsyncConnection, task_id: str, n: int) -> Attempt | None:
    """Return one attempt of a task."""
    if n == 0:
        return None
    row = (await db.execute(_ONE, {"of_task": task_id, "nth": n})).one_or_none()
    return attempt_of(row) if row else None


async def of_task(db: AsyncConnection, task_id: str) -> list[tuple[Attempt, str]]:
    """Return all attempts of a task with the labels of their sessions."""
    rows = await db.execute(
        select(attempts, sessions.c.label)
        .join(sessions, sessions.c.id == attempts.c.session)
        .where(attempts.c.task == task_id)
        .order_by(attempts.c.n)
    )
    return [(attempt_of(r), r.label) for r in rows]


async def latest(db: AsyncConnection, task_ids: Sequence[str]) -> dict[str, Attempt]:
    """Return the newest attempt of each of some tasks."""
    rows = await db.execute(
        select(attempts)
        .join(tasks, tasks.c.id == attempts.c.task)
        .where(attempts.c.task.in_(task_ids), attempts.c.n == tasks.c.attempt)
    )
    return {row.task: attempt_of(row) for row in rows}


async def save(db: AsyncConnection, attempt: Attempt) -> bool:
    """Write a changed attempt; False when it has ended meanwhile."""
    values = asdict(attempt)
    for fixed in ("task", "n", "session", "submit_id", "reserved_at", "said_at"):
        values.pop(fixed)
    values["materials"] = list(attempt.materials)
    values["items"] = [item.model_dump(mode="json") for item in attempt.items]
    values |= {"of_task": attempt.task, "nth": attempt.n}
    done = await db.execute(_SAVE, values)
    return done.rowcount == 1


async def follower(db: AsyncConnection, submit_id: str) -> str | None:
    """Return the task whose unended attempt follows a submit."""
    found: str | None = await db.scalar(
        select(attempts.c.task).where(
            attempts.c.submit_id == submit_id, attempts.c.state != "ended"
        )
    )
    return found


async def has_open(db: AsyncConnection, session: str) -> bool:
    """Whether a session has something to poll."""
    found = await db.scalar(_HAS_OPEN, {"of_session": session})
    return found is not None


async def due(db: AsyncConnection, session: str) -> list[DueAttempt]:
    """Begin a poll round for every sent attempt of a session."""
    rows = await db.execute(_ROUND, {"of_session": session})
    return [
        DueAttempt(
            task=r.task,
            attempt=r.n,
            submit_id=r.submit_id,
            round=r.round,
            last=Progress.model_validate(r.said) if r.said else None,
            last_said_at=r.said_at,
            kind=r.kind,
        )
        for r in rows
    ]


async def remember_said(
    db: AsyncConnection, task: str, n: int, progress: Progress, now: datetime
) -> None:
    """Keep what the poller last said, so that it says only what is new."""
    said = Progress.model_validate(progress.model_dump()).model_dump(mode="json")
    await db.execute(
        update(attempts)
        .where(attempts.c.task == task, attempts.c.n == n)
        .values(said=said, said_at=now)
    )


async def sessions_with_open(db: AsyncConnection) -> Sequence[str]:
    """Return the sessions that have something to poll."""
    rows = await db.scalars(
        select(attempts.c.session).where(attempts.c.state.in_(OPEN)).distinct()
    )
    return rows.all()


async def unended(db: AsyncConnection, session: str) -> int:
    """Return how many attempts of a session have not ended."""
    found = await db.scalar(
        select(func.count())
        .select_from(attempts)
        .where(attempts.c.session == session, attempts.c.state != "ended")
    )
    return int(found or 0)


async def unsettled(db: AsyncConnection, session: str) -> int:
    """Return how many tasks still need a session: unended, or being stored."""
    storing = await db.scalar(
        select(func.count())
        .select_from(tasks)
        .where(tasks.c.session == session, tasks.c.status == "downloading")
    )
    return await unended(db, session) + int(storing or 0)


async def at_work(db: AsyncConnection) -> int:
    """Return how many attempts hold a slot over the whole pool.

    Reserved ones too: what has a session gets its permit without being counted again.
    """
    found = await db.scalar(
        select(func.count()).select_from(attempts).where(attempts.c.state != "ended")
    )
    return int(found or 0)


def attempt_of(row: Row[Any]) -> Attempt:
    """Read a row."""
    return Attempt(
        task=row.task,
        n=row.n,
        session=row.session,
        submit_id=row.submit_id,
        reserved_at=row.reserved_at,
        state=row.state,
        materials=tuple(row.materials or ()),
        items=tuple(Item.model_validate(item) for item in row.items or ()),
        sends=row.sends,
        allowed=row.allowed,
        adopted=row.adopted,
        nonce=row.nonce,
        body_hash=row.body_hash,
        permitted_at=row.permitted_at,
        upstream_id=row.upstream_id,
        absent=row.absent,
        round=row.round,
        since_round=row.since_round,
        charged=row.charged,
        reason=row.reason,
        error_code=ErrorCode(row.error_code) if row.error_code else None,
        upstream_code=row.upstream_code,
        answer=row.answer,
        said_at=row.said_at,
        ended_at=row.ended_at,
    )
