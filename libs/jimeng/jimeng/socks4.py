"""SOCKS 4a, the one proxy protocol httpx does not speak."""

import ssl
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import httpcore
import httpx

_GRANTED = 0x5A
_REPLY_BYTES = 8
_DEFAULT_PORT = 1080


class Socks4Transport(httpx.AsyncHTTPTransport):
    """An HTTP transport whose connections go through a SOCKS 4a proxy."""

    def __init__(self, proxy: httpx.URL, tls: ssl.SSLContext) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls, network_backend=_Socks4(proxy), keepalive_expiry=5.0
        )


class _Socks4(httpcore.AsyncNetworkBackend):
    """Opens a connection by asking the proxy for it, by host name (SOCKS 4a)."""

    def __init__(self, proxy: httpx.URL) -> None:
        self._proxy = proxy
        self._direct = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore calls it so
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._direct.connect_tcp(
            self._proxy.host,
            self._proxy.port or _DEFAULT_PORT,
            timeout=timeout,
            local_address=local_address,
            socket_options=socket_options,
        )
        try:
            await stream.write(self._request(host, port), timeout)
            await _granted(stream, timeout)
        except BaseException:
            await stream.aclose()
            raise
        return stream

    def _request(self, host: str, port: int) -> bytes:
        # Version 4, CONNECT, port, an address 0.0.0.x that says "by name", user, name.
        user = unquote(self._proxy.username).encode()
        head = b"\x04\x01" + port.to_bytes(2) + b"\x00\x00\x00\x01"
        return head + user + b"\x00" + host.encode("idna") + b"\x00"

    async def connect_unix_socket(self, *_: Any, **__: Any) -> Any:
        raise httpcore.UnsupportedProtocol("a proxy has no UNIX sockets")

    async def sleep(self, seconds: float) -> None:
        await self._direct.sleep(seconds)


async def _granted(stream: httpcore.AsyncNetworkStream, wait: float | None) -> None:
    reply = b""
    while len(reply) < _REPLY_BYTES:
        chunk = await stream.read(_REPLY_BYTES - len(reply), wait)
        if not chunk:
            raise httpcore.ProxyError("the proxy closed the connection")
        reply += chunk
    if reply[1] != _GRANTED:
        raise httpcore.ProxyError("the proxy refused the connection")
