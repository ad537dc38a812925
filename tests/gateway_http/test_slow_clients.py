"""Many clients that are slow on purpose: others notice nothing, and each is closed."""

import asyncio
import socket
import time
from contextlib import suppress

import pytest

from contracts.message import now
from contracts.requests import Task
from contracts.values import Job
from gateway_http.progress import WINDOW_SECONDS

CLIENTS = 200  # of each kind
SECONDS = 60.0
PAUSE, MARGIN = 0.5, 5.0
HEALTHY_SECONDS = 0.5
MIB = 1024 * 1024


HEAD = "GET /ping HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX: "
BODY = (
    "POST /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{{"
)
READ = "GET /api/v1/tasks/done/video HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"


async def drip(connection, begin):
    """Send a request, a byte now and then, until the connection is ended."""
    loop = asyncio.get_running_loop()

    async def send():
        await loop.sock_sendall(connection, begin)
        while True:
            await asyncio.sleep(PAUSE)
            await loop.sock_sendall(connection, b" ")

    sending = asyncio.create_task(send())
    try:
        await loop.sock_recv(connection, 1000)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def sip(connection, begin):
    """Take an answer, a few bytes now and then, until the connection is ended."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, begin)
    # What is here can still be read after the end; only the socket's error tells of it.
    while not connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        await loop.sock_recv(connection, 10)
        await asyncio.sleep(PAUSE)


async def lives(port, behave, begin, until):
    """Connect, be slow until closed; again and again. Return how long each was."""
    loop, found = asyncio.get_running_loop(), []
    while time.monotonic() < until:
        with socket.socket() as connection:
            connection.setblocking(False)  # noqa: FBT003
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(connection, ("127.0.0.1", port))
            began = time.monotonic()
            with suppress(OSError):
                async with asyncio.timeout(2 * WINDOW_SECONDS):
                    await behave(connection, begin.format(port=port).encode())
            found.append(time.monotonic() - began)
    return found


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_slow_clients_are_closed_and_keep_nobody_waiting(
    gateway, scheduler, capsys
):
    result = gateway.store("done/result-0.mp4", bytes(32 * MIB))
    job = Job(model="m", prompt="p", duration=4, ratio="9:16")
    scheduler.tasks["done"] = Task(
        id="done",
        status="succeeded",
        job=job,
        revision=1,
        created_at=now(),
        updated_at=now(),
        results=(result,),
    )
    until, waits = time.monotonic() + SECONDS, []
    slow = {
        name: [
            asyncio.create_task(lives(gateway.app.port, behave, begin, until))
            for _ in range(CLIENTS)
        ]
        for name, behave, begin in (
            ("head", drip, HEAD),
            ("body", drip, BODY),
            ("read", sip, READ),
        )
    }
    while time.monotonic() < until:
        began = time.monotonic()
        assert (await gateway.http.get("/healthz")).status_code == 200
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0.05)
    p99 = sorted(waits)[int(len(waits) * 0.99)]
    told = [f"health p99 {p99 * 1000:.0f} ms of {len(waits)}"]
    for name, tasks in slow.items():
        lasted = [t for each in await asyncio.gather(*tasks) for t in each]
        first, last = min(lasted), max(lasted)
        told.append(
            f"{len(lasted)} slow ({name}) closed after {first:.1f}-{last:.1f} s"
        )
        assert first > WINDOW_SECONDS - 0.5
        assert last < WINDOW_SECONDS + MARGIN
    with capsys.disabled():
        print("", *told, sep="\n")  # noqa: T201 - the figures are the point
    assert p99 < HEALTHY_SECONDS
