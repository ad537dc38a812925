"""The way out of a page: the fence, the session's proxy, and one submit at a time."""

import asyncio
from base64 import b64decode
from contextlib import suppress

import pytest

from signer.dial import ProxyError, dial
from signer.exit import Exit, Fence, place_of

LOGIN = "user:p%40ss"


class Echo:
    """A host that sends everything back; `heard` is what it was told."""

    def __init__(self):
        self.heard = b""
        self.writers = []

    async def serve(self, reader, writer):
        self.writers.append(writer)
        with suppress(OSError):
            while chunk := await reader.read(1000):
                self.heard += chunk
                writer.write(chunk)
        writer.close()


@pytest.fixture
async def echo():
    host = Echo()
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    yield host
    server.close()


@pytest.fixture
async def way(echo):
    way = Exit(Fence(f"http://127.0.0.1:{echo.port}", ()), None)
    way.address = await way.open()
    yield way
    way.close()


async def through(way, host, port):
    return await dial(host, port, way.address)


async def spoken(stream, words):
    stream[1].write(words)
    return await asyncio.wait_for(stream[0].read(len(words)), 5)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://jimeng.jianying.com/x", True),
        ("https://JIANYING.com", True),
        ("http://jimeng.jianying.com", False),
        ("https://jimeng.jianying.com:8443", False),
        ("https://notjianying.com", False),
        ("https://jianying.com.example.org", False),
        ("https://127.0.0.1", False),
        ("blob:https://jianying.com/1", False),
        ("https://[broken", False),
    ],
)
def test_the_fence_lets_the_sites_domains_through_by_https_only(url, allowed):
    assert Fence(None, ("jianying.com",)).allows(*place_of(url)) is allowed


def test_with_an_upstream_exactly_that_origin_is_let_through():
    fence = Fence("http://127.0.0.1:9000", ("jianying.com",))
    assert fence.allows("127.0.0.1", 9000)
    assert not fence.allows("127.0.0.1", 9001)
    assert not fence.allows("jianying.com", 443)


async def test_bytes_go_both_ways_to_an_allowed_host(way, echo):
    assert await spoken(await through(way, "127.0.0.1", echo.port), b"hi") == b"hi"


async def test_any_other_host_is_refused(way, echo):
    with pytest.raises(ProxyError):
        await through(way, "127.0.0.1", echo.port + 1)
    with pytest.raises(ProxyError):
        await through(way, "localhost", echo.port)


async def test_a_submit_leaves_on_a_new_connection(way, echo):
    old = await through(way, "127.0.0.1", echo.port)
    assert await spoken(old, b"a") == b"a"
    way.guard("127.0.0.1", 10)
    with suppress(ConnectionError):
        assert await old[0].read() == b""
    assert not way.sent
    assert await spoken(await through(way, "127.0.0.1", echo.port), b"b") == b"b"
    assert way.sent


async def test_after_a_connection_broke_in_a_submit_none_is_opened(way, echo):
    way.guard("127.0.0.1", 10)
    stream = await through(way, "127.0.0.1", echo.port)
    assert await spoken(stream, b"a") == b"a"
    echo.writers[-1].close()
    assert await stream[0].read() == b""
    with pytest.raises(ProxyError):
        await through(way, "127.0.0.1", echo.port)
    way.release()
    assert await spoken(await through(way, "127.0.0.1", echo.port), b"b") == b"b"


async def test_nothing_leaves_after_a_submits_time(way, echo):
    way.guard("127.0.0.1", 0)
    stream = await through(way, "127.0.0.1", echo.port)
    stream[1].write(b"late")
    assert await stream[0].read() == b""
    assert echo.heard == b""
    assert not way.sent


async def test_a_closed_way_out_cuts_and_refuses_everything(way, echo):
    stream = await through(way, "127.0.0.1", echo.port)
    way.close()
    with suppress(ConnectionError):
        assert await stream[0].read() == b""
    with pytest.raises(OSError):  # noqa: PT011 - whatever the system calls it
        await through(way, "127.0.0.1", echo.port)


class Proxy:
    """A session's proxy that speaks one protocol and wants a login."""

    def __init__(self, scheme):
        self.scheme = scheme
        self.asked = []

    async def serve(self, reader, writer):
        handshake = {"http": self.http, "socks4": self.socks4, "socks5": self.socks5}
        with suppress(asyncio.IncompleteReadError, OSError):
            if await handshake[self.scheme](reader, writer):
                while chunk := await reader.read(1000):
                    writer.write(chunk.upper())
        writer.close()

    async def http(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        login = b64decode(head.partition("Basic ")[2].split("\r\n")[0]).decode()
        self.asked.append((head.split(" ")[1], login))
        writer.write(
            b"HTTP/1.1 200 OK\r\n\r\n" if login else b"HTTP/1.1 407 No\r\n\r\n"
        )
        return bool(login)

    async def socks4(self, reader, writer):
        head = await reader.readexactly(8)
        user = (await reader.readuntil(b"\0"))[:-1].decode()
        host = (await reader.readuntil(b"\0"))[:-1].decode()
        self.asked.append((f"{host}:{int.from_bytes(head[2:4])}", user))
        writer.write(b"\0\x5a" + bytes(6) if user else b"\0\x5b" + bytes(6))
        return bool(user)

    async def socks5(self, reader, writer):
        methods = await reader.readexactly((await reader.readexactly(2))[1])
        if b"\x02" not in methods:
            writer.write(b"\x05\xff")
            return False
        writer.write(b"\x05\x02")
        await reader.readexactly(1)
        user = await reader.readexactly((await reader.readexactly(1))[0])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(b"\x01\x00")
        await reader.readexactly(4)
        host = await reader.readexactly((await reader.readexactly(1))[0])
        port = int.from_bytes(await reader.readexactly(2))
        self.asked.append(
            (f"{host.decode()}:{port}", f"{(user + b':' + password).decode()}")
        )
        writer.write(b"\x05\0\0\x03\x03abc\0\0")
        return True


@pytest.mark.parametrize(
    ("scheme", "login"),
    [("http", "user:p@ss"), ("socks4", "user"), ("socks5", "user:p@ss")],
)
async def test_a_host_is_reached_by_name_through_the_sessions_proxy(scheme, login):
    proxy = Proxy(scheme)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    way = Exit(Fence(None, ("site.test",)), f"{scheme}://{LOGIN}@{place}")
    way.address = await way.open()
    assert await spoken(await through(way, "www.site.test", 443), b"hi") == b"HI"
    assert proxy.asked == [("www.site.test:443", login)]
    with pytest.raises(ProxyError):
        await dial("www.site.test", 443, f"{scheme}://{place}")
    way.close()
    server.close()
