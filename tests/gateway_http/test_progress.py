"""Connections that stand still are closed, and no others."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from gateway_http import listener, progress
from gateway_http.listener import Listening, Serving
from gateway_http.progress import LEAST_BYTES, WINDOW_SECONDS, Meter

WINDOW, LEAST = 0.6, 600
LIMIT = 10.0
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"


def test_a_meter_allows_what_moves_and_what_has_just_begun():
    meter = Meter()
    steps = [meter.stalled(t, t * LEAST_BYTES / WINDOW_SECONDS) for t in range(100)]
    assert not any(steps)
    assert not meter.stalled(100, 0)


def test_a_meter_tells_after_the_window_and_begins_anew_after_a_rest():
    meter = Meter()
    stalled = [
        meter.stalled(t, t * (LEAST_BYTES / WINDOW_SECONDS - 1)) for t in range(17)
    ]
    assert stalled.index(True) == WINDOW_SECONDS
    meter.rest()
    assert not meter.stalled(17, 0)


@pytest.fixture
async def site(monkeypatch):
    """Serve a few routes by our listener; windows are short."""
    monkeypatch.setattr(progress, "WINDOW_SECONDS", WINDOW)
    monkeypatch.setattr(progress, "LEAST_BYTES", LEAST)
    monkeypatch.setattr(listener, "SWEEP_SECONDS", 0.02)
    broken = asyncio.Event()

    async def ping(_):
        return PlainTextResponse("pong")

    async def slowly(_):
        await asyncio.sleep(2.5 * WINDOW)  # our own work has no limit
        return PlainTextResponse("done")

    async def echo(request):
        try:
            return PlainTextResponse(str(len(await request.body())))
        except ClientDisconnect:
            broken.set()
            raise

    async def large(_):
        async def chunks():
            for _ in range(400):
                yield bytes(64 * 1024)

        return StreamingResponse(chunks())

    routes = [
        Route("/ping", ping),
        Route("/slowly", slowly),
        Route("/echo", echo, methods=["POST"]),
        Route("/large", large),
    ]
    listening = Listening("127.0.0.1", 0)
    serving = Serving(Starlette(routes=routes), listening, stopping=lambda: None)
    async with listening, serving:
        yield Site(listening.port, broken, serving)


class Site:
    """Where the listener is, and whether a body broke off there."""

    def __init__(self, port, broken, serving):
        self.port, self.broken, self._serving = port, broken, serving

    @property
    def connections(self):
        return self._serving._server.server_state.connections

    @asynccontextmanager
    async def connection(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def drip(writer, data=b"x", pause=0.05):
    """Send a byte now and then, as long as somebody takes it."""
    with suppress(OSError):
        while True:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(pause)


async def answer_to(reader, writer, begin, data=b"x"):
    """Begin, then drip; return what is said in the end, and after how long."""
    began = time.monotonic()
    writer.write(begin)
    dripping = asyncio.create_task(drip(writer, data))
    try:
        async with asyncio.timeout(LIMIT):
            with suppress(ConnectionResetError):
                return await reader.read(), time.monotonic() - began
            return b"", time.monotonic() - began
    finally:
        dripping.cancel()


@pytest.mark.parametrize(
    ("begin", "data"),
    [
        pytest.param(b"", b"\r\n", id="blank lines"),
        pytest.param(b"GET /p", b"p", id="request line"),
        pytest.param(b"GET /ping HTTP/1.1\r\nX: ", b"x", id="header"),
        pytest.param(POST, b"x", id="body"),
    ],
)
async def test_a_request_that_comes_too_slowly_is_ended(site, begin, data):
    async with site.connection() as (reader, writer):
        said, seconds = await answer_to(reader, writer, begin, data)
    # What we still had of it unread may reset the connection before 408 is read.
    assert not said or said.startswith(b"HTTP/1.1 408 ")
    assert WINDOW <= seconds < WINDOW + 2
    if begin == POST:
        async with asyncio.timeout(LIMIT):
            await site.broken.wait()


async def test_who_says_nothing_at_all_is_ended(site):
    async with site.connection() as (reader, _), asyncio.timeout(LIMIT):
        assert b"408" in await reader.read()


async def test_an_endless_head_is_refused(site):
    async with site.connection() as (reader, writer), asyncio.timeout(LIMIT):
        writer.write(b"GET /ping HTTP/1.1\r\nX: " + bytes([120]) * 70_000)
        assert (await reader.read()).startswith(b"HTTP/1.1 431 ")


async def test_what_is_no_request_is_a_problem_too(site):
    async with site.connection() as (reader, writer), asyncio.timeout(LIMIT):
        writer.write(b"GET /ping HTTP/9\r\n\r\n")
        said = await reader.read()
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b'"type": "bad_request"' in said


async def test_an_answer_that_nobody_takes_is_cut(site):
    async with site.connection() as (_, writer), asyncio.timeout(LIMIT):
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        while not site.connections:  # noqa: ASYNC110 - a listener tells nobody
            await asyncio.sleep(0.01)
        began = time.monotonic()
        while site.connections:  # noqa: ASYNC110 - a listener tells nobody
            await asyncio.sleep(0.01)
    assert WINDOW <= time.monotonic() - began < WINDOW + 2


async def test_what_moves_is_left_alone(site):
    body = bytes(100)
    async with site.connection() as (reader, writer), asyncio.timeout(LIMIT):
        head = POST.replace(b"100000", str(len(body) * 30).encode())
        writer.write(head)
        for _ in range(30):  # 2,000 bytes a second, for longer than the window
            writer.write(body)
            await asyncio.sleep(0.05)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_our_own_work_may_take_its_time(site):
    async with site.connection() as (reader, writer), asyncio.timeout(LIMIT):
        writer.write(b"GET /slowly HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_many_small_requests_on_one_connection_are_no_stall(site):
    async with site.connection() as (reader, writer), asyncio.timeout(LIMIT):
        until = time.monotonic() + 2 * WINDOW
        while time.monotonic() < until:
            writer.write(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.readuntil(b"pong")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.1)
