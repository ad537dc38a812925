"""Events of one task: snapshot, change by change, resumed, to the end."""

import asyncio
import socket
from math import inf

import pytest

from gateway_http.links import Links
from gateway_http.live.follower import MOST_BYTES, Follower
from gateway_http.live.hub import Hub
from gateway_http.live.kept import Batch
from gateway_http.live.newer import Newer
from gateway_http.live.opening import Beginning
from gateway_http.live.stream import EventStream
from gateway_http.live.wanted import Wanted
from gateway_http.parts import Patience
from gateway_http.progress import Counted
from sse_support import Story, following


@pytest.fixture
def story(scheduler):
    """Give a task that the scheduler knows, and a way to let it go on."""
    return Story(scheduler)


async def test_a_task_is_followed_to_its_end(gateway, story):
    await story.tell()
    async with following(gateway.http, story.path) as stream:
        first = await stream.next()
        await story.go("submitting", "polling", "polling", queue_position=4)
        result = gateway.store("t1/result-0.mp4", b"a film")
        await story.go("downloading")
        await story.go("succeeded", stage=None, results=(result,))
        rest = await stream.rest()

    read = await gateway.http.get("/api/v1/tasks/t1")
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["cache-control"] == "no-store"
    assert stream.headers["x-accel-buffering"] == "no"
    assert stream.retry == "3000"
    assert (first.name, first.body["task"]["status"]) == ("snapshot", "queued")
    assert [each.name for each in rest] == [
        *("submitting", "polling", "progressed", "downloading", "succeeded", "done")
    ]
    ids = [each.id for each in [first, *rest[:-1]]]
    assert ids == sorted(set(ids))
    assert (rest[-1].id, rest[-1].body) == (
        None,
        {"task_id": "t1", "status": "succeeded"},
    )
    told, whole = rest[-2].body["task"], read.json()["task"]
    assert told == {name: whole.get(name) for name in told}
    assert told["video_url"] == f"{gateway.url}/api/v1/tasks/t1/video"
    assert rest[1].body["task"]["queue_position"] == 4


async def test_an_ended_task_is_shown_and_done_at_once(gateway, story):
    await story.go("failed", stage=None, error_message="no\u2028such\nthing")
    async with following(gateway.http, story.path) as stream:
        found = await stream.rest()
    assert [each.name for each in found] == ["snapshot", "done"]
    assert found[0].body["task"]["error_message"] == "no\u2028such\nthing"


async def test_a_task_that_still_waits_in_cmd_is_followed(
    nats, make_bus, stand_in, all_beat, run_gateway
):
    await nats.provision()
    scheduler = stand_in(make_bus("scheduler"))
    await scheduler.bus.start()  # answers, and takes no creates
    await all_beat()
    async with run_gateway() as gateway:
        wish = {"prompt": "a fox", "model": "jimeng-video-3.0"}
        made = (await gateway.http.post("/api/v1/tasks", json=wish)).json()
        task = made["task_id"]
        async with following(gateway.http, f"/api/v1/tasks/{task}/events") as stream:
            first = await stream.next()
            story = Story(scheduler, task)
            await story.tell()
            second = await stream.next()
            await story.go("cancelled")
            rest = await stream.rest()
    assert (first.name, first.id, first.revision) == ("snapshot", None, 0)
    assert (second.name, second.revision) == ("queued", 1)
    assert [each.name for each in rest] == ["cancelled", "done"]


async def test_what_is_not_newer_than_the_snapshot_is_not_sent(gateway, story):
    await story.tell()
    story.store("submitting")
    story.store("polling")
    async with following(gateway.http, story.path) as stream:
        first = await stream.next()
        # Told only now: the snapshot was ahead of the log.
        await story.tell(what="submitting", status="submitting", revision=2)
        await story.tell()
        await story.go("failed")
        rest = await stream.rest()
    # It has no place in the log, so who breaks off begins with a snapshot again.
    assert (first.revision, first.id) == (3, None)
    assert [each.name for each in rest] == ["failed", "done"]


async def test_a_change_that_is_told_twice_is_sent_once(gateway, story, nats):
    await story.tell()
    async with following(gateway.http, story.path) as stream:
        await stream.next()
        await story.go("submitting", "polling")
        client = await nats.connect()
        for n in (2, 3):  # as after an outbox that was sent again much later
            place = "evt.task.t1.scheduler.*"
            found = await client.jetstream().get_last_msg("EVT", place)
            await client.jetstream().publish(
                found.subject, found.data, headers={"Nats-Msg-Id": f"again-{n}"}
            )
        await client.close()
        await story.go("failed")
        rest = await stream.rest()
    assert [each.name for each in rest] == ["submitting", "polling", "failed", "done"]


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_stream_goes_on_after_the_last_id(gateway, story, by):
    await story.tell()
    async with following(gateway.http, story.path) as stream:
        await stream.next()
        await story.go("submitting")
        last = (await stream.next()).id
    await story.go("polling", "polling")
    options = {"last_id": last} if by == "header" else {"last_event_id": last}
    asked = len(story.scheduler.asked)
    async with following(gateway.http, story.path, **options) as stream:
        missed = [await stream.next(), await stream.next()]
        await story.go("failed")
        rest = await stream.rest()
    assert [each.revision for each in missed] == [3, 4]
    assert [each.name for each in rest] == ["failed", "done"]
    assert len(story.scheduler.asked) == asked  # the log alone knows


async def test_the_end_is_told_again_to_who_missed_it(gateway, story):
    await story.tell()
    async with following(gateway.http, story.path) as stream:
        first = await stream.next()
    await story.go("cancelled")
    async with following(gateway.http, story.path, first.id) as stream:
        missed = await stream.rest()
    async with following(gateway.http, story.path, missed[0].id) as stream:
        again = await stream.rest()
    assert [each.name for each in missed] == ["cancelled", "done"]
    assert [each.name for each in again] == ["done"]


@pytest.mark.parametrize(
    "last_id", ["0", "999999", "-3", "nonsense", "9" * 40, "\u0661"]
)
async def test_an_id_that_is_none_of_the_log_brings_a_reset(
    gateway, story, nats, last_id
):
    await story.tell()
    await story.go("polling")
    client = await nats.connect()
    await client.jetstream().purge_stream("EVT", seq=2)  # its oldest is gone
    await client.close()
    async with following(gateway.http, story.path, last_event_id=last_id) as stream:
        first = await stream.next()
        await story.go("failed")
        rest = await stream.rest()
    assert (first.name, first.revision, first.id) == ("reset", 2, 2)
    assert [each.name for each in rest] == ["failed", "done"]


async def test_a_task_nobody_knows_is_not_found(gateway, scheduler):
    path = "/api/v1/tasks/none/events"
    fresh = await gateway.http.get(path)
    again = await gateway.http.get(path, headers={"Last-Event-ID": "1"})
    for answer in (fresh, again):
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


async def test_too_many_are_refused_until_one_leaves(
    scheduler, all_beat, run_gateway, until
):
    await all_beat()
    one, other = Story(scheduler), Story(scheduler, "t2")
    async with run_gateway(followers_per_task=2, followers=3) as gateway:
        http = gateway.http
        async with following(http, one.path) as a, following(http, one.path) as b:
            await a.next()
            await b.next()
            refused = await http.get(one.path)
            async with following(http, other.path) as c:
                await c.next()
                full = await http.get(other.path)

        async def opens():
            async with http.stream("GET", one.path) as again:
                return again.status_code == 200

        await until(opens)
    assert refused.status_code == full.status_code == 429
    assert refused.json()["type"] == "too_many_streams"
    assert refused.headers["retry-after"] == "15"
    assert "2 clients follow this task already" in refused.json()["detail"]
    assert "3 clients follow this gateway already" in full.json()["detail"]


async def test_a_refused_one_takes_no_slot(scheduler, all_beat, run_gateway):
    await all_beat()
    async with run_gateway(followers=1) as gateway:
        for _ in range(3):
            answer = await gateway.http.get("/api/v1/tasks/none/events")
            assert answer.status_code == 404
        assert len(gateway.http.cookies) == 0
        story = Story(scheduler)
        async with following(gateway.http, story.path) as stream:
            assert (await stream.next()).name == "snapshot"


class Gone:
    """What is left of a connection whose client has hung up."""

    def __init__(self):
        self._socket = socket.socket()
        self._socket.close()

    def get_extra_info(self, _):
        return self._socket

    def abort(self):
        """Be aborted already."""


def follower():
    return Follower(Wanted(), Links(""), Newer(), seconds=inf)


async def test_who_hung_up_before_the_stream_began_gives_the_slot_back():
    given_back = []
    begun = Beginning(Newer(), b"data: x\n\n")
    stream = EventStream(Hub(None, 15), follower(), begun, lambda: given_back.append(1))

    async def hung_up():
        return {"type": "http.disconnect"}

    async def send(_):
        await asyncio.Event().wait()

    connection = {"connection": {"transport": Counted(Gone())}}
    await stream({"type": "http", "extensions": connection}, hung_up, send)
    assert given_back == [1]


async def test_cutting_off_who_has_just_gone_harms_nobody():
    gone = follower()
    gone.cut_by(Counted(Gone()).drop)
    gone.put(b"x" * (MOST_BYTES + 1))  # in the hub's own task, which all others need
    assert gone.over


async def test_a_silent_stream_says_that_it_lives(scheduler, all_beat, run_gateway):
    await all_beat()
    story = Story(scheduler)
    async with (
        run_gateway(Patience(ping=0.1)) as gateway,
        following(gateway.http, story.path) as stream,
    ):
        await stream.next()
        await stream.until_comment("ping")


async def test_a_stop_ends_streams_at_once_and_another_gateway_goes_on(
    scheduler, all_beat, run_gateway
):
    await all_beat()
    story = Story(scheduler)
    await story.tell()
    async with run_gateway() as first, run_gateway() as second:
        async with following(first.http, story.path) as stream:
            await stream.next()
            await story.go("submitting")
            last = await stream.next()
            loop = asyncio.get_running_loop()
            began = loop.time()
            stopping = asyncio.create_task(first.app.stop())
            assert await stream.rest() == []
            took = loop.time() - began
            await stopping
        await story.go("polling", "downloading")
        async with following(second.http, story.path, last.id) as stream:
            found = [await stream.next(), await stream.next()]
    assert took < 1.5  # the grace of other requests is 2 s
    assert [each.name for each in found] == ["polling", "downloading"]


async def test_a_gateway_that_starts_anew_goes_on_where_the_old_one_was(
    scheduler, all_beat, run_gateway
):
    await all_beat()
    story = Story(scheduler)
    await story.tell()
    async with (
        run_gateway() as gateway,
        following(gateway.http, story.path) as stream,
    ):
        last = await stream.next()
    await story.go("submitting", "polling")
    async with (
        run_gateway() as gateway,
        following(gateway.http, story.path, last.id) as stream,
    ):
        missed = [await stream.next(), await stream.next()]
        await story.go("failed")
        rest = await stream.rest()
    assert [each.name for each in missed] == ["submitting", "polling"]
    assert [each.name for each in rest] == ["failed", "done"]


async def test_nothing_is_lost_where_nats_was_away(gateway, story, nats):
    await story.tell()
    async with following(gateway.http, story.path) as stream:
        await stream.next()
        await asyncio.to_thread(nats.kill)
        await stream.until_comment("nothing is lost")
        refused = await gateway.http.get(story.path)
        await asyncio.to_thread(nats.start)
        async with asyncio.timeout(20):
            await story.go("submitting", "polling", "failed")
        rest = await stream.rest()
    assert refused.status_code == 503
    assert [each.name for each in rest] == ["submitting", "polling", "failed", "done"]
    assert "NATS is back" in stream.comments


async def test_what_a_server_that_lags_does_not_know_is_asked_of_the_leader(
    gateway, story
):
    await story.tell()
    await story.go("submitting", "polling")
    events = gateway.app._after[0].events
    whole = await events.surely_after(1, "evt.task.t1.scheduler.*")

    async def lagging(place, _):
        return Batch([], place, more=False)

    events.after = lagging
    place, found = 0, []
    while (batch := await events.surely_after(place, "evt.task.*.>")).reached > place:
        found += batch.told
        place = batch.reached
    assert [told.revision for told in whole.told] == [2, 3]
    assert [told.revision for told in found] == [1, 2, 3]
