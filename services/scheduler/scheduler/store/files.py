"""Statements about whose files are kept, and whose are not."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.values import TERMINAL, Job
from scheduler.domain.rows import Task
from scheduler.store.tables import results, tasks


def owners(job: Job) -> set[str]:
    """Return the tasks under whose ids a job's references lie.

    A retry has those of the task it retries. What has a URL can be fetched again.
    """
    return {file.key.partition("/")[0] for file in job.files if not file.url}


async def needed(db: AsyncConnection) -> set[str]:
    """Return the tasks whose files a retry that has not ended needs."""
    rows = await db.execute(
        select(tasks.c.retry_of, tasks.c.job).where(
            tasks.c.retry_of.is_not(None), tasks.c.status.not_in(TERMINAL)
        )
    )
    found = set()
    for row in rows:
        found |= {row.retry_of, *owners(Job.model_validate(row.job))}
    return found


async def old(db: AsyncConnection, before: datetime, limit: int) -> list[str]:
    """Return tasks that ended before, with files nobody needs, the oldest first."""
    made = exists().where(results.c.task == tasks.c.id)
    given = func.json_array_length(tasks.c.job, "$.files") > 0
    rows = await db.scalars(
        select(tasks.c.id)
        .where(
            tasks.c.finished_at < before,
            tasks.c.files_deleted_at.is_(None),
            tasks.c.status.in_(TERMINAL),
            or_(made, given),
            tasks.c.id.not_in(await needed(db)),
        )
        .order_by(tasks.c.finished_at)
        .limit(limit)
    )
    return list(rows)


async def of_deleted(db: AsyncConnection, limit: int) -> list[str]:
    """Return deleted tasks that still have files, which nobody needs any more."""
    rows = await db.scalars(
        select(tasks.c.id)
        .where(tasks.c.deleted_at.is_not(None), tasks.c.files_deleted_at.is_(None))
        .where(tasks.c.id.not_in(await needed(db)))
        .limit(limit)
    )
    return list(rows)


async def deleted(db: AsyncConnection, task: Task) -> bool:
    """Note that an ended task has no files any more; False: it was noted before."""
    done = await db.execute(
        update(tasks)
        .where(
            tasks.c.id == task.id,
            tasks.c.status.in_(TERMINAL),
            tasks.c.files_deleted_at.is_(None),
        )
        .values(
            files_deleted_at=task.files_deleted_at,
            revision=task.revision,
            updated_at=task.updated_at,
        )
    )
    return done.rowcount == 1


async def gone(db: AsyncConnection, task_ids: Collection[str]) -> list[str]:
    """Return those of some tasks whose files were deleted."""
    return list(
        await db.scalars(
            select(tasks.c.id).where(
                tasks.c.id.in_(task_ids), tasks.c.files_deleted_at.is_not(None)
            )
        )
    )


async def orphans(db: AsyncConnection, task_ids: Sequence[str]) -> list[str]:
    """Return those of some tasks that do not exist, or have no files any more."""
    kept = await db.scalars(
        select(tasks.c.id).where(
            tasks.c.id.in_(task_ids), tasks.c.files_deleted_at.is_(None)
        )
    )
    known = set(kept)
    return [task for task in task_ids if task not in known]
