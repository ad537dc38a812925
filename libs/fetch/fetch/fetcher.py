"""Fetches a stranger's URL: guarded, bounded in bytes and time, in its own words."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import cache

import httpcore

from boundary import boundary
from fetch.errors import (
    FetchError,
    ForbiddenURLError,
    NotFoundError,
    TooLargeError,
    TroubleError,
    UselessError,
)
from fetch.guard import Guard, Internet, Network
from fetch.urls import Target, masked, parse

MOST_REDIRECTS = 3
MIB = 1024 * 1024
OK = 200
_REDIRECTS = {301, 302, 303, 307, 308}
_LATER = {408, 425, 429}
_SERVER_ERROR = 500
# Connecting, and each wait for bytes; the whole has a limit of its own.
_TIMEOUT = {"connect": 10.0, "read": 30.0, "write": 30.0, "pool": 10.0}
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
        try:
            async with (
                asyncio.timeout(seconds),
                self._pool() as pool,
                self._answered(pool, url) as response,
            ):
                _check_length(response, limit)
                async with aclosing(_within(response, limit)) as body:
                    yield body
        except FetchError as error:
            raise type(error)(f"{masked(url)}: {error}") from None
        except TimeoutError:
            raise _trouble(url, f"did not give its file within {seconds:g} s") from None
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise _network(url, error) from None
        except httpcore.ProtocolError:
            raise _trouble(url, "broke off, or does not speak HTTP") from None

    def _pool(self) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(
            ssl_context=_tls(),
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=self._guard,
        )

    @asynccontextmanager
    async def _answered(
        self, pool: httpcore.AsyncConnectionPool, url: str
    ) -> AsyncIterator[httpcore.Response]:
        """Follow redirects, each of them only where it is allowed."""
        target = self._allowed(parse(url))
        for _ in range(MOST_REDIRECTS + 1):
            async with _asked(pool, target) as response:
                location = _header(response, "location")
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


@cache
def _tls() -> ssl.SSLContext:
    """Reading the root certificates takes longer than many a fetch."""
    return httpcore.default_ssl_context()


def _place(target: Target | None) -> tuple[str, int] | None:
    return (target.name, target.port) if target else None


@asynccontextmanager
async def _asked(
    pool: httpcore.AsyncConnectionPool, target: Target
) -> AsyncIterator[httpcore.Response]:
    url = httpcore.URL(
        scheme=target.scheme.encode(),
        host=target.name.encode(),
        port=target.port,
        target=target.path.encode(),
    )
    headers = [("Host", target.authority), *_HEADERS]
    with boundary("fetch"):
        async with pool.stream(
            "GET", url, headers=headers, extensions={"timeout": _TIMEOUT}
        ) as response:
            yield response


def _header(response: httpcore.Response, name: str) -> str:
    """Return a header, of several the last; empty: there is none."""
    found: Mapping[str, str] = {
        key.decode("latin-1").lower(): value.decode(errors="replace")
        for key, value in response.headers
    }
    return found.get(name, "").strip()


def _check_status(response: httpcore.Response) -> None:
    status = response.status
    if status in _LATER or status >= _SERVER_ERROR:
        raise TroubleError(f"answers {status} now")
    if status != OK:
        text = "it must be open to everybody, without signing in"
        raise NotFoundError(f"answers {status}, not the file: {text}")
    if _header(response, "content-encoding").lower() not in {"", "identity"}:
        raise UselessError("is sent compressed, which is not taken for media")


def _check_length(response: httpcore.Response, limit: int) -> None:
    told = _header(response, "content-length")
    if told.isdecimal() and int(told) > limit:
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


def _trouble(url: str, text: str) -> TroubleError:
    return TroubleError(f"{masked(url)}: {text}")


def _network(url: str, error: Exception) -> FetchError:
    """A certificate that does not hold will not hold later either."""
    if _is_certificate(error):
        text = "its certificate is not valid"
        return UselessError(f"{masked(url)}: {text}")
    if isinstance(error, (httpcore.TimeoutException, httpcore.ConnectError)):
        return _trouble(url, "cannot be reached now")
    return _trouble(url, "broke off")


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
