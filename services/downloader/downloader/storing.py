"""One result from its links into the store: the best link first, renewed when old."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import media
from blobs import BlobError, Draft, MissingError, Store, Written
from contracts.values import Item, Kind, ResultRef
from downloader.domain import Place
from downloader.fetch import ExpiredError, Fetcher, TroubleError, UselessError

Renew = Callable[[int, Item], Awaitable[Sequence[str]]]

log = logging.getLogger("downloader")


class NeverError(Exception):
    """No link gives the result, nor will one."""


@dataclass(frozen=True)
class Shelf:
    """Where results lie, with a picture beside each film."""

    store: Store
    ffmpeg: str = ""

    async def before(self, place: Place) -> ResultRef | None:
        """Return a result when it is there already and good."""
        key = place.among(await self.store.keys(place.task))
        if key is None:
            return None
        try:
            found = await media.probe(self.store.path(key))
            written = await self.store.measure(key)
        except (media.NotMediaError, MissingError):
            return None
        return await self.described(place, key, found, written)

    async def described(
        self, place: Place, key: str, found: media.Probed, written: Written
    ) -> ResultRef:
        """Return what is told of a stored result; its picture is made where missing."""
        poster = await self._poster(place, key, found)
        return place.result(key, found, written, poster)

    async def _poster(self, place: Place, key: str, found: media.Probed) -> str | None:
        """Return the key of a film's picture; None: it has none, which is no harm."""
        if found.kind != "video":
            return None
        try:
            if not await self.store.exists(place.poster):
                film = self.store.path(key)
                length = found.duration_ms or 0
                made = await media.poster(film, length, given=self.ffmpeg)
                await self.store.put(place.poster, _once(made))
        except (media.PosterError, BlobError, OSError) as error:
            log.warning("no poster: %s", error)
            return None
        return place.poster


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


class Storing:
    """Stores the results of one task.

    `patient`: wait for a better link that is in trouble instead of taking the next.
    """

    def __init__(
        self, shelf: Shelf, fetcher: Fetcher, renew: Renew, kind: Kind, *, patient: bool
    ) -> None:
        self._shelf = shelf
        self._fetcher = fetcher
        self._renew = renew
        self._kind = kind
        self._patient = patient

    async def store(self, place: Place, item: Item) -> ResultRef:
        """Store one result. Raises NeverError, and what may work later."""
        async with self._shelf.store.draft(place.draft) as draft:
            reason = "the site gives no link to it"
            try:
                if result := await self._first(place, item.urls, draft):
                    return result
            except (ExpiredError, UselessError) as error:
                reason = str(error)
                log.info("asking for new links: %s", reason)
            fresh = await self._renew(place.index, item)
            try:
                if result := await self._first(place, fresh, draft):
                    return result
            except UselessError as error:
                reason = str(error)
            await draft.discard()
        raise NeverError(reason)

    async def _first(
        self, place: Place, urls: Sequence[str], draft: Draft
    ) -> ResultRef | None:
        """Take the first link that gives a good file; None when there are no links."""
        problem: UselessError | TroubleError | None = None
        for url in urls:
            try:
                await self._fetcher.fetch(url, draft)
                return await self._keep(place, draft)
            except (TroubleError, UselessError) as error:
                if self._patient and isinstance(error, TroubleError):
                    raise
                log.warning("link of no use: %s", error)
                problem = problem if isinstance(problem, TroubleError) else error
        if problem:
            raise problem
        return None

    async def _keep(self, place: Place, draft: Draft) -> ResultRef:
        """Verify what came, then give it its name."""
        try:
            found = await media.probe(draft.path)
        except media.NotMediaError as error:
            await draft.restart("")
            raise UselessError(str(error)) from None
        if found.kind != self._kind:
            await draft.restart("")
            raise UselessError(f"of kind {found.kind}, not {self._kind}")
        key = place.key(found.extension)
        written = await draft.commit(key)
        return await self._shelf.described(place, key, found, written)
