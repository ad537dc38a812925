"""Fetches a stranger's URL: guarded, bounded in bytes and time, in its own words."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import httpcore

from fetch.errors import (
    ForbiddenURLError,
    NotFoundError,
    TooLargeError,
    TroubleError,
    UselessError,
)
from fetch.exchange import asked, header, pool, told
from fetch.guard import Guard, Internet, Network
from fetch.urls import Target, parse

MOST_REDIRECTS = 3
MIB = 1024 * 1024
OK = 200
_REDIRECTS = {301, 302, 303, 307, 308}
_LATER = {408, 425, 429}
_SERVER_ERROR = 500
_HEADERS = [
    ("User-Agent", "jimeng-gateway"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "identity"),
]


class Fetcher:
    """Fetches URLs. `upstream` is the one origin that may be local, port and all.

    No proxy and nothing else of the environment is used: what the guard has checked
    is what is dialled.
    """

    def __init__(self, upstream: str = "", network: Network | None = None) -> None:
        self._upstream = parse(upstream) if upstream else None
        self._guard = Guard(network or Internet(), _place(self._upstream))

    @asynccontextmanager
    async def open(
        self, url: str, *, limit: int, seconds: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give the bytes behind a URL, at most `limit`, all within `seconds`.

        Raises FetchError, also while they are read; nothing else of the network.
        """
        async with (
            told(url, f"did not give its file within {seconds:g} s"),
            asyncio.timeout(seconds),
            pool(self._guard) as connections,
            self._answered(connections, url) as response,
        ):
            _check_length(response, limit)
            async with aclosing(_within(response, limit)) as body:
                yield body

    @asynccontextmanager
    async def _answered(
        self, connections: httpcore.AsyncConnectionPool, url: str
    ) -> AsyncIterator[httpcore.Response]:
        """Follow redirects, each of them only where it is allowed."""
        target = self._allowed(parse(url))
        for _ in range(MOST_REDIRECTS + 1):
            async with asked(connections, target, _HEADERS) as response:
                location = header(response, "location")
                if response.status not in _REDIRECTS or not location:
                    _check_status(response)
                    yield response
                    return
                target = self._allowed(target.joined(location))
        raise UselessError(f"leads on more than {MOST_REDIRECTS} times")

    def _allowed(self, target: Target) -> Target:
        """Refuse a port that is not the web's, so that no other service is spoken to.

        The guard alone knows whether the address may be dialled.
        """
        if self._upstream and target.origin == self._upstream.origin:
            return target
        if not target.usual_port:
            raise ForbiddenURLError("only port 80 for http and 443 for https are used")
        return target


def _place(target: Target | None) -> tuple[str, int] | None:
    return (target.name, target.port) if target else None


def _check_status(response: httpcore.Response) -> None:
    status = response.status
    if status in _LATER or status >= _SERVER_ERROR:
        raise TroubleError(f"answers {status} now")
    if status != OK:
        text = "it must be open to everybody, without signing in"
        raise NotFoundError(f"answers {status}, not the file: {text}")
    if header(response, "content-encoding").lower() not in {"", "identity"}:
        raise UselessError("is sent compressed, which is not taken for media")


def _check_length(response: httpcore.Response, limit: int) -> None:
    length = header(response, "content-length")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)


async def _within(response: httpcore.Response, limit: int) -> AsyncGenerator[bytes]:
    """Count what really comes: a length that was told is a stranger's word."""
    size = 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk


def _too_large(limit: int) -> TooLargeError:
    shown = f"{limit // MIB} MiB" if limit >= MIB else f"{limit} bytes"
    return TooLargeError(f"is larger than {shown}")
