"""The one HTTP client of an account: everything it sends goes through its proxy."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx
from pydantic import SecretStr

from boundary import boundary
from jimeng.errors import NoAnswer, Unreachable
from jimeng.socks4 import Socks4Transport

Gate = Callable[[], None]

# TimeoutError is an OSError; the middle two are a host or a header that cannot be sent.
_BREAKS = (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError)
# Films come in pieces of this size: with 64 KiB each, a third more of a CPU goes into
# taking them in (300 MiB from loopback). The event loop reads as much at a time.
httpcore.AsyncHTTP11Connection.READ_NUM_BYTES = 256 * 1024
MAX_ANSWER_BYTES = 32 * 1024 * 1024  # far above any answer; bounds our memory


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and text of an answer, and when the site says it was."""

    status: int
    text: str
    date: str = ""


def transport(proxy: SecretStr | None) -> httpx.AsyncBaseTransport:
    """A transport through a session's proxy, or straight when it has none.

    For callers that fetch with a client of their own; the environment's proxy
    settings are not looked at.
    """
    if proxy is None:
        return httpx.AsyncHTTPTransport(verify=_tls(), trust_env=False)
    url = httpx.URL(proxy.get_secret_value())
    if url.scheme == "socks4":
        return Socks4Transport(url, _tls())
    if url.scheme == "socks":
        url = url.copy_with(scheme="socks5")
    return httpx.AsyncHTTPTransport(verify=_tls(), trust_env=False, proxy=url)


@cache
def _tls() -> ssl.SSLContext:
    """Reading the certificates takes 20 ms, so all accounts share one context."""
    return httpx.create_ssl_context(trust_env=False)


class _Departure:
    """Notes that a request's bytes leave, and asks its gate right before.

    httpx calls it with each step of the connection; the CONNECT of a proxy tunnel
    is not yet the request.
    """

    def __init__(self, gate: Gate | None) -> None:
        self._gate = gate
        self.left = False
        self.stopped: Exception | None = None

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith("send_request_body.complete"):
            with boundary("site sent"):
                return
        if not event.endswith("send_request_headers.started"):
            return
        if info["request"].method == b"CONNECT":
            return
        try:
            if self._gate:
                self._gate()
        except Exception as error:
            self.stopped = error
            raise
        self.left = True


class Wire:
    """Sends requests and reads their answers, telling *not sent* from *no answer*."""

    def __init__(self, proxy: SecretStr | None, timeout: float) -> None:
        refuse_all = DefaultCookiePolicy(allowed_domains=[])
        self.http = httpx.AsyncClient(
            transport=transport(proxy),
            timeout=timeout,
            trust_env=False,
            cookies=CookieJar(policy=refuse_all),
        )

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | AsyncIterator[bytes] | None = None,
        gate: Gate | None = None,
        within: float | None = None,
    ) -> Reply:
        """Send and read the whole answer, `within` so many seconds.

        Raises Unreachable when nothing was sent, NoAnswer when something was, and
        what the gate raises.
        """
        departure = _Departure(gate)
        try:
            request = self.http.build_request(
                method,
                url,
                headers=headers,
                content=content,
                extensions={"trace": departure},
            )
            async with asyncio.timeout(within):
                return await self._read(request)
        except _BREAKS as error:
            if departure.stopped:
                raise departure.stopped from None
            host = urlsplit(url).netloc
            raise _broken(host, error, left=departure.left) from None

    async def _read(self, request: httpx.Request) -> Reply:
        content = bytearray()
        with boundary("site exchange", request.url.path):
            response = await self.http.send(request, stream=True)
            try:
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > MAX_ANSWER_BYTES:
                        text = "the answer is too long"
                        raise httpx.DecodingError(text, request=request)
            finally:
                await response.aclose()
        date = response.headers.get("date", "")
        return Reply(response.status_code, content.decode(errors="replace"), date)

    @asynccontextmanager
    async def stream(
        self, url: str, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """An open answer whose body the caller reads; redirects are not followed."""
        with boundary("site download"):
            async with self.http.stream("GET", url, headers=dict(headers)) as response:
                yield response

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()


def _broken(host: str, error: Exception, *, left: bool) -> Unreachable | NoAnswer:
    """The message names the host and the kind of error, never a URL or a proxy."""
    kind = type(error).__name__
    if left:
        return NoAnswer(f"no answer of {host}: {kind}")
    return Unreachable(f"no connection to {host}: {kind}")
