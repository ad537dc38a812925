"""Requests a second at the gateway, and how long they take: by one process and by two.

A scheduler of its own process answers over a database with tasks that have ended; the
films are read from the disk's cache. The baseline is `GET /ping` of the same run, which
asks nobody.
"""

import asyncio
import itertools
import json
import time
from contextlib import ExitStack
from pathlib import Path

import engine
import uvloop
from rig import cpu_seconds, heading, percentile, rig, row, service

from contracts.values import ResultRef
from support import free_port

AT_ONCE = 32
SECONDS = 3.0
TASKS = 1_000
FILM = bytes(4 * 1024 * 1024)
WISH = json.dumps({"prompt": "a fox in the snow", "model": "jimeng-video-3.0"}).encode()


def asking(method: str, path: str, port: int, body: bytes = b"") -> bytes:
    """Return a request as it travels."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Connection:
    """A kept-alive connection that asks with as little work as it can."""

    def __init__(self, reader, writer, port):
        self._reader, self._writer, self.port = reader, writer, port

    async def ask(self, method, path, body=b""):
        """Ask, and take the whole answer."""
        self._writer.write(asking(method, path, self.port, body))
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
            raise SystemExit(f"{method} {path}: {head!r}")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await self._reader.readexactly(int(length))


async def prepared(folder: Path) -> list[str]:
    """Make a database of tasks that have succeeded, and their one film."""
    data = folder / "data"
    film = data / "blobs" / "t00000000" / "result-0.mp4"
    film.parent.mkdir(parents=True)
    film.write_bytes(FILM)
    engine.RESULT = ResultRef(
        index=0,
        key=f"{film.parent.name}/{film.name}",
        mime="video/mp4",
        size=len(FILM),
        sha256="0",
    )
    bench = engine.Bench(data)
    async with bench.lease:
        writing = asyncio.create_task(bench.writer.run())
        await bench.add_sessions()
        await bench.create(TASKS)
        workers = [asyncio.create_task(bench.worker()) for _ in range(64)]
        while bench.done < TASKS * 6:
            await asyncio.sleep(0.05)
        for task in (*workers, writing):
            task.cancel()
        await asyncio.gather(*workers, writing, return_exceptions=True)
    return [f"t{n:08}" for n in range(TASKS)]


async def connected(ports: list[int]) -> list[Connection]:
    """Open the connections, evenly, once every gateway answers for the scheduler."""
    found = []
    async with asyncio.timeout(60):
        for n, port in zip(range(AT_ONCE), itertools.cycle(ports), strict=False):
            while True:
                try:
                    streams = await asyncio.open_connection("127.0.0.1", port)
                    connection = Connection(*streams, port)
                    if n < len(ports):
                        await connection.ask("GET", "/api/v1/stats")
                except (OSError, SystemExit, asyncio.IncompleteReadError):
                    await asyncio.sleep(0.1)
                else:
                    found.append(connection)
                    break
    return found


async def rate(connections, request):
    """Let all ask for a while; return requests a second and how long each took."""
    took = []
    began = time.monotonic()

    async def work(connection):
        while time.monotonic() - began < SECONDS:
            asked = time.monotonic()
            await connection.ask(*request())
            took.append(time.monotonic() - asked)

    await asyncio.gather(*map(work, connections))
    return len(took) / (time.monotonic() - began), took


async def measure(ports, gateways, tasks):
    """Measure each kind of request, and print."""
    connections = await connected(ports)
    ids = itertools.cycle(tasks)
    kinds = {
        "ping": lambda: ("GET", "/ping"),
        "read": lambda: ("GET", f"/api/v1/tasks/{next(ids)}"),
        "list of 50": lambda: ("GET", "/api/v1/tasks?limit=50"),
        "content, 4 MiB": lambda: ("GET", f"/api/v1/tasks/{next(ids)}/video"),
        # Last: the scheduler takes them in meanwhile, which is work for it.
        "create": lambda: ("POST", "/api/v1/tasks", WISH),
    }
    base = 0.0
    for kind, request in kinds.items():
        before = sum(cpu_seconds(each.pid) for each in gateways)
        found, took = await rate(connections, request)
        spent = sum(cpu_seconds(each.pid) for each in gateways) - before
        base = base or found
        cpu = spent / len(took) * 1000
        row(kind, found, "/s", f"{found / base:.2f} x ping")
        row("  p99", percentile(took, 0.99) * 1000, "ms", f"{cpu:.2f} ms of CPU each")


async def main():
    """Measure with one gateway process, then with two."""
    for count in (1, 2):
        heading(f"The API: {AT_ONCE} connections, gateway processes: {count}")
        async with rig() as (folder, server):
            tasks = await prepared(folder)
            ports = [free_port() for _ in range(count)]
            with ExitStack() as stack:
                stack.enter_context(service("scheduler", folder, server))
                gateways = [
                    stack.enter_context(service("gateway_http", folder, server, port=p))
                    for p in ports
                ]
                await measure(ports, gateways, tasks)


if __name__ == "__main__":
    uvloop.run(main())
