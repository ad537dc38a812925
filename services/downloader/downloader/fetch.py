"""Brings the bytes behind a link into a draft, going on where it stopped."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import urlsplit

import httpx

import jimeng
from blobs import Draft
from downloader import domain

CHUNK_BYTES = 1024 * 1024
MOST_REDIRECTS = 5
MOST_TRIES = 3  # in a row without a byte more


class LinkError(Exception):
    """A link did not give its file."""


class ExpiredError(LinkError):
    """The link is too old: a new one may be had."""


class UselessError(LinkError):
    """This link will not give the file, however often it is tried."""


class TroubleError(LinkError):
    """It did not work now."""


class Fetcher:
    """Fetches through one client, only what is allowed, only up to a limit."""

    def __init__(
        self, site: jimeng.Jimeng, allow: Callable[[str], bool], limit: int
    ) -> None:
        self._site = site
        self._allow = allow
        self._limit = limit

    async def fetch(self, url: str, draft: Draft) -> None:
        """Fill the draft. A broken transfer is gone on with at once while it moves.

        Raises LinkError, and what the disk has to say.
        """
        stuck = 0
        while True:
            before = draft.size
            try:
                await self._transfer(url, draft)
            except TroubleError:
                stuck = 0 if draft.size > before else stuck + 1
                if stuck >= MOST_TRIES:
                    raise
            else:
                return

    async def _transfer(self, url: str, draft: Draft) -> None:
        headers = domain.resuming(draft.size, draft.tag)
        try:
            async with self._opened(url, headers) as response:
                await self._take(response, draft)
        except httpx.TransportError as error:
            host = urlsplit(url).netloc
            raise TroubleError(f"{host}: {type(error).__name__}") from None
        except (httpx.InvalidURL, httpx.HTTPError, UnicodeError) as error:
            raise UselessError(f"not a link: {type(error).__name__}") from None

    @asynccontextmanager
    async def _opened(
        self, url: str, headers: dict[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """Follow redirects, each of them only where it is allowed."""
        for _ in range(MOST_REDIRECTS):
            if not self._allow(url):
                host = urlsplit(url).netloc
                raise UselessError(f"{host} is not among DOWNLOAD_HOSTS")
            async with self._site.stream(url, headers=headers) as response:
                if not response.has_redirect_location:
                    yield response
                    return
                url = str(response.url.join(response.headers["location"]))
        raise UselessError("too many redirects")

    async def _take(self, response: httpx.Response, draft: Draft) -> None:
        told, status = response.headers, response.status_code
        match domain.meaning(status, told, draft.size, draft.tag):
            case "all":
                await draft.restart(domain.tag_of(told))
            case "rest":
                pass
            case "complete":
                return
            case "expired":
                raise ExpiredError(f"HTTP {status}")
            case "useless":
                raise UselessError(f"HTTP {status}")
            case "later":
                raise TroubleError(f"HTTP {status}")
            case "anew":
                await draft.restart("")
                raise TroubleError(f"HTTP {status} does not go on where we are")
        await self._fill(response, draft, domain.total_of(told))

    async def _fill(
        self, response: httpx.Response, draft: Draft, total: int | None
    ) -> None:
        if total is not None and total > self._limit:
            raise UselessError(f"larger than {self._limit} bytes")
        async with _Writing(draft, self._limit) as writing:
            async for chunk in response.aiter_raw():
                await writing.add(chunk)
        if total is not None and draft.size != total:
            await draft.restart("")
            raise TroubleError(f"not the {total} bytes that were told")


class _Writing:
    """Writes a piece while the next one comes; left, all that came is written."""

    def __init__(self, draft: Draft, limit: int) -> None:
        self._draft = draft
        self._left = limit - draft.size
        self._waiting = bytearray()
        self._busy: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Also what came before it broke off."""
        await self._flush()
        await self._written()

    async def add(self, chunk: bytes) -> None:
        """Take a piece. Raises UselessError at the limit, and what a write raised."""
        self._left -= len(chunk)
        if self._left < 0:
            raise UselessError("larger than DOWNLOAD_MAX_BYTES")
        self._waiting += chunk
        if len(self._waiting) >= CHUNK_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        await self._written()
        if self._waiting:
            piece, self._waiting = self._waiting, bytearray()
            self._busy = asyncio.create_task(self._draft.write(piece))

    async def _written(self) -> None:
        if self._busy:
            # Cut off here, the piece is waited for once more: were it given up, or the
            # next written before it, the rest would be asked for from a wrong place.
            await asyncio.shield(self._busy)
            self._busy = None
