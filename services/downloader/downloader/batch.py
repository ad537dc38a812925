"""The results of one task: stored one after the other, each for itself."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field

import jimeng
from contracts.bus import Bus
from contracts.tasks import StoreResults
from contracts.values import Item, ResultRef
from contracts.workers import Credential, GetCredential
from downloader import domain
from downloader.domain import Place
from downloader.fetch import Fetcher, TroubleError
from downloader.storing import NeverError, Shelf, Storing
from runtime.room import Room

Site = Callable[[Credential], AbstractAsyncContextManager[jimeng.Jimeng]]


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


@dataclass
class Found:
    """What is stored of a task, and why the rest never will be."""

    results: list[ResultRef] = field(default_factory=list)
    lost: list[NeverError] = field(default_factory=list)


class Batch:
    """One run over a task's results, through one client: what is not there is stored.

    `patient`: wait for a better link that is in trouble instead of taking the next.
    """

    def __init__(
        self, bus: Bus, shelf: Shelf, source: Source, room: Room, *, patient: bool
    ) -> None:
        self._bus = bus
        self._shelf = shelf
        self._source = source
        self._room = room
        self._patient = patient
        self._storing: Storing | None = None

    async def store(self, command: StoreResults) -> Found:
        """Try every result; then raise what may work later, if something may."""
        found = Found()
        trouble: TroubleError | None = None
        items = command.items or await self._told(command)
        async with AsyncExitStack() as opened:
            for index, item in enumerate(items):
                try:
                    result = await self._result(command, index, item, opened)
                    found.results.append(result)
                except NeverError as error:
                    found.lost.append(error)
                except TroubleError as error:
                    trouble = trouble or error
        if trouble:
            raise trouble
        if not items:
            found.lost.append(NeverError("the site told of no result"))
        return found

    async def _result(
        self, command: StoreResults, index: int, item: Item, opened: AsyncExitStack
    ) -> ResultRef:
        place = Place(command.task, index)
        if result := await self._shelf.before(place):
            return result
        self._room.check()
        self._storing = self._storing or await self._open(command, opened)
        urls = self._source.secured(item.urls)
        return await self._storing.store(place, item.model_copy(update={"urls": urls}))

    async def _told(self, command: StoreResults) -> Sequence[Item]:
        """Ask the site what it made, for a task of a version that did not keep it."""
        credential = await self._bus.ask(GetCredential(session=command.session))
        async with self._source.site(credential) as site:
            node = await _node(site, command)
        items = domain.items_of(node)
        if items is None:
            raise TroubleError("the site does not show the result at the moment")
        return items

    async def _open(self, command: StoreResults, opened: AsyncExitStack) -> Storing:
        credential = await self._bus.ask(GetCredential(session=command.session))
        carrier = await opened.enter_async_context(self._source.carrier(credential))

        async def renew(index: int, item: Item) -> Sequence[str]:
            """Ask the site for the links it gives now, the best first."""
            async with self._source.site(credential) as site:
                links = domain.fresh_links(await _node(site, command), index, item)
                if links is None:
                    text = "the site does not show the result at the moment"
                    raise TroubleError(text)
                # Of a picture the first link is the best.
                ask = item.id and links and command.kind == "video"
                best = await site.best_url(item.id) if ask else None
                return self._source.secured([best, *links] if best else links)

        source = self._source
        fetcher = Fetcher(carrier, source.allow, source.max_bytes)
        kind = command.kind
        return Storing(self._shelf, fetcher, renew, kind, patient=self._patient)


async def _node(site: jimeng.Jimeng, command: StoreResults) -> jimeng.Node | None:
    images = command.kind == "image"
    nodes = await site.history([command.submit_id], images=images)
    return nodes.get(command.submit_id)
