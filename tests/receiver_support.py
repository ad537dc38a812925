"""A receiver of webhooks on loopback: what it got, and answers as a test says."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass

from standardwebhooks import Webhook


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self):
        return json.loads(self.body)

    def verified(self, secret):
        """Check the signature as others do; raises where it does not hold."""
        return Webhook(secret).verify(self.body, self.headers)


class Receiver:
    """Answers with what `answers` hold, then with 204; strings are whole heads."""

    def __init__(self, origin=""):
        self.origin = origin
        self.answers = []
        self.received = asyncio.Queue()
        self.got = []

    async def next(self, seconds=20):
        async with asyncio.timeout(seconds):
            return await self.received.get()

    async def serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            # What is signed keeps its capitals.
            headers |= {
                line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in lines
            }
            body = await reader.readexactly(int(headers["content-length"]))
            answer = self.answers.pop(0) if self.answers else 204
            one = Received(first.split(" ")[1], headers, body)
            self.got.append(one)
            self.received.put_nowait(one)
            if callable(answer):
                await answer(writer)
                return
            text = answer if isinstance(answer, str) else f"{answer} x"
            writer.write(f"HTTP/1.1 {text}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving():
    """Run a receiver."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    receiver.origin = f"http://127.0.0.1:{port}"
    receiver.place = f"127.0.0.1:{port}"
    async with server:
        yield receiver


async def endless(writer):
    """Say yes, and never stop talking."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def silent(writer):
    """Say nothing, until the other side gives up."""
    del writer
    await asyncio.Event().wait()
