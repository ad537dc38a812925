"""How many tasks the gateway accepts a second, against bare JetStream publishes.

The gateway is a process of its own, asked by 32 connections that are kept alive. The
baseline are as many publishers to the same stream, each with bodies and ids of the same
size and waiting for its acknowledgement. Both alternate, so that what else the machine
does meets both.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from subprocess import Popen

import uvloop
from nats.aio.client import Client
from rig import cpu_seconds, heading, memory_mb, middle, rig, row, service

from support import Nats, free_port

AT_ONCE = 32
ROUNDS = 4
SECONDS = 3.0
WISH = json.dumps({"prompt": "a fox in the snow", "model": "jimeng-video-3.0"}).encode()


class Connection:
    """A kept-alive connection that asks for tasks, with as little work as it can."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._request = (
            b"POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        ) % (port, len(WISH), WISH)

    async def ask(self) -> bytes:
        """Ask for a task; return the answer's body."""
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        body = await self._reader.readexactly(int(length))
        if not head.startswith(b"HTTP/1.1 201"):
            raise SystemExit(f"not accepted: {head!r} {body!r}")
        return body


async def rate(workers: list[Callable[[], Awaitable[object]]]) -> float:
    """Let them all work for a while; return how often they did, a second."""
    began = time.monotonic()
    done = 0

    async def work(once: Callable[[], Awaitable[object]]) -> None:
        nonlocal done
        while time.monotonic() - began < SECONDS:
            await once()
            done += 1

    await asyncio.gather(*map(work, workers))
    return done / (time.monotonic() - began)


def publisher(client: Client, body: bytes) -> Callable[[], Awaitable[object]]:
    """Return what publishes one create to nobody in particular."""
    js = client.jetstream()

    async def once() -> None:
        task = str(uuid.uuid4())
        headers = {
            "Nats-Msg-Id": f"create:{task}",
            "content-type": "application/json",
            "correlation_id": task,
        }
        await js.publish(
            f"cmd.scheduler.create.{task}", body, stream="CMD", headers=headers
        )

    return once


async def connected(port: int) -> list[Connection]:
    """Open the connections; wait for the gateway to listen."""
    async with asyncio.timeout(60):
        while True:
            try:
                found = [
                    await asyncio.open_connection("127.0.0.1", port)
                    for _ in range(AT_ONCE)
                ]
            except OSError:
                await asyncio.sleep(0.1)
            else:
                return [Connection(*each, port) for each in found]


async def measure(server: Nats, gateway: Popen[bytes], port: int) -> None:
    """Alternate between both, and print."""
    client = await server.connect()
    open_ = await connected(port)
    await rate([each.ask for each in open_])  # warm
    subject = f"cmd.scheduler.create.{json.loads(await open_[0].ask())['task_id']}"
    message = await client.jetstream().get_last_msg("CMD", subject, direct=True)
    bare, accepted, spent, spent_bare = [], [], [], []
    for _ in range(ROUNDS):
        before = time.process_time()
        publish = publisher(client, message.data or b"")
        bare.append(await rate([publish] * AT_ONCE))
        spent_bare.append((time.process_time() - before) / bare[-1] / SECONDS * 1000)
        before = cpu_seconds(gateway.pid)
        accepted.append(await rate([each.ask for each in open_]))
        used = cpu_seconds(gateway.pid) - before
        spent.append(used / accepted[-1] / SECONDS * 1000)
        await client.jetstream().purge_stream("CMD")
    await client.close()
    ratios = [a / b for a, b in zip(accepted, bare, strict=True)]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    row("bare publishes, one process", middle(bare), "/s")
    row(
        "tasks accepted",
        middle(accepted),
        "/s",
        f"{middle(ratios):.2f} x ({spread})",
        "0.5 x",
    )
    row("CPU of a bare publish", middle(spent_bare), "ms")
    row(
        "CPU of an accepted task, gateway",
        middle(spent),
        "ms",
        f"{middle(spent) / middle(spent_bare):.1f} x a publish",
    )
    row("memory of the gateway", memory_mb(gateway.pid), "MB")


async def main() -> None:
    """Measure, and print."""
    heading(f"Accepting: POST /api/v1/tasks, {AT_ONCE} connections")
    async with rig() as (folder, server):
        port = free_port()
        with service("gateway_http", folder, server, port=port) as gateway:
            await measure(server, gateway, port)


if __name__ == "__main__":
    uvloop.run(main())
