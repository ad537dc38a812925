"""Statements about tasks and their results."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Row,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.errors import ErrorCode
from contracts.values import (
    TERMINAL,
    Belonging,
    Job,
    Progress,
    ResultRef,
    Terms,
    Webhook,
)
from scheduler.domain.dispatch import rank
from scheduler.domain.rows import Task
from scheduler.store.tables import results, tasks

# Built once: building a statement takes longer than running it.
_ONE = select(tasks).where(tasks.c.id == bindparam("key"))
_SAVE = update(tasks).where(
    tasks.c.id == bindparam("key"),
    tasks.c.revision == bindparam("before"),
    tasks.c.status.not_in(TERMINAL),
)


async def create(db: AsyncConnection, task: Task, now: datetime) -> bool:
    """Insert a new task; False when its id exists already and nothing was changed."""
    done = await db.execute(
        upsert(tasks)
        .values(
            id=task.id,
            **task.belonging.model_dump(),
            model=task.job.model,
            job=task.job.model_dump(mode="json"),
            status=task.status,
            stage=task.stage,
            revision=task.revision,
            attempt=task.attempt,
            progress={},
            terms=task.terms.model_dump(mode="json"),
            rank=rank(task.belonging.priority, task.created_at),
            due_at=task.due_at,
            webhook=task.webhook.model_dump() if task.webhook else None,
            created_at=task.created_at,
            updated_at=now,
        )
        .on_conflict_do_nothing()
    )
    return done.rowcount == 1


async def load(db: AsyncConnection, task_id: str) -> Task | None:
    """Return a task with its results."""
    row = (await db.execute(_ONE, {"key": task_id})).one_or_none()
    if row is None:
        return None
    stored = await stored_results(db, [task_id]) if row.status == "succeeded" else {}
    return task_of(row, stored.get(task_id, ()))


async def save(db: AsyncConnection, before: Task, task: Task) -> bool:
    """Write a changed task; False when it ended or changed meanwhile."""
    values = {
        "key": task.id,
        "before": before.revision,
        "status": task.status,
        "stage": task.stage,
        "revision": task.revision,
        "attempt": task.attempt,
        "session": task.session,
        "progress": task.progress.model_dump(mode="json"),
        "error_code": task.error_code,
        "error_message": task.error_message,
        "upstream_code": task.upstream_code,
        "not_before": task.not_before,
        "terms": task.terms.model_dump(mode="json"),
        "due_at": task.due_at,
        "updated_at": task.updated_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
    }
    done = await db.execute(_SAVE, values)
    if done.rowcount == 1 and task.results and not before.results:
        rows = [{"task": task.id, **r.model_dump()} for r in task.results]
        await db.execute(insert(results), rows)
    return done.rowcount == 1


async def forget(db: AsyncConnection, task: Task) -> bool:
    """Leave only a mark of an ended task; False: it was deleted before."""
    done = await db.execute(
        update(tasks)
        .where(
            tasks.c.id == task.id,
            tasks.c.status.in_(TERMINAL),
            tasks.c.deleted_at.is_(None),
        )
        .values(
            job=task.job.model_dump(mode="json"),
            metadata={},
            webhook=None,
            error_message=None,
            deleted_at=task.deleted_at,
            files_deleted_at=task.files_deleted_at,
            revision=task.revision,
            updated_at=task.updated_at,
        )
    )
    await db.execute(delete(results).where(results.c.task == task.id))
    return done.rowcount == 1


async def retry_of(db: AsyncConnection, task_id: str) -> str | None:
    """Return a retry of a task, if there is one."""
    found: str | None = await db.scalar(
        select(tasks.c.id)
        .where(tasks.c.retry_of == task_id, tasks.c.deleted_at.is_(None))
        .limit(1)
    )
    return found


async def stored_results(
    db: AsyncConnection, task_ids: Sequence[str]
) -> dict[str, tuple[ResultRef, ...]]:
    """Return the results of some tasks."""
    if not task_ids:
        return {}
    rows = await db.execute(
        select(results)
        .where(results.c.task.in_(task_ids))
        .order_by(results.c.task, results.c.index)
    )
    found: dict[str, tuple[ResultRef, ...]] = {}
    for row in rows.mappings():
        result = ResultRef.model_validate(dict(row))
        found[row["task"]] = (*found.get(row["task"], ()), result)
    return found


async def webhook_urls(db: AsyncConnection, task_ids: Sequence[str]) -> dict[str, str]:
    """Return where the ends of some tasks are told, as people see it."""
    if not task_ids:
        return {}
    query = select(tasks.c.id, tasks.c.webhook).where(tasks.c.id.in_(task_ids))
    rows = await db.execute(query)
    return {row.id: row.webhook["shown"] for row in rows if row.webhook}


async def webhooks(db: AsyncConnection) -> dict[str, Webhook]:
    """Return every task's webhook."""
    query = select(tasks.c.id, tasks.c.webhook).where(tasks.c.webhook.is_not(None))
    rows = await db.execute(query)
    return {row.id: Webhook.model_validate(row.webhook) for row in rows}


async def seal(db: AsyncConnection, task_id: str, webhook: Webhook) -> None:
    """Put a webhook in that is sealed anew."""
    await db.execute(
        update(tasks).where(tasks.c.id == task_id).values(webhook=webhook.model_dump())
    )


def task_of(row: Row[Any], stored: tuple[ResultRef, ...]) -> Task:
    """Read a row."""
    return Task(
        id=row.id,
        belonging=Belonging(
            kind=row.kind,
            owner=row.owner,
            priority=row.priority,
            metadata=row.metadata,
            retry_of=row.retry_of,
        ),
        job=Job.model_validate(row.job),
        created_at=row.created_at,
        status=row.status,
        stage=row.stage,
        revision=row.revision,
        attempt=row.attempt,
        session=row.session,
        progress=Progress.model_validate(row.progress),
        results=stored,
        error_code=ErrorCode(row.error_code) if row.error_code else None,
        error_message=row.error_message,
        upstream_code=row.upstream_code,
        terms=Terms.model_validate(row.terms),
        not_before=row.not_before,
        due_at=row.due_at,
        files_deleted_at=row.files_deleted_at,
        deleted_at=row.deleted_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        webhook=Webhook.model_validate(row.webhook) if row.webhook else None,
    )
