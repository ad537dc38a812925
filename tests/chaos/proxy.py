"""A TCP proxy on loopback whose connections can be slowed, stalled, cut and lost."""

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

CHUNK = 16 * 1024
TCP_CLOSE = 7  # state in TCP_INFO: our peer has reset the connection
Mode = Literal["open", "stalled", "half_open"]


@dataclass(eq=False)
class _Pair:
    """One connection through the proxy: its two ends, and whether it is lost."""

    near: StreamWriter
    far: StreamWriter
    lost: bool = False

    def end(self, *, reset: bool) -> None:
        for writer in (self.near, self.far):
            if reset:
                _reset(writer)
            else:
                writer.close()


def _reset(writer: StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    with suppress(OSError):
        if raw.fileno() >= 0:
            linger = struct.pack("ii", 1, 0)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


class Proxy:
    """Carries connections to one place, as badly as it is told.

    `stall` holds all bytes back until `heal`; `half_open` swallows them, and `heal`
    resets those connections, as a router that forgot them does. New connections meet
    the same.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pairs: set[_Pair] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._mode: Mode = "open"
        self._moving = asyncio.Event()
        self._moving.set()
        self._delay = 0.0
        self._budget: int | None = None
        self.port = 0

    async def open(self) -> int:
        """Begin to listen; return the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def close(self) -> None:
        """End everything."""
        if self._server:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    # what can be done to its connections

    def slow(self, seconds: float) -> None:
        """Let each piece take so much longer."""
        self._delay = seconds

    def stall(self) -> None:
        """Hold everything back until `heal`."""
        self._mode = "stalled"
        self._moving.clear()

    def half_open(self) -> None:
        """Swallow everything until `heal`; who is there now is lost for good."""
        self._mode = "half_open"
        for pair in self._pairs:
            pair.lost = True

    def cut(self, *, reset: bool) -> None:
        """End all connections now, by FIN or by RST."""
        for pair in list(self._pairs):
            pair.end(reset=reset)

    def cut_after(self, count: int) -> None:
        """Let so many bytes more through, then reset whoever sends the next."""
        self._budget = count

    def heal(self) -> None:
        """Carry everything again; what was lost meanwhile is reset."""
        self._mode, self._delay, self._budget = "open", 0.0, None
        for pair in list(self._pairs):
            if pair.lost or _was_reset(pair):
                pair.end(reset=True)
        self._moving.set()

    # carrying

    def _accept(self, reader: StreamReader, near: StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, near))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: StreamReader, near: StreamWriter) -> None:
        try:
            back, far = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(near)
            return
        pair = _Pair(near, far, lost=self._mode == "half_open")
        self._pairs.add(pair)
        ways = (
            asyncio.create_task(self._carry(pair, reader, far)),
            asyncio.create_task(self._carry(pair, back, near)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._pairs.discard(pair)
            for writer in (near, far):
                writer.close()

    async def _carry(
        self, pair: _Pair, source: StreamReader, sink: StreamWriter
    ) -> None:
        """Carry one way until its end; an error ends the other way as well."""
        while True:
            await self._moving.wait()
            chunk = await source.read(CHUNK)
            await self._moving.wait()
            if pair.lost:
                if not chunk:  # even its end is not told
                    await asyncio.Event().wait()
                continue
            if not chunk:
                break
            if self._delay:
                await asyncio.sleep(self._delay)
            sink.write(self._allowed(pair, chunk))
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()

    def _allowed(self, pair: _Pair, chunk: bytes) -> bytes:
        if self._budget is None:
            return chunk
        part, self._budget = chunk[: self._budget], self._budget - len(chunk)
        if self._budget <= 0:
            self._budget = None
            pair.end(reset=True)
            raise ConnectionResetError("cut in the middle")
        return part


def _was_reset(pair: _Pair) -> bool:
    """Tell whether the near side is gone by RST.

    Its bytes may lie here still, but a network that was down never had them: its
    sender's kernel dropped them with the connection.
    """
    raw = pair.near.get_extra_info("socket")
    if raw is None or raw.fileno() < 0:
        return True
    state: int = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state == TCP_CLOSE
