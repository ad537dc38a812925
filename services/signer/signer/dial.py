"""Opens a TCP connection to a host, through a session's own proxy where it has one."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from base64 import b64encode
from urllib.parse import SplitResult, unquote, urlsplit

_PORTS = {"http": 80, "https": 443}
_SOCKS_PORT = 1080
_SOCKS4_GRANTED = 0x5A
_LOGIN = 2

Stream = tuple[StreamReader, StreamWriter]


class ProxyError(OSError):
    """The session's proxy did not open the connection. Never names its address."""


async def dial(host: str, port: int, proxy: str | None) -> Stream:
    """Connect, by name at the proxy. Raises OSError."""
    if proxy is None:
        return await asyncio.open_connection(host, port)
    where = urlsplit(proxy)
    stream = await _to_proxy(where)
    try:
        match where.scheme.lower():
            case "http" | "https":
                await _by_connect(stream, host, port, where)
            case "socks4":
                await _by_socks4(stream, host, port, where)
            case _:
                await _by_socks5(stream, host, port, where)
    except BaseException as error:
        stream[1].close()
        if isinstance(error, asyncio.IncompleteReadError | asyncio.LimitOverrunError):
            raise ProxyError("the proxy broke off") from None
        raise
    return stream


async def _to_proxy(where: SplitResult) -> Stream:
    scheme = where.scheme.lower()
    tls = ssl.create_default_context() if scheme == "https" else None
    port = where.port or _PORTS.get(scheme, _SOCKS_PORT)
    return await asyncio.open_connection(where.hostname, port, ssl=tls)


async def _by_connect(s: Stream, host: str, port: int, where: SplitResult) -> None:
    head = f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    if where.username:
        login = f"{unquote(where.username)}:{unquote(where.password or '')}"
        head += f"Proxy-Authorization: Basic {b64encode(login.encode()).decode()}\r\n"
    s[1].write(f"{head}\r\n".encode())
    answer = await s[0].readuntil(b"\r\n\r\n")
    if answer.split(b" ", 2)[1:2] != [b"200"]:
        raise ProxyError("the proxy refused the connection")


async def _by_socks4(s: Stream, host: str, port: int, where: SplitResult) -> None:
    # SOCKS 4a: an address 0.0.0.x says that the name follows.
    user = unquote(where.username or "").encode()
    request = b"\x04\x01" + port.to_bytes(2) + b"\x00\x00\x00\x01" + user
    s[1].write(request + b"\x00" + host.encode("idna") + b"\x00")
    if (await s[0].readexactly(8))[1] != _SOCKS4_GRANTED:
        raise ProxyError("the proxy refused the connection")


async def _by_socks5(s: Stream, host: str, port: int, where: SplitResult) -> None:
    # RFC 1928, with the login of RFC 1929.
    s[1].write(b"\x05\x01\x02" if where.username else b"\x05\x01\x00")
    method = (await s[0].readexactly(2))[1]
    if method == _LOGIN and where.username:
        user, password = unquote(where.username), unquote(where.password or "")
        s[1].write(b"\x01" + _counted(user) + _counted(password))
        method = (await s[0].readexactly(2))[1]
    if method != 0:
        raise ProxyError("the proxy refused the login")
    name = _counted(host.encode("idna").decode())
    s[1].write(b"\x05\x01\x00\x03" + name + port.to_bytes(2))
    reply = await s[0].readexactly(4)
    if reply[1] != 0:
        raise ProxyError("the proxy refused the connection")
    rest = {1: 4, 4: 16}.get(reply[3])
    await s[0].readexactly((rest or (await s[0].readexactly(1))[0]) + 2)


def _counted(text: str) -> bytes:
    raw = text.encode()[:255]
    return bytes([len(raw)]) + raw
