"""How long files are kept: RETENTION_DAYS, and no longer than a task exists.

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
from contracts.tasks import CreateTask, DeleteFiles
from contracts.workers import AskOrphans, Orphans
from scheduler.store import files, tasks
from scheduler.store.engine import reading
from scheduler.views import changed
from scheduler.writer import Turn, Writer

AT_ONCE = 100  # tasks in one transaction

log = logging.getLogger("scheduler")


def register(bus: Bus, reads: AsyncEngine) -> None:
    """Answer which files lie in the store for nothing."""

    @bus.answer(AskOrphans)
    async def orphans(request: AskOrphans) -> Orphans:
        # In this order: what was published before has been taken in when none waits.
        taker = CreateTask.durable()
        creates = await bus.jetstream.consumer_info(CreateTask.STREAM, taker)
        if creates.num_pending or creates.num_ack_pending:
            return Orphans()
        async with reading(reads) as db:
            return Orphans(tasks=tuple(await files.orphans(db, request.tasks)))


async def delete_old(reads: AsyncEngine, writer: Writer, age: timedelta) -> None:
    """Delete the files of tasks that ended so long ago, the oldest first.

    They are looked for beside the writer, and looked at once more inside it.
    """
    while True:
        async with reading(reads) as db:
            found = await files.old(db, now() - age, AT_ONCE)
        gone = await writer.do(partial(_delete, found=found)) if found else 0
        if not gone or len(found) < AT_ONCE:
            return


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
