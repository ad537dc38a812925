"""One command in, its results in the store or why they cannot be had out."""

import logging

from blobs import StorageFullError
from contracts.bus import Bus
from contracts.delivery import Again
from contracts.tasks import Stored, StoreFailed, StoreResults
from downloader import domain
from downloader.batch import Batch, Found, Source
from downloader.runs import Runs
from downloader.storing import Shelf
from runtime.room import RETRY_SECONDS, NoRoomError, Room

# Some 30 s of pauses: after that a link of lower bit rate is better than none.
PATIENCE = 5
SURE = 3  # runs that find no result before it counts as never to be had

log = logging.getLogger("downloader")


def register(
    bus: Bus,
    shelf: Shelf,
    source: Source,
    room: Room,
    *,
    concurrency: int,
    deadline_seconds: float,
) -> None:
    """Take the results of finished jobs. What is stored already is not fetched.

    Without room for more they wait, and as long as they must: they are paid for.
    """
    runs = Runs()

    @bus.consume(
        StoreResults,
        concurrency=concurrency,
        restartable=True,
        deadline_seconds=deadline_seconds,
    )
    async def store_results(command: StoreResults) -> None:
        run = runs.begun(command.key)
        batch = Batch(bus, shelf, source, room, patient=run <= PATIENCE)
        try:
            found = await batch.store(command)
        except (NoRoomError, StorageFullError) as error:
            runs.uncounted(command.key)
            log.warning("results wait for room: %s", error)
            raise Again(RETRY_SECONDS, uncounted=True) from None
        if found.lost and run < SURE:
            raise found.lost[0]  # it is paid for: a CDN may err for a moment
        await bus.emit(_outcome(command, found))
        runs.ended(command.key)


def _outcome(command: StoreResults, found: Found) -> Stored | StoreFailed:
    """Say what is there; only where nothing is, that it cannot be had."""
    for error in found.lost:
        log.error("result cannot be had: %s", error)
    if not found.results:
        return domain.failed(command, str(found.lost[0]))
    size = sum(result.size for result in found.results)
    log.info("results are stored", extra={"bytes": size})
    return domain.stored(command, found.results)
