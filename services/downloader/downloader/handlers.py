"""One command in, its results in the store or why they cannot be had out."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

import jimeng
from blobs import StorageFullError
from contracts.bus import Bus
from contracts.delivery import Again
from contracts.tasks import StoreResults
from contracts.values import Item, ResultRef
from contracts.workers import Credential, GetCredential
from downloader import domain
from downloader.domain import Place
from downloader.fetch import Fetcher, TroubleError
from downloader.runs import Runs
from downloader.storing import NeverError, Shelf, Storing
from runtime.room import RETRY_SECONDS, NoRoomError, Room

Site = Callable[[Credential], AbstractAsyncContextManager[jimeng.Jimeng]]
# Some 30 s of pauses: after that a link of lower bit rate is better than none.
PATIENCE = 5
SURE = 3  # runs that find no result before it counts as never to be had

log = logging.getLogger("downloader")


@dataclass(frozen=True)
class Source:
    """Where results come from.

    `carrier` is the client their bytes are fetched with, `site` the one that asks.
    """

    site: Site
    carrier: Site
    upstream: str | None
    hosts: Sequence[str]
    max_bytes: int

    def allow(self, url: str) -> bool:
        """Whether a link is followed."""
        return domain.allowed(url, self.upstream, self.hosts)

    def secured(self, urls: Sequence[str]) -> tuple[str, ...]:
        """Return the links as they are followed, each once."""
        return tuple(dict.fromkeys(domain.secured(u, self.upstream) for u in urls))


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
        patient = run <= PATIENCE
        try:
            results = await _results(bus, shelf, source, room, command, patient=patient)
        except (NoRoomError, StorageFullError) as error:
            runs.uncounted(command.key)
            log.warning("results wait for room: %s", error)
            raise Again(RETRY_SECONDS, uncounted=True) from None
        except NeverError as error:
            if run < SURE:
                raise  # it is paid for: a CDN may err for a moment
            log.error("result cannot be had: %s", error)  # noqa: TRY400 - no defect
            await bus.emit(domain.failed(command, str(error)))
        else:
            size = sum(result.size for result in results)
            log.info("results are stored", extra={"bytes": size})
            await bus.emit(domain.stored(command, results))
        runs.ended(command.key)


async def _results(
    bus: Bus,
    shelf: Shelf,
    source: Source,
    room: Room,
    command: StoreResults,
    *,
    patient: bool,
) -> list[ResultRef]:
    """Store what is not there yet, through one client."""
    results: list[ResultRef] = []
    async with AsyncExitStack() as opened:
        storing: Storing | None = None
        items = command.items or await _told(bus, source, command)
        for index, item in enumerate(items):
            place = Place(command.task, index)
            result = await shelf.before(place)
            if result is None:
                room.check()
                storing = storing or await _open(
                    bus, shelf, source, command, opened, patient=patient
                )
                urls = source.secured(item.urls)
                asked = item.model_copy(update={"urls": urls})
                result = await storing.store(place, asked)
            results.append(result)
    if not results:
        raise NeverError("the site told of no result")
    return results


async def _told(bus: Bus, source: Source, command: StoreResults) -> Sequence[Item]:
    """Ask the site what it made, for a task of a version that did not keep it."""
    credential = await bus.ask(GetCredential(session=command.session))
    async with source.site(credential) as site:
        nodes = await site.history([command.submit_id])
    items = domain.items_of(nodes.get(command.submit_id))
    if items is None:
        raise TroubleError("the site does not show the result at the moment")
    return items


async def _open(
    bus: Bus,
    shelf: Shelf,
    source: Source,
    command: StoreResults,
    opened: AsyncExitStack,
    *,
    patient: bool,
) -> Storing:
    credential = await bus.ask(GetCredential(session=command.session))
    carrier = await opened.enter_async_context(source.carrier(credential))

    async def renew(index: int, item: Item) -> Sequence[str]:
        """Ask the site for the links it gives now, the best first."""
        async with source.site(credential) as site:
            nodes = await site.history([command.submit_id])
            node = nodes.get(command.submit_id)
            links = domain.fresh_links(node, index, item)
            if links is None:
                raise TroubleError("the site does not show the result at the moment")
            best = await site.best_url(item.id) if item.id and links else None
            return source.secured([best, *links] if best else links)

    fetcher = Fetcher(carrier, source.allow, source.max_bytes)
    return Storing(shelf, fetcher, renew, command.kind, patient=patient)
