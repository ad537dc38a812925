"""1,000 clients that follow by server-sent events: how long an event takes to them.

The gateway is a process of its own; the clients, and the scheduler that tells, are this
one. Twice: each client on a task of its own, then all on everything. At last the
gateway is stopped and started while it goes on, and every client comes again with its
last id: what it has missed, or got twice, is counted.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from rig import cpu_seconds, heading, memory_mb, percentile, rig, row, service

from contracts.message import now
from contracts.requests import Answer, ReadTask, Task
from contracts.tasks import TaskChanged
from contracts.values import Job
from support import Nats, free_port

CLIENTS = 1_000
RATE = 100.0  # events a second, where each has one client
SECONDS = 15.0
AWAY_SECONDS = 2.0
AGAIN_SECONDS = 0.5
OPENING = 50  # at a time
JOB = Job(model="jimeng-video-3.0", prompt="a fox " * 20, duration=5, ratio="16:9")
SECRET = "0" * 32


class Tales:
    """The tasks, and when what was told of them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.revisions = {f"task-{n}": 1 for n in range(CLIENTS)}
        self.told: dict[tuple[str, int], float] = {}

    async def answer(self, message: Msg) -> None:
        """Answer a read, as the scheduler would."""
        task = ReadTask.parse(message.data).task
        moment = now()
        found = Task(
            id=task,
            status="polling",
            stage="generating",
            job=JOB,
            revision=self.revisions[task],
            created_at=moment,
            updated_at=moment,
        )
        answer = Answer(ok=found.model_dump(mode="json"))
        await self._client.publish(message.reply, answer.model_dump_json().encode())

    async def tell(self, task: str) -> None:
        """Tell the next change of a task."""
        revision = self.revisions[task] = self.revisions[task] + 1
        change = TaskChanged(
            task=task,
            what="progressed",
            revision=revision,
            status="polling",
            stage="generating",
            model=JOB.model,
            prompt=JOB.prompt,
        )
        self.told[task, revision] = time.monotonic()
        await self._client.jetstream().publish(change.subject, change.body())

    async def tell_all(self, seconds: float, rate: float, tasks: list[str]) -> None:
        """Tell of these in turn, so many changes a second."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as telling:
            for n in range(int(seconds * rate)):
                await asyncio.sleep(max(0.0, began + n / rate - time.monotonic()))
                telling.create_task(self.tell(tasks[n % len(tasks)]))


class Reader:
    """A client that comes again whenever its stream ends."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._path = path
        self._last = ""
        self.began = asyncio.Event()
        self.seen: list[tuple[str, int, float]] = []

    async def follow(self) -> None:
        """Follow, until it is cancelled."""
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(self._request())
                    await self._read(reader)
                finally:
                    writer.close()
            await asyncio.sleep(AGAIN_SECONDS)

    def _request(self) -> bytes:
        after = f"Last-Event-ID: {self._last}\r\n" if self._last else ""
        host = f"Host: 127.0.0.1:{self._port}\r\n"
        return f"GET {self._path} HTTP/1.1\r\n{host}{after}\r\n".encode()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            return
        name = b""
        # A chunk is whole events, so the sizes between them are lines of their own.
        while line := await reader.readline():
            if line.startswith(b"event: "):
                name = line[7:-1]
            elif line.startswith(b"id: "):
                self._last = line[4:-1].decode()
            elif line.startswith(b"retry: "):
                self.began.set()
            elif name == b"progressed" and (found := TASK.search(line)):
                self.seen.append((found[1].decode(), int(found[2]), time.monotonic()))


TASK = re.compile(rb'"task": \{"id": "([^"]+)".*?"revision": (\d+)')


@asynccontextmanager
async def following(port: int, paths: list[str]) -> AsyncIterator[list[Reader]]:
    """Open all streams; not all of them at once."""
    readers = [Reader(port, path) for path in paths]
    async with asyncio.TaskGroup() as work:
        running = []
        for n, reader in enumerate(readers):
            running.append(work.create_task(reader.follow()))
            if n >= OPENING:
                await readers[n - OPENING].began.wait()
        await asyncio.gather(*(reader.began.wait() for reader in readers))
        yield readers
        for each in running:
            each.cancel()


async def settled(readers: list[Reader], wanted: int, seconds: float = 30) -> None:
    """Wait until so much was seen, in all, but not for ever."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while sum(len(reader.seen) for reader in readers) < wanted:
                await asyncio.sleep(0.05)


def waits(tales: Tales, readers: list[Reader]) -> list[float]:
    """Return in milliseconds how long each event took to each client."""
    return [
        (at - tales.told[task, revision]) * 1000
        for reader in readers
        for task, revision, at in reader.seen
    ]


def say(what: str, samples: list[float]) -> None:
    """Print how long events took."""
    row(f"{what}, median", percentile(samples, 0.5), "ms", f"{len(samples)} arrivals")
    row(f"{what}, p99", percentile(samples, 0.99), "ms", "", "200")


async def measure(folder: Path, server: Nats) -> None:
    """Tell, listen, and print."""
    client = await server.connect()
    tales = Tales(client)
    await client.subscribe("req.scheduler.read_task", cb=tales.answer)
    tasks, port = list(tales.revisions), free_port()
    settings = {"port": port, "secret_key": SECRET, "log_level": "warning"}
    own = [f"/api/v1/tasks/{task}/events" for task in tasks]
    everything = ["/api/v1/events?limit=0"] * CLIENTS

    with service("gateway_http", folder, server, **settings) as gateway:
        idle = await memory_when_up(port, gateway.pid)
        async with following(port, own) as readers:
            each = (memory_mb(gateway.pid) - idle) * 1024 / CLIENTS
            row("memory of a client", each, "KB")
            before = cpu_seconds(gateway.pid)
            await tales.tell_all(SECONDS, RATE, tasks)
            await settled(readers, len(tales.told))
            spent = (cpu_seconds(gateway.pid) - before) * 1000 / len(tales.told)
            say("an event to its one client", waits(tales, readers))
            row("CPU of an event, gateway", spent, "ms", f"at {RATE:.0f} a second")
        tales.told.clear()
        async with following(port, everything) as readers:
            before = cpu_seconds(gateway.pid)
            await tales.tell_all(SECONDS, 2, tasks[:1])
            await settled(readers, len(tales.told) * CLIENTS)
            spent = (cpu_seconds(gateway.pid) - before) * 1000 / len(tales.told)
            say(f"an event to {CLIENTS:,} clients", waits(tales, readers))
            row("CPU of such an event, gateway", spent, "ms")
    await over_a_restart(folder, server, tales, settings, own)
    await client.close()


async def over_a_restart(
    folder: Path,
    server: Nats,
    tales: Tales,
    settings: dict[str, object],
    paths: list[str],
) -> None:
    """Stop the gateway while it is told, start it again, and count."""
    tasks, port = list(tales.revisions), int(str(settings["port"]))
    tales.told.clear()
    async with asyncio.TaskGroup() as work:
        stopping = service("gateway_http", folder, server, **settings)
        gateway = stopping.__enter__()
        await memory_when_up(port, gateway.pid)
        async with following(port, paths) as readers:
            known = dict(tales.revisions)
            telling = work.create_task(tales.tell_all(SECONDS, RATE, tasks))
            await asyncio.sleep(SECONDS / 3)
            await asyncio.to_thread(stopping.__exit__, None, None, None)
            await asyncio.sleep(AWAY_SECONDS)
            with service("gateway_http", folder, server, **settings):
                await telling
                await settled(readers, len(tales.told), 60)
                await asyncio.sleep(1)  # what would come twice may still come
                seen = Counter((t, r) for reader in readers for t, r, _ in reader.seen)
    wanted = {
        (t, r) for t in tasks for r in range(known[t] + 1, tales.revisions[t] + 1)
    }
    row("told while the gateway was stopped and started", len(wanted), "events")
    row("of these missed", len(wanted - seen.keys()), "", "", "0")
    row("of these sent twice", sum(n - 1 for n in seen.values()), "", "", "0")
    row("the longest wait", max(waits(tales, readers)) / 1000, "s")


async def memory_when_up(port: int, pid: int) -> float:
    """Wait for the gateway to listen; return its memory."""
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return memory_mb(pid)
            await asyncio.sleep(0.1)


async def main() -> None:
    """Measure, and print."""
    heading(f"Live: {CLIENTS:,} clients of server-sent events")
    async with rig() as (folder, server):
        await measure(folder, server)


if __name__ == "__main__":
    uvloop.run(main())
