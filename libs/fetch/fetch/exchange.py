"""One HTTP request and its answer, through a guard: what fetching and sending share."""

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache

import httpcore

from boundary import boundary
from fetch.errors import FetchError, TroubleError, UselessError
from fetch.guard import Guard
from fetch.urls import Target, masked

# Connecting, and each wait for bytes; the whole has a limit of its own.
_TIMEOUT = {"connect": 10.0, "read": 30.0, "write": 30.0, "pool": 10.0}
Headers = Sequence[tuple[str, str]]


@cache
def _tls() -> ssl.SSLContext:
    """Reading the root certificates takes longer than many a request."""
    return httpcore.default_ssl_context()


def pool(guard: Guard) -> httpcore.AsyncConnectionPool:
    """Return connections for one URL, kept for nothing else."""
    return httpcore.AsyncConnectionPool(
        ssl_context=_tls(),
        max_connections=1,
        max_keepalive_connections=0,
        network_backend=guard,
    )


@asynccontextmanager
async def asked(
    pool: httpcore.AsyncConnectionPool,
    target: Target,
    headers: Headers,
    method: str = "GET",
    body: bytes | None = None,
) -> AsyncIterator[httpcore.Response]:
    """Ask for a target; what it answers is still to be read."""
    url = httpcore.URL(
        scheme=target.scheme.encode(),
        host=target.name.encode(),
        port=target.port,
        target=target.path.encode(),
    )
    with boundary("fetch"):
        async with pool.stream(
            method,
            url,
            headers=[("Host", target.authority), *headers],
            content=body,
            extensions={"timeout": _TIMEOUT},
        ) as response:
            yield response


@asynccontextmanager
async def told(url: str, late: str) -> AsyncIterator[None]:
    """Say what fails in one way, with the URL; `late` is what a time-out means."""
    try:
        yield
    except FetchError as error:
        raise type(error)(f"{masked(url)}: {error}") from None
    except TimeoutError:
        raise _trouble(url, late) from None
    except (httpcore.NetworkError, httpcore.TimeoutException) as error:
        raise _network(url, error) from None
    except httpcore.ProtocolError:
        raise _trouble(url, "broke off, or does not speak HTTP") from None


def header(response: httpcore.Response, name: str) -> str:
    """Return a header, of several the last; empty: there is none."""
    found: Mapping[str, str] = {
        key.decode("latin-1").lower(): value.decode(errors="replace")
        for key, value in response.headers
    }
    return found.get(name, "").strip()


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
