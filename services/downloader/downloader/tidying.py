"""What is in the store for nothing is taken out of it, where the scheduler says so."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from blobs import Store
from contracts.bus import Bus
from contracts.tasks import DeleteFiles, DeleteResults
from contracts.workers import AskOrphans
from downloader.domain import is_result
from runtime.background import running

EVERY_SECONDS = 3600.0
SOON_SECONDS = 60.0  # after a round that did not go well
PART_SECONDS = 3600.0  # one that is being written is touched with each piece
ORPHAN_SECONDS = 86_400.0
AT_ONCE = 500

log = logging.getLogger("downloader")


def register(bus: Bus, store: Store) -> None:
    """Take what is to be deleted; what is not there any more is no error."""

    @bus.consume(DeleteFiles, concurrency=4)
    async def delete_files(command: DeleteFiles) -> None:
        for prefix in command.keys or (command.task,):
            await store.delete(prefix)
        log.info("files are deleted, nobody needs them")

    @bus.consume(DeleteResults, concurrency=4)
    async def delete_results(command: DeleteResults) -> None:
        for key in filter(is_result, await store.keys(command.task)):
            await store.delete(key)
        log.info("results are deleted, nobody is shown them")


@asynccontextmanager
async def tidied(bus: Bus, store: Store) -> AsyncIterator[None]:
    """Tidy up at once and then every hour, while entered."""

    async def tidy_again() -> None:
        while True:
            pause = EVERY_SECONDS
            try:
                await tidy(bus, store)
            except Exception as error:  # noqa: BLE001 - nobody waits for it
                log.warning("the store was not tidied: %s", error)
                pause = SOON_SECONDS
            await asyncio.sleep(pause)

    async with running(tidy_again):
        yield


async def tidy(bus: Bus, store: Store) -> None:
    """Remove unfinished files of an hour ago, and old files of no task."""
    if parts := await store.sweep(PART_SECONDS):
        log.info("removed %d unfinished files", parts)
    idle = await store.idle(ORPHAN_SECONDS)
    for first in range(0, len(idle), AT_ONCE):
        asked = AskOrphans(tasks=tuple(idle[first : first + AT_ONCE]))
        for task in (await bus.ask(asked)).tasks:
            await store.delete(task)
            log.info("files of no task are deleted", extra={"task": task})
