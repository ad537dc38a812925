"""A browser context's only way out: a SOCKS 5 server inside the signer.

It lets through what the fence allows, by the session's own proxy. It is what makes a
submit leave once: Chromium by itself sends a POST again when a connection it has used
before is reset (measured, version 156), and a browser that froze after its request was
let through would send it minutes later.
"""

import asyncio
import logging
import socket
import struct
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from time import monotonic
from urllib.parse import urlsplit

from boundary import boundary
from signer.dial import dial

CHUNK_BYTES = 64 * 1024
DIAL_SECONDS = 15.0
_HTTPS = 443
_OK, _NOT_ALLOWED, _UNREACHABLE = 0, 2, 4  # RFC 1928, section 6
_BY_IPV4, _BY_NAME = 1, 3
log = logging.getLogger("signer")


class Fence:
    """Which hosts a page may reach: one origin's, or the site's domains by HTTPS."""

    def __init__(self, origin: str | None, domains: Collection[str]) -> None:
        self._domains = tuple(domains)
        self._only = place_of(origin) if origin else None

    def allows(self, host: str, port: int) -> bool:
        """Tell whether a connection may be opened."""
        host = host.lower()
        if self._only:
            return (host, port) == self._only
        inside = any(host == d or host.endswith(f".{d}") for d in self._domains)
        return inside and port == _HTTPS


def place_of(url: str) -> tuple[str, int]:
    """Return host and port of a URL; nothing allows the place of what is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": _HTTPS}.get(parts.scheme, 0)
    except ValueError:
        return "", 0
    return parts.hostname or "", port


@dataclass(eq=False)
class _Tunnel:
    """One connection of the browser to a host; both ends die together."""

    host: str
    near: StreamWriter
    far: StreamWriter | None = None
    cut: bool = False

    def abort(self) -> None:
        self.cut = True
        for end in (self.near, self.far):
            if end:
                _reset(end)


def _reset(end: StreamWriter) -> None:
    """Drop what waits to be sent, in the kernel too: it would leave later."""
    raw = end.get_extra_info("socket")
    if raw and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.transport.abort()


class Exit:
    """The tunnels of one context, and whether another may open.

    `guard` begins a submit: its host's connections are cut, so that it leaves on a new
    one; when one of them ends before `release`, all end and none follows.
    """

    def __init__(self, fence: Fence, proxy: str | None) -> None:
        self._fence = fence
        self._proxy = proxy
        self._server: asyncio.Server | None = None
        self._tunnels: set[_Tunnel] = set()
        self._guarded: str | None = None
        self._until = 0.0
        self._lost = False
        self._shut = False
        self.sent = False
        """Whether a byte has gone to the guarded host since `guard`."""

    async def open(self) -> str:
        """Begin to listen; return the address as a browser takes it."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return f"socks5://127.0.0.1:{port}"

    def guard(self, host: str, seconds: float) -> None:
        """Let one submit leave to a host, within so many seconds."""
        self._cut(host)
        self._guarded, self._until = host, monotonic() + seconds
        self._lost = self.sent = False

    def release(self) -> None:
        """End a submit that was answered."""
        self._guarded = None

    def close(self) -> None:
        """Cut everything at once, for good."""
        self._shut = True
        if self._server:
            self._server.close()
        self._cut(None)

    def _cut(self, host: str | None) -> None:
        for tunnel in list(self._tunnels):
            if host in (None, tunnel.host):
                tunnel.abort()

    async def _serve(self, reader: StreamReader, near: StreamWriter) -> None:
        tunnel = _Tunnel("", near)
        try:
            if stream := await self._opened(tunnel, reader):
                near.write(_reply(_OK))
                await self._carry(tunnel, reader, stream)
        except (OSError, IncompleteReadError, ValueError):
            pass  # a broken tunnel; the browser sees its end
        finally:
            self._ended(tunnel)

    async def _opened(
        self, tunnel: _Tunnel, reader: StreamReader
    ) -> StreamReader | None:
        """Open what the browser asks for; None when it may not, or it failed."""
        async with asyncio.timeout(DIAL_SECONDS):
            host, port = await _asked(reader, tunnel.near)
            if not self._may_open(host, port):
                tunnel.near.write(_reply(_NOT_ALLOWED))
                return None
            tunnel.host = host
            self._tunnels.add(tunnel)
            try:
                far_reader, tunnel.far = await dial(host, port, self._proxy)
            except OSError:
                tunnel.near.write(_reply(_UNREACHABLE))
                raise
            return None if tunnel.cut else far_reader

    def _may_open(self, host: str, port: int) -> bool:
        if self._shut or (self._lost and host == self._guarded):
            return False
        if not self._fence.allows(host, port):
            log.debug("the page asked for %s:%d, outside its fence", host, port)
            return False
        return True

    async def _carry(
        self, tunnel: _Tunnel, reader: StreamReader, back: StreamReader
    ) -> None:
        """Carry bytes both ways until one side ends."""
        ways = {
            asyncio.create_task(self._out(tunnel, reader)),
            asyncio.create_task(_pump(back, tunnel.near)),
        }
        _, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in rest:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    async def _out(self, tunnel: _Tunnel, reader: StreamReader) -> None:
        """Carry what the browser says; after a submit's time nothing more of it."""
        while chunk := await reader.read(CHUNK_BYTES):
            if tunnel.cut or tunnel.far is None:
                return
            if tunnel.host != self._guarded:
                await _put(tunnel.far, chunk)
            elif monotonic() < self._until:
                self.sent = True
                with boundary("page sent"):
                    await _put(tunnel.far, chunk)
            else:
                return

    def _ended(self, tunnel: _Tunnel) -> None:
        self._tunnels.discard(tunnel)
        if not tunnel.cut and tunnel.host and tunnel.host == self._guarded:
            self._lost = True
            self._cut(tunnel.host)
        for end in (tunnel.near, tunnel.far):
            if end:
                end.close()


async def _pump(source: StreamReader, sink: StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(CHUNK_BYTES):
            await _put(sink, chunk)


async def _put(sink: StreamWriter, chunk: bytes) -> None:
    sink.write(chunk)
    await sink.drain()


async def _asked(reader: StreamReader, writer: StreamWriter) -> tuple[str, int]:
    """Read which host and port a SOCKS 5 client wants."""
    methods = (await reader.readexactly(2))[1]
    await reader.readexactly(methods)
    writer.write(b"\x05\x00")
    kind = (await reader.readexactly(4))[3]
    if kind == _BY_NAME:
        length = (await reader.readexactly(1))[0]
        host = (await reader.readexactly(length)).decode("ascii")
    else:
        size = 4 if kind == _BY_IPV4 else 16
        host = str(ip_address(await reader.readexactly(size)))
    return host, int.from_bytes(await reader.readexactly(2))


def _reply(code: int) -> bytes:
    return bytes([5, code, 0, _BY_IPV4, *bytes(6)])
