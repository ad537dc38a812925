"""Sending, telling and asking, and the streams they go to, on a real server."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import StreamConfig
from nats.js.errors import APIError, NotFoundError

from contracts.bus import Kept, NotProvisionedError
from contracts.provision import drift, provision
from contracts.requests import (
    Answer,
    ReadStats,
    ReadTask,
    Refusal,
    RequestRefusedError,
    Stats,
)
from contracts.sessions import CheckSession
from contracts.streams import consumers, streams
from contracts.tasks import Absent, CreateTask, PollSession
from contracts.values import Job


def _create(task, prompt="p"):
    job = Job(model="m", prompt=prompt, duration=5, ratio="1:1")
    return CreateTask(task=task, job=job, created_at=datetime.now(UTC))


@pytest.fixture
async def bus(js, make_bus):
    bus = make_bus("scheduler")
    await bus.start()
    return bus


# commands


async def test_a_command_that_still_waits_is_not_put_there_twice(js, bus):
    assert await bus.send(PollSession(session="s1"), "one") is Kept.STORED
    assert await bus.send(PollSession(session="s1"), "two") is Kept.STILL_THERE
    assert await bus.send(PollSession(session="s2"), "three") is Kept.STORED
    assert (await js.stream_info("CMD")).state.messages == 2


async def test_a_command_that_is_worked_on_is_still_there(
    js, bus, make_bus, until, probe
):
    worker = make_bus("poller")
    begun, go = asyncio.Event(), asyncio.Event()

    @worker.consume(probe, concurrency=1)
    async def handle(command):
        begun.set()
        await go.wait()

    await worker.start()
    await bus.send(probe(name="a"), "one")
    await begun.wait()
    assert await bus.send(probe(name="a"), "two") is Kept.STILL_THERE
    go.set()
    await until(lambda: _count(js, 0))
    assert await bus.send(probe(name="a"), "three") is Kept.STORED


async def _count(js, messages):
    return (await js.stream_info("CMD")).state.messages == messages


async def test_a_command_sent_again_after_it_was_done_is_a_duplicate(
    js, bus, make_bus, until, probe
):
    worker = make_bus("poller")

    @worker.consume(probe, concurrency=1)
    async def handle(command):
        pass

    await worker.start()
    await bus.send(probe(name="a"), "one")
    await until(lambda: _count(js, 0))
    assert await bus.send(probe(name="a"), "one") is Kept.DUPLICATE
    assert await _count(js, 0)


async def test_a_full_queue_is_an_error_and_not_still_there(js, bus):
    info = await js.stream_info("CMD")
    info.config.max_bytes = 4_000
    await js.update_stream(info.config)

    async def fill():
        for n in range(100):
            await bus.send(_create(f"t{n}", prompt="x" * 500), f"t{n}")

    with pytest.raises(APIError) as refused:
        await fill()
    assert refused.value.err_code == 10077  # as for STILL_THERE, with another text


async def test_each_verb_has_its_own_place_for_one_session(js, bus):
    assert await bus.send(PollSession(session="s1"), "one") is Kept.STORED
    check = CheckSession(session="s1", credential=1)
    assert await bus.send(check, "two") is Kept.STORED


# events


async def test_progress_is_forgotten_after_its_time(js, bus, until):
    absent = Absent(task="t1", attempt=1, n=3)
    await bus.emit_raw(absent.subject, absent.body(), absent.id, 1)
    assert (await js.stream_info("EVT")).state.messages == 1

    async def gone():
        return (await js.stream_info("EVT")).state.messages == 0

    await until(gone)


async def test_progress_says_how_long_it_is_worth_keeping(js, bus):
    absent = Absent(task="t1", attempt=1, n=3)
    await bus.emit(absent)
    kept = await js.get_last_msg("EVT", absent.subject)
    assert kept.headers["Nats-TTL"] == "3600"
    assert kept.headers["Nats-Msg-Id"] == "t1:1:poller.absent:3"


# requests


async def test_a_request_is_answered(js, make_bus):
    bus = make_bus("scheduler")

    @bus.answer(ReadStats)
    async def stats(_):
        return Stats(total=7)

    await bus.start()
    asker = make_bus("gateway-http", buffered=False)
    await asker.start()
    assert await asker.ask(ReadStats()) == Stats(total=7)


async def test_a_refusal_travels_whole(js, make_bus):
    refusal = Refusal(status=404, type="task_not_found", detail="无", field="task")
    bus = make_bus("scheduler")

    @bus.answer(ReadTask)
    async def read(request):
        assert request == ReadTask(task="t1")
        raise RequestRefusedError(refusal)

    await bus.start()
    with pytest.raises(RequestRefusedError) as refused:
        await bus.ask(ReadTask(task="t1"))
    assert refused.value.refusal == refusal


async def test_an_error_while_answering_is_told_without_its_text(js, make_bus):
    bus = make_bus("scheduler")

    @bus.answer(ReadStats)
    async def stats(_):
        raise RuntimeError("password=hunter2")

    await bus.start()
    with pytest.raises(RequestRefusedError) as refused:
        await bus.ask(ReadStats())
    assert refused.value.refusal.status == 500
    assert "hunter2" not in refused.value.refusal.model_dump_json()


async def test_an_unreadable_request_is_refused_at_once(js, make_bus):
    bus = make_bus("scheduler")

    @bus.answer(ReadTask)
    async def read(_):
        raise AssertionError

    await bus.start()
    reply = await bus.client.request(ReadTask.SUBJECT, b"{", timeout=5)
    answer = Answer.model_validate_json(reply.data)
    assert answer.refused
    assert answer.refused.status == 400


async def test_a_request_nobody_listens_to_is_asked_for_a_while_and_then_an_error(bus):
    before = bus.client.stats["out_msgs"]
    with pytest.raises(NoRespondersError):
        await bus.ask(ReadStats(), seconds=0.3)
    assert bus.client.stats["out_msgs"] - before > 1


async def test_a_request_waits_for_the_scheduler_that_takes_over(bus, make_bus):
    asking = asyncio.create_task(bus.ask(ReadStats()))
    later = make_bus("scheduler")

    @later.answer(ReadStats)
    async def stats(_):
        return Stats(total=5)

    await later.start()
    assert await asking == Stats(total=5)


async def test_a_request_that_one_scheduler_slept_over_is_asked_again(nats, bus):
    client = await nats.connect()
    heard = []

    async def second_time(message):
        heard.append(message)
        if len(heard) == 2:
            await message.respond(Answer(ok={"total": 3}).model_dump_json().encode())

    await client.subscribe(ReadStats.SUBJECT, cb=second_time)
    await client.flush()
    assert await bus.ask(ReadStats(), seconds=1) == Stats(total=3)
    await client.close()


# streams


async def test_provisioning_twice_changes_nothing(nats):
    made = await nats.provision()
    assert len(made) == len(streams()) + len(consumers())
    assert await nats.provision() == []


async def test_provisioning_mends_what_was_changed(js):
    config = (await js.consumer_info("CMD", "poller-poll")).config
    config.max_ack_pending = 5
    await js.add_consumer("CMD", config)
    events = (await js.stream_info("EVT")).config
    events.max_age = 60.0
    events.duplicate_window = 30.0
    await js.update_stream(events)
    assert await drift(js, ["poller-poll"]) == [
        "consumer CMD/poller-poll: max_ack_pending is 5, declared 50000"
    ]
    assert await drift(js, ["poller-check"]) == []
    done = await provision(js)
    assert len(done) == 2
    assert "max_age is 60.0" in done[0]
    assert await provision(js) == []
    assert await drift(js, ["poller-poll"]) == []


async def test_a_missing_consumer_is_reported_and_made(js):
    await js.delete_consumer("CMD", "poller-poll")
    assert await drift(js, ["poller-poll"]) == [
        "consumer CMD/poller-poll does not exist"
    ]
    assert await provision(js) == ["created consumer CMD/poller-poll"]


async def test_a_service_does_not_start_on_streams_that_are_not_as_declared(
    js, make_bus, probe
):
    config = (await js.stream_info("KV_marks")).config
    config.max_bytes, config.duplicate_window = 1_000_000, 60.0
    await js.update_stream(config)
    await js.delete_stream("DLQ")
    taker, other = make_bus("poller"), make_bus("log-streamer")
    taker.consume(probe, concurrency=1)(_nothing)
    with pytest.raises(NotProvisionedError) as refused:
        await taker.start()
    problems = str(refused.value)
    assert "stream DLQ does not exist" in problems
    assert "stream KV_marks: duplicate_window is 60.0, declared 120.0" in problems
    assert "max_bytes" not in problems  # the operator's
    await other.start()  # it takes no commands


async def _nothing(_):
    pass


async def test_an_answer_is_waited_for_as_long_as_the_link_says(nats, make_bus):
    deaf, asker = (
        make_bus("scheduler"),
        make_bus("gateway-http", link=replace(nats.link, ask_seconds=0.1)),
    )

    @deaf.answer(ReadStats)
    async def stats(_):
        await asyncio.sleep(2)
        return Stats(total=1)

    await nats.provision()
    await deaf.start()
    await asker.start()
    with pytest.raises(NatsTimeoutError):
        await asker.ask(ReadStats())


async def test_who_waits_otherwise_than_the_consumers_do_does_not_start(
    js, nats, make_bus
):
    assert len(await provision(js, ack_wait=3.0)) == len(consumers())
    link = replace(nats.link, ack_wait=3.0)
    for name, at in (("one", link), ("two", nats.link)):
        bus = make_bus("poller", link=at)
        bus.consume(PollSession, concurrency=1)(_nothing)
        if name == "one":
            await bus.start()
        else:
            with pytest.raises(NotProvisionedError, match=r"ack_wait is 3\.0"):
                await bus.start()


async def test_provisioning_keeps_what_waits(js, bus):
    await bus.send(_create("t1"), "t1")
    config: StreamConfig = (await js.stream_info("CMD")).config
    config.max_bytes = 1_000_000
    await js.update_stream(config)
    await provision(js)
    assert await _count(js, 1)


async def test_events_cannot_be_deleted_one_by_one(js, bus):
    await bus.emit(Absent(task="t1", attempt=1))
    with pytest.raises(APIError):
        await js.delete_msg("EVT", 1)


async def test_key_value_buckets_are_what_the_clients_take_them_for(js):
    for name in ("workers", "follow", "marks"):
        bucket = await js.key_value(name)
        await bucket.put("a", b"1")
        assert (await bucket.get("a")).value == b"1"
    with pytest.raises(NotFoundError):
        await js.key_value("invented")
