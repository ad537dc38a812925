"""How rows are shown: to clients in answers, to everybody in events."""

from datetime import datetime
from typing import Any, overload

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import requests as asked
from contracts.message import now
from contracts.tasks import TaskChanged
from scheduler.domain.rows import Attempt, Session, Task
from scheduler.domain.waiting import waiting_for
from scheduler.store import attempts, listing, queue, sessions, tasks

PROMPT_SHOWN = 300
PAGE_BYTES = 512 * 1024  # a message has at most 1 MB
_PUBLIC = (
    "status",
    "stage",
    "attempt",
    "session",
    "progress",
    "results",
    "error_code",
    "error_message",
    "files_deleted_at",
    "deleted_at",
)


@overload
def changed(task: Task, now: datetime) -> TaskChanged: ...
@overload
def changed(task: Task, now: datetime, before: Task) -> TaskChanged | None: ...
def changed(
    task: Task, now: datetime, before: Task | None = None
) -> TaskChanged | None:
    """Return the public event of a change; None when nothing public changed."""
    if before and all(getattr(task, f) == getattr(before, f) for f in _PUBLIC):
        return None
    same = before is not None and before.status == task.status
    return TaskChanged(
        **task.belonging.model_dump(),
        **task.progress.model_dump(exclude={"stage"}),
        at=now,
        task=task.id,
        what="progressed" if same else task.status,
        revision=task.revision + 1 if before else task.revision,
        status=task.status,
        stage=task.stage,
        attempt=task.attempt,
        session=task.session,
        model=task.job.model,
        prompt=task.job.prompt[:PROMPT_SHOWN],
        results=() if task.files_deleted_at else task.results,
        error_code=task.error_code,
        error_kind=task.error_code.kind if task.error_code else None,
        error_message=task.error_message,
        files_deleted_at=task.files_deleted_at,
        deleted_at=task.deleted_at,
    )


def shown(session: Session) -> dict[str, Any]:
    """Return what an event says of a session that stays."""
    return {
        "session": session.id,
        "label": session.label,
        "state": session.state,
        "reason": session.reason,
        "until": session.until,
        "credits": session.credits,
    }


async def task_view(db: AsyncConnection, task_id: str) -> asked.Task | None:
    """Return a task with its attempts, as its client sees it; not a deleted one."""
    task = await tasks.load(db, task_id)
    if task is None or task.deleted_at:
        return None
    tries = await attempts.of_task(db, task_id)
    queued = task.status == "queued"
    ahead, length = await queue.place(db, task) if queued else (None, None)
    why = None if task.ended else waiting_for(task, await sessions.pool(db), now())
    return view(task, tries).model_copy(
        update={"queue_ahead": ahead, "queue_length": length, "waiting_for": why}
    )


def view(task: Task, tries: list[tuple[Attempt, str]] | None = None) -> asked.Task:
    """Return a task as its client sees it; in lists without its attempts."""
    latest = tries[-1][0] if tries else None
    return asked.Task(
        **task.belonging.model_dump(),
        **task.progress.model_dump(exclude={"stage"}),
        id=task.id,
        status=task.status,
        stage=task.stage,
        job=task.job,
        revision=task.revision,
        attempt=task.attempt,
        session=task.session,
        upstream_id=latest.upstream_id if latest else None,
        results=task.results,
        attempts=tuple(_attempt(a, label) for a, label in tries or ()),
        error_code=task.error_code,
        error_kind=task.error_code.kind if task.error_code else None,
        error_message=task.error_message,
        upstream_code=task.upstream_code,
        upstream_charged=latest.charged if latest else None,
        terms=task.terms,
        webhook_url=task.webhook.shown if task.webhook else None,
        files_deleted_at=task.files_deleted_at,
        told_at=latest.said_at if latest and task.status == "polling" else None,
        created_at=task.created_at,
        updated_at=task.updated_at or task.created_at,
        started_at=task.started_at,
        finished_at=task.finished_at,
    )


def summary(
    task: Task, latest: Attempt | None = None, why: str | None = None
) -> asked.Task:
    """Return a task for a list: its prompt cut, its attempts left out."""
    job = task.job.model_copy(update={"prompt": task.job.prompt[:PROMPT_SHOWN]})
    whole = view(task, [(latest, "")] if latest else None)
    short = {"job": job, "attempts": (), "waiting_for": why}
    return whole.model_copy(update=short)


def page_of(
    found: list[Task],
    latest: dict[str, Attempt],
    pool: list[Session],
    cursor: str | None,
    counts: asked.Stats | None,
) -> asked.TaskPage:
    """Return a page of a list; it ends early where it would outgrow a message."""
    moment = now()
    shown: list[asked.Task] = []
    size = 0
    for task in found:
        line = summary(task, latest.get(task.id), waiting_for(task, pool, moment))
        size += len(line.model_dump_json().encode())
        if shown and size > PAGE_BYTES:
            before = found[len(shown) - 1]
            cursor = listing.cursor_after(before)
            break
        shown.append(line)
    return asked.TaskPage(tasks=tuple(shown), cursor=cursor, counts=counts)


def _attempt(attempt: Attempt, label: str) -> asked.AttemptView:
    return asked.AttemptView(
        n=attempt.n,
        session=attempt.session,
        session_label=label,
        state=attempt.state,
        submit_id=attempt.submit_id,
        upstream_id=attempt.upstream_id,
        sends=attempt.sends,
        charged=attempt.charged,
        reason=attempt.reason,
        error_code=attempt.error_code,
        error_kind=attempt.error_code.kind if attempt.error_code else None,
        upstream_code=attempt.upstream_code,
        reserved_at=attempt.reserved_at,
        permitted_at=attempt.permitted_at,
        ended_at=attempt.ended_at,
    )
