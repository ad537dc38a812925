"""The proxy does to connections what it says, and no more."""

import asyncio
import socket
import struct

import pytest

from chaos.proxy import Proxy


class Echo:
    """A server that answers what it hears, and remembers it."""

    def __init__(self):
        self.heard = b""
        self.ends = []

    async def open(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        try:
            while chunk := await reader.read(65536):
                self.heard += chunk
                writer.write(chunk)
                await writer.drain()
            self.ends.append("fin")
        except ConnectionResetError:
            self.ends.append("reset")
        writer.close()

    def close(self):
        self._server.close()


@pytest.fixture
async def echo():
    server = Echo()
    server.port = await server.open()
    yield server
    server.close()


@pytest.fixture
async def proxy(echo):
    proxy = Proxy(echo.port)
    await proxy.open()
    yield proxy
    await proxy.close()


@pytest.fixture
async def dial(proxy):
    made = []

    async def dialled():
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        made.append(writer)
        return reader, writer

    yield dialled
    for writer in made:
        writer.close()


async def say(connection, text):
    reader, writer = connection
    writer.write(text)
    return await asyncio.wait_for(reader.readexactly(len(text)), 5)


async def silent(reader):
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.1)


async def test_it_carries_both_ways_whole(dial):
    body = bytes(range(256)) * 2_000
    assert await say(await dial(), body) == body


async def test_an_end_is_carried_and_the_answer_still_comes(dial, echo, until):
    reader, writer = await dial()
    writer.write(b"last words")
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 5) == b"last words"
    await until(lambda: echo.ends == ["fin"])


async def test_slow_is_slow_and_keeps_the_order(dial, proxy):
    connection = await dial()
    proxy.slow(0.05)
    began = asyncio.get_running_loop().time()
    assert await say(connection, b"one two") == b"one two"
    assert asyncio.get_running_loop().time() - began >= 0.1  # there and back
    proxy.heal()
    assert await say(connection, b"three") == b"three"


async def test_what_is_stalled_comes_after_the_healing(dial, proxy, echo):
    connection = await dial()
    await say(connection, b"before ")
    proxy.stall()
    connection[1].write(b"during")
    await silent(connection[0])
    assert echo.heard == b"before "
    proxy.heal()
    assert await asyncio.wait_for(connection[0].readexactly(6), 5) == b"during"


async def test_who_resets_while_stalled_has_sent_nothing(dial, proxy, echo, until):
    connection = await dial()
    await say(connection, b"before")
    proxy.stall()
    connection[1].write(b"POST / buy")
    await silent(connection[0])
    raw = connection[1].get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection[1].transport.abort()
    await silent((await dial())[0])
    proxy.heal()
    await until(lambda: echo.ends)
    assert echo.heard == b"before"


async def test_who_only_closes_while_stalled_is_still_delivered(
    dial, proxy, echo, until
):
    """As a kernel does: what was written before an ordinary close is sent later."""
    connection = await dial()
    proxy.stall()
    connection[1].write(b"POST / buy")
    connection[1].close()
    await silent((await dial())[0])
    proxy.heal()
    await until(lambda: echo.heard == b"POST / buy")


async def test_half_open_swallows_for_good(dial, proxy, echo):
    connection = await dial()
    await say(connection, b"before")
    proxy.half_open()
    connection[1].write(b"lost")
    await silent(connection[0])
    late = await dial()
    late[1].write(b"lost too")
    await silent(late[0])
    proxy.heal()
    for reader, _ in (connection, late):
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
    assert echo.heard == b"before"
    assert await say(await dial(), b"new") == b"new"


async def test_a_cut_is_an_end_and_a_reset_is_a_reset(dial, proxy):
    ended, broken = await dial(), await dial()
    await say(ended, b"x")
    proxy.cut(reset=False)
    assert await asyncio.wait_for(ended[0].read(), 5) == b""
    broken = await dial()
    await say(broken, b"x")
    proxy.cut(reset=True)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(broken[0].read(), 5)
    assert await say(await dial(), b"again") == b"again"


async def test_a_message_is_cut_in_the_middle_once(dial, proxy, echo):
    connection = await dial()
    await say(connection, b"x")
    proxy.cut_after(10)
    connection[1].write(b"y" * 100)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(connection[0].read(), 5)
    assert len(echo.heard) <= 11
    assert await say(await dial(), b"z" * 100) == b"z" * 100


async def test_nobody_behind_it_is_a_reset(proxy, dial, echo):
    echo.close()
    reader, _ = await dial()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)
