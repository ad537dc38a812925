"""Following a task: event by event, over a restart, and without events at all."""

import asyncio
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asgi_support import serving
from contracts.requests import ReadTask
from gateway_http.live.told import comment
from jimeng_client import Client, GatewayError
from jimeng_client.events import Event, events
from sse_support import Story
from support import free_port

LATER = ("submitting", "polling", "downloading", "succeeded")


class Follower:
    """Follows in a thread, as a program would; what it saw is the test's to read."""

    def __init__(self, url, task="t1"):
        self.seen = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._work = asyncio.create_task(asyncio.to_thread(self._follow, url, task))

    def _follow(self, url, task):
        with Client(url) as client:
            for found in client.follow(task):
                self._loop.call_soon_threadsafe(self.seen.put_nowait, found)

    async def next(self):
        async with asyncio.timeout(30):
            return await self.seen.get()

    async def rest(self):
        async with asyncio.timeout(60):
            await self._work
        return [self.seen.get_nowait() for _ in range(self.seen.qsize())]


async def test_each_change_is_given_up_to_the_end(gateway, scheduler, until):
    story = Story(scheduler)
    await story.tell()
    follower = Follower(gateway.url)
    first = await follower.next()
    hub = gateway.app._after[0]
    await until(lambda: hub._of_task)  # it has its snapshot
    await story.go("submitting", "polling", "polling", queue_position=7)
    await story.go("downloading")
    await story.go("failed", stage=None, upstream_charged=False)
    found = await follower.rest()
    reads = [asked for asked in scheduler.asked if isinstance(asked, ReadTask)]

    assert (first.status, first.prompt) == ("queued", "a fox")
    assert [(each.status, each.revision) for each in found] == [
        ("submitting", 2),
        ("polling", 3),
        ("polling", 4),
        ("downloading", 5),
        ("failed", 6),
    ]
    assert found[2].queue_position == 7
    assert {each.prompt for each in found} == {"a fox"}
    assert found[-1].upstream_charged is False  # which no event says
    assert len(reads) == 3  # before, the snapshot, the end


async def test_a_gateway_that_restarts_is_followed_on(scheduler, all_beat, run_gateway):
    await all_beat()
    story, port = Story(scheduler), free_port()
    await story.tell()
    async with run_gateway(port=port) as gateway:
        follower = Follower(gateway.url)
        await follower.next()
        await story.go("submitting")
        assert (await follower.next()).status == "submitting"
    await story.go("polling", "downloading")
    async with run_gateway(port=port):
        await story.go("succeeded")
        found = await follower.rest()
    assert [each.status for each in found] == ["polling", "downloading", "succeeded"]


async def test_where_events_are_refused_the_task_is_read(
    scheduler, all_beat, run_gateway
):
    await all_beat()
    story = Story(scheduler)
    async with run_gateway(followers=0) as gateway:
        follower = Follower(gateway.url)
        await follower.next()
        story.store("polling")  # and nobody tells
        assert (await follower.next()).status == "polling"
        story.store("cancelled")
        found = await follower.rest()
    assert [each.status for each in found] == ["cancelled"]


class CuttingProxy:
    """A gateway behind something that lets no stream stay open."""

    def __init__(self, view, kind="text/event-stream"):
        self.view = view
        self.kind = kind
        self.opened = []
        self.app = Starlette(
            routes=[
                Route("/api/v1/tasks/t1/events", self.stream),
                Route("/api/v1/tasks/t1", self.read),
            ]
        )

    async def stream(self, request):
        self.opened.append(request.headers.get("last-event-id"))
        data = json.dumps({"task": self.view})
        return Response(
            f"event: snapshot\ndata: {data}\nid: 7\n\n", media_type=self.kind
        )

    async def read(self, request):
        return JSONResponse({"task": self.view})


@pytest.mark.parametrize("kind", ["text/event-stream", "text/html"])
async def test_a_stream_that_does_not_stay_open_is_given_up(
    gateway, scheduler, kind, until
):
    story = Story(scheduler)
    shown = (await gateway.http.get("/api/v1/tasks/t1")).json()["task"]
    proxy = CuttingProxy(shown, kind)
    async with serving(proxy.app) as url:
        follower = Follower(url)
        await follower.next()
        story.store("failed", stage=None)
        tries = 3 if kind == "text/event-stream" else 1
        await until(lambda: len(proxy.opened) == tries, 30)
        read = await gateway.http.get("/api/v1/tasks/t1")
        proxy.view = read.json()["task"]
        found = await follower.rest()
    assert [each.status for each in found] == ["failed"]
    assert proxy.opened == [None, "7", "7"][:tries]


async def test_a_task_nobody_knows_is_not_followed(gateway, scheduler):
    with pytest.raises(GatewayError) as no:
        await Follower(gateway.url, "none").rest()
    assert no.value.status == 404


TOLD = (
    b"retry: 3000\n\n"
    b'event: polling\ndata: {"task": {"prompt": "\\u2028f\xc3\xbcchse"}}\nid: 4\n\n'
    + comment("ping")
    + b'event: done\r\ndata: {"a":\r\ndata:  1}\r\n\r\n'
    + b"id: 9\n\n"
    + b'data: {"half": 1}\n'
)


@given(st.lists(st.integers(0, len(TOLD)), max_size=20))
def test_events_are_read_wherever_the_bytes_are_cut(cuts):
    places = [0, *sorted(cuts), len(TOLD)]
    chunks = [TOLD[a:b] for a, b in pairwise(places)]
    assert list(events(chunks)) == [
        Event("polling", {"task": {"prompt": "\u2028füchse"}}, "4"),
        None,
        Event("done", {"a": 1}, None),
    ]
