"""How long files are kept: RETENTION_DAYS, and no longer than a task exists.

A deleted task leaves a mark with its id, so that a create of it that comes late changes
nothing.
A task says first that its files are deleted, then they are: whoever reads it is never
sent to a file that is gone, and no retry begins with references that are.
"""

import logging
from dataclasses import replace
from datetime import timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.bus import Bus
from contracts.message import now
from contracts.requests import Deleted, DeleteTask
from contracts.tasks import CreateTask, DeleteFiles
from contracts.workers import AskOrphans, Orphans
from scheduler.domain.rows import Task
from scheduler.store import deliveries, files, tasks
from scheduler.store.engine import reading
from scheduler.views import changed
from scheduler.work import not_found, refusal
from scheduler.writer import Turn, Writer

AT_ONCE = 100  # tasks in one transaction

log = logging.getLogger("scheduler")


def register(bus: Bus, reads: AsyncEngine, writer: Writer) -> None:
    """Delete tasks, and answer which files lie in the store for nothing."""

    @bus.answer(DeleteTask)
    async def delete_task(request: DeleteTask) -> Deleted:
        return await writer.do(lambda turn: delete(turn, request))

    @bus.answer(AskOrphans)
    async def orphans(request: AskOrphans) -> Orphans:
        # In this order: what was published before has been taken in when none waits.
        taker = CreateTask.durable()
        creates = await bus.jetstream.consumer_info(CreateTask.STREAM, taker)
        if creates.num_pending or creates.num_ack_pending:
            return Orphans()
        async with reading(reads) as db:
            return Orphans(tasks=tuple(await files.orphans(db, request.tasks)))


async def delete_old(reads: AsyncEngine, writer: Writer, age: timedelta | None) -> None:
    """Delete the files of tasks that ended so long ago, the oldest first.

    And of deleted ones, whose files were still needed. They are looked for beside the
    writer, and looked at once more inside it.
    """
    while True:
        async with reading(reads) as db:
            found = await files.of_deleted(db, AT_ONCE)
            if age and not found:
                found = await files.old(db, now() - age, AT_ONCE)
        gone = await writer.do(partial(_delete, found=found)) if found else 0
        if not gone or len(found) < AT_ONCE:
            return


async def delete(turn: Turn, wish: DeleteTask) -> Deleted:
    """Forget an ended task; its references stay while a retry needs them."""
    task = await tasks.load(turn.db, wish.task)
    if task is None or wish.seen_by not in {None, task.belonging.owner}:
        raise not_found("task")
    if not task.ended:
        text = f"the task is {task.status}; only an ended one can be deleted"
        raise refusal(409, "task-running", text)
    if task.deleted_at is None:
        await _forget(turn, task)
    return Deleted(task=task.id, status=task.status)


async def _forget(turn: Turn, task: Task) -> None:
    free = task.id not in await files.needed(turn.db)
    after = replace(
        task,
        job=task.job.model_copy(update={"prompt": "", "files": ()}),
        belonging=task.belonging.model_copy(update={"metadata": {}}),
        results=(),
        error_message=None,
        deleted_at=turn.now,
        updated_at=turn.now,
    )
    if free and not task.files_deleted_at:
        after = replace(after, files_deleted_at=turn.now)
        turn.say(DeleteFiles(task=task.id))
    if event := changed(after, turn.now, before=task):
        turn.say(event)
    await tasks.forget(turn.db, replace(after, revision=task.revision + 1))
    await deliveries.forget(turn.db, task.id)
    log.info("a task was deleted", extra={"task": task.id})


async def _delete(turn: Turn, *, found: list[str]) -> int:
    """Return of how many tasks the files are deleted."""
    needed = await files.needed(turn.db)
    gone = 0
    for task_id in found:
        try:
            task = await tasks.load(turn.db, task_id)
        except ValueError:  # of another version, perhaps
            log.exception("files of a task are not deleted", extra={"task": task_id})
            continue
        if task is None or task_id in needed:
            continue
        after = replace(task, files_deleted_at=turn.now, updated_at=turn.now)
        event = changed(after, turn.now, before=task)
        after = replace(after, revision=task.revision + 1)
        if event and await files.deleted(turn.db, after):
            turn.say(event)
            turn.say(DeleteFiles(task=task_id))
            gone += 1
    return gone
