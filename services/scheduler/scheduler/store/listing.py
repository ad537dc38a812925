"""Statements that look for tasks: a page of those that fit, and how many there are."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.requests import ListTasks, Stats, TaskFilter
from contracts.values import TERMINAL
from scheduler.domain.rows import Task
from scheduler.store.tables import tasks
from scheduler.store.tasks import stored_results, task_of

_AFTER = tasks.alias("after")
_RETRIED = exists().where(
    _AFTER.c.retry_of == tasks.c.id, _AFTER.c.deleted_at.is_(None)
)


async def page(db: AsyncConnection, wish: ListTasks) -> tuple[list[Task], str | None]:
    """Return some tasks, the newest first, and where the next page begins.

    Raises ValueError for a cursor that is none of ours.
    """
    query = (
        select(tasks)
        .where(*_fitting(wish, wish.seen_by))
        .order_by(tasks.c.created_at.desc(), tasks.c.id.desc())
    )
    if wish.cursor:
        place = tuple_(tasks.c.created_at, tasks.c.id)
        query = query.where(place < _place_of(wish.cursor))
    rows = (await db.execute(query.limit(wish.limit + 1))).all()
    stored = await stored_results(db, [r.id for r in rows if r.status == "succeeded"])
    found = [task_of(r, stored.get(r.id, ())) for r in rows[: wish.limit]]
    return found, cursor_after(found[-1]) if len(rows) > wish.limit else None


def cursor_after(task: Task) -> str:
    """Return where a page that ends with this task goes on."""
    at = task.created_at.astimezone(UTC).replace(tzinfo=None)
    return f"{at.isoformat()}Z_{task.id}"


def _place_of(cursor: str) -> tuple[datetime, str]:
    at, _, task_id = cursor.partition("_")
    try:
        return datetime.fromisoformat(at).astimezone(UTC), task_id
    except (ValueError, OverflowError):
        raise ValueError("not a cursor of ours") from None


async def counts(db: AsyncConnection, wish: TaskFilter, seen_by: str | None) -> Stats:
    """Return how many of the tasks that fit there are in each status."""
    rows = await db.execute(
        select(tasks.c.status, func.count())
        .where(*_fitting(wish, seen_by))
        .group_by(tasks.c.status)
    )
    by: dict[str, int] = {r.status: r[1] for r in rows}
    ended = {s: by.get(s, 0) for s in TERMINAL}
    total, queued = sum(by.values()), by.get("queued", 0)
    running = total - queued - sum(ended.values())
    return Stats(total=total, queued=queued, running=running, **ended)


def _fitting(wish: TaskFilter, seen_by: str | None) -> Iterator[ColumnElement[Any]]:
    """Give the conditions of a filter; deleted tasks fit none."""
    table = tasks.c
    yield table.deleted_at.is_(None)
    for owner in filter(None, (seen_by, wish.owner)):
        yield table.owner == owner
    for column, one_of in (
        (table.status, (wish.status, *wish.statuses)),
        (table.kind, (wish.kind,)),
        (table.model, wish.models),
    ):
        wanted = [each for each in one_of if each]
        if len(wanted) == 1:  # then an index gives them in the order of the list
            yield column == wanted[0]
        elif wanted:
            yield column.in_(wanted)
    for column, first, end in (
        (table.created_at, wish.created_from, wish.created_before),
        (table.finished_at, wish.finished_from, wish.finished_before),
    ):
        if first:
            yield column >= first
        if end:
            yield column < end
    if wish.text:
        prompt = table.job["prompt"].as_string()
        yield prompt.icontains(wish.text, autoescape=True)
    if wish.retried is not None:
        yield _RETRIED if wish.retried else ~_RETRIED
