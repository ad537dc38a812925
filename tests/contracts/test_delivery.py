"""The four endings of a handler, and what a stop does, on a real server."""

import asyncio
import json
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from contracts.delivery import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Again,
    backoff,
)
from contracts.streams import FACTS_DURABLE
from contracts.tasks import PollSession, Submitted


async def _left(js):
    return (await js.stream_info("CMD")).state.messages


async def _dead(js, subject="dlq.>"):
    try:
        return await js.get_last_msg("DLQ", subject)
    except NotFoundError:
        return None


async def test_a_handler_that_returns_takes_its_command_out_of_the_queue(
    js, make_bus, until
):
    bus = make_bus("poller")
    taken = asyncio.Queue()

    @bus.consume(PollSession, concurrency=2)
    async def poll(command):
        await taken.put(command)

    await bus.start()
    await bus.send(PollSession(session="s1"), "one")
    assert await taken.get() == PollSession(session="s1")
    await until(lambda: _empty(js))


async def _empty(js):
    return await _left(js) == 0


async def test_again_brings_a_command_back_after_the_pause_it_named(
    js, make_bus, until, probe
):
    bus = make_bus("poller")
    clock = asyncio.get_running_loop().time
    times = []

    @bus.consume(probe, concurrency=1)
    async def handle(command):
        times.append(clock())
        if len(times) < 3:
            raise Again(0.2)

    await bus.start()
    await bus.send(probe(name="a"), "one")
    await until(lambda: _empty(js))
    assert len(times) == 3
    assert times[1] - times[0] >= 0.2
    assert times[2] - times[1] >= 0.2
    assert await _dead(js) is None


async def test_a_failing_command_is_tried_again_and_never_lost(
    js, make_bus, until, probe
):
    asked = []
    bus = make_bus("poller", pause=lambda n: asked.append(n) or 0.01)
    calls = []

    @bus.consume(probe, concurrency=1)
    async def handle(command):
        calls.append(command)
        if len(calls) < 4:
            raise ValueError("not yet")

    await bus.start()
    await bus.send(probe(name="a"), "one")
    await until(lambda: _empty(js))
    assert len(calls) == 4
    assert asked == [1, 2, 3]
    assert await _dead(js) is None


async def test_a_step_that_fails_until_its_deadline_dies_and_is_dead_lettered(
    js, make_bus, until, step
):
    bus = make_bus("poller", pause=lambda _: 0.2)

    @bus.consume(step, concurrency=1)
    async def handle(command):
        raise ValueError("上传失败")

    await bus.start()
    told = step(task="t1", attempt=3)
    await bus.send(told, "one")
    letter = await until(lambda: _dead(js))
    assert letter.subject == "dlq.poller.cmd.poller.step.t1-3"
    assert step.parse(letter.data) == told
    assert letter.headers["Dlq-Reason"] == "deadline"
    assert unquote(letter.headers["Dlq-Detail"]) == "ValueError: 上传失败"
    assert letter.headers["correlation_id"] == "t1"
    assert int(letter.headers["Dlq-Deliveries"]) > 1
    died = await js.get_last_msg("EVT", "evt.task.t1.poller.died")
    body = json.loads(died.data)
    assert (body["attempt"], body["n"]) == (3, 2)
    assert "deadline" in body["reason"]
    await until(lambda: _empty(js))


async def test_a_step_that_could_only_be_tried_again_too_late_is_given_up_at_once(
    js, make_bus, until, step
):
    bus = make_bus("poller", pause=lambda _: 2.5)  # it has two seconds

    @bus.consume(step, concurrency=1)
    async def handle(command):
        raise ValueError("its own error")

    await bus.start()
    await bus.send(step(task="t1", attempt=1), "one")
    letter = await until(lambda: _dead(js))
    assert letter.headers["Dlq-Deliveries"] == "1"
    assert "its own error" in letter.headers["Dlq-Detail"]


async def test_the_death_of_a_step_is_told_before_its_dead_letter_is_stored(
    js, make_bus, until, step, caplog
):
    bus = make_bus("poller")
    await _read_garbage_without(bus, step, "EVT")
    await bus.send_raw("cmd.poller.step.t1-3", b"{", "one", "t1")
    await until(lambda: "not stored" in caplog.text)
    await bus.stop()
    assert await _dead(js) is None
    assert await _left(js) == 1


async def _read_garbage_without(bus, kind, stream):
    """Take commands that cannot be read, while a stream of the bus is gone."""

    @bus.consume(kind, concurrency=1)
    async def handle(command):
        raise AssertionError

    await bus.start()
    await bus.jetstream.delete_stream(stream)


async def test_a_handler_that_hangs_is_cut_off_at_the_deadline(
    js, make_bus, until, step
):
    bus = make_bus("poller", pause=lambda _: 0.01)
    ended = asyncio.Event()

    @bus.consume(step, concurrency=1)
    async def handle(command):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await bus.start()
    await bus.send(step(task="t1", attempt=1), "one")
    await ended.wait()
    letter = await until(lambda: _dead(js))
    assert "TimeoutError" in letter.headers["Dlq-Detail"]


async def test_a_command_that_waited_while_no_worker_ran_has_its_whole_deadline(
    js, make_bus, until, step
):
    sender = make_bus("scheduler")
    await sender.start()
    await sender.send(step(task="t1", attempt=1), "one")
    sent = (await js.get_last_msg("CMD", "cmd.poller.step.t1-1")).time
    await until(lambda: (datetime.now(UTC) - sent).total_seconds() > 1.05)
    bus = make_bus("poller")
    done = asyncio.Event()

    @bus.consume(step, concurrency=1)
    async def handle(command):
        await asyncio.sleep(0.05)  # the work: more than its age would leave it
        done.set()

    await bus.start()
    await until(lambda: _empty(js))
    assert done.is_set()
    assert await _dead(js) is None


async def test_a_command_tried_again_has_what_is_left_of_its_deadline(
    js, make_bus, step
):
    bus = make_bus("poller", pause=lambda _: 1.2)
    clock = asyncio.get_running_loop().time
    begun, ran = [], asyncio.Queue()

    @bus.consume(step, concurrency=1)
    async def handle(command):
        begun.append(clock())
        if len(begun) == 1:
            raise ValueError
        try:
            await asyncio.Event().wait()
        finally:
            ran.put_nowait(clock() - begun[-1])

    await bus.start()
    await bus.send(step(task="t1", attempt=1), "one")
    assert await ran.get() < 1.6  # of the whole two seconds


@pytest.mark.parametrize("body", [b"{", b'"text"', b'{"session": 7}', b"\xff\xfe"])
async def test_an_unreadable_command_is_dead_lettered_at_once(
    js, make_bus, until, step, body
):
    bus = make_bus("poller")
    called = []

    @bus.consume(step, concurrency=1)
    async def handle(command):
        called.append(command)

    await bus.start()
    await bus.send_raw("cmd.poller.step.t9-1", body, "one", "t9")
    letter = await until(lambda: _dead(js))
    assert letter.data == body
    assert letter.headers["Dlq-Reason"] == "unreadable"
    assert letter.headers["Dlq-Deliveries"] == "1"
    assert called == []
    died = await js.get_last_msg("EVT", "evt.task.t9.poller.died")
    assert json.loads(died.data)["attempt"] == 1
    await until(lambda: _empty(js))


async def test_a_validation_error_of_the_handlers_own_is_no_unreadable_command(
    js, make_bus, until, probe
):
    bus = make_bus("poller", pause=lambda _: 0.01)
    calls = []

    @bus.consume(probe, concurrency=1)
    async def handle(command):
        calls.append(command)
        if len(calls) == 1:
            PollSession.parse(b"{}")

    await bus.start()
    await bus.send(probe(name="a"), "one")
    await until(lambda: len(calls) == 2)
    assert await _dead(js) is None


async def test_an_unreadable_fact_is_dead_lettered_at_once(js, make_bus, until):
    bus = make_bus("scheduler")
    heard = []

    @bus.hear({"signer.submitted": Submitted}, concurrency=1)
    async def hear(event):
        heard.append(event)

    await bus.start()
    await bus.emit_raw("evt.task.t1.signer.submitted", b'{"task": "t1"}', "x", None)
    letter = await until(lambda: _dead(js))
    assert letter.subject == "dlq.scheduler.evt.task.t1.signer.submitted"
    assert letter.headers["Dlq-Reason"] == "unreadable"
    fact = Submitted(task="t1", attempt=1, upstream_id="u")
    await bus.emit(fact)
    await until(lambda: heard == [fact])
    await until(lambda: _heard_all(js))


async def _heard_all(js):
    info = await js.consumer_info("EVT", FACTS_DURABLE)
    return info.num_ack_pending == 0 and info.num_pending == 0


async def test_a_fact_nobody_knows_is_passed_over(js, make_bus, until):
    bus = make_bus("scheduler")

    @bus.hear({}, concurrency=1)
    async def hear(event):
        raise AssertionError

    await bus.start()
    await bus.emit_raw("evt.task.t1.signer.invented", b"{}", "x", None)
    await until(lambda: _heard_all(js))
    assert await _dead(js) is None


async def test_a_dead_letter_that_cannot_be_stored_leaves_the_command_in_the_queue(
    js, make_bus, until, probe, caplog
):
    bus = make_bus("poller")
    await _read_garbage_without(bus, probe, "DLQ")
    await bus.send_raw("cmd.poller.probe.a", b"{", "one", "-")
    await until(lambda: "not stored" in caplog.text)
    await bus.stop()
    assert await _left(js) == 1


async def test_a_long_handler_keeps_its_command_by_saying_that_it_is_at_work(
    js, make_bus, until, probe
):
    await js.add_consumer(
        "CMD",
        ConsumerConfig(
            durable_name=probe.durable(),
            filter_subject=probe.pattern(),
            ack_wait=1.0,
        ),
    )
    bus = make_bus("poller", heartbeat_seconds=0.1)
    started = []

    @bus.consume(probe, concurrency=2)
    async def handle(command):
        started.append(command)
        await asyncio.sleep(2.0)  # the work: twice ack_wait

    await bus.start()
    await bus.send(probe(name="a"), "one")
    await until(lambda: _empty(js))
    assert len(started) == 1


async def test_a_stopping_service_hands_its_commands_back_at_once(js, make_bus, probe):
    first = make_bus("poller", stop_seconds=0.1)
    await _hang(first, probe, concurrency=1)
    await first.stop()
    await _is_taken_soon(make_bus("poller"), probe)


async def _hang(bus, probe, **how):
    """Have a bus at work on a command that does not end."""
    begun = asyncio.Event()

    @bus.consume(probe, **how)
    async def hang(command):
        begun.set()
        await asyncio.Event().wait()

    await bus.start()
    await bus.send(probe(name="a"), "one")
    await begun.wait()


async def _is_taken_soon(bus, probe):
    """Expect a command to come to a bus that starts."""
    taken = asyncio.Event()

    @bus.consume(probe, concurrency=1)
    async def take(command):
        taken.set()

    await bus.start()
    async with asyncio.timeout(5):  # ack_wait is 30 s
        await taken.wait()


async def test_what_may_begin_again_is_not_waited_for_by_a_stop(js, make_bus, probe):
    first, second = make_bus("poller", stop_seconds=30), make_bus("poller")
    await _hang(first, probe, concurrency=4, restartable=True)
    async with asyncio.timeout(5):
        await first.stop()
    await _is_taken_soon(second, probe)


async def test_a_stopping_service_lets_a_handler_finish(js, make_bus, until, probe):
    bus = make_bus("poller")
    begun, go = asyncio.Event(), asyncio.Event()

    @bus.consume(probe, concurrency=1)
    async def handle(command):
        begun.set()
        await go.wait()

    await bus.start()
    await bus.send(probe(name="a"), "one")
    await begun.wait()
    stopping = asyncio.create_task(bus.stop())
    asyncio.get_running_loop().call_later(0.05, go.set)
    await stopping
    await until(lambda: _empty(js))


def test_pauses_grow_are_jittered_and_have_a_limit():
    for delivery in range(1, 2000):
        pause = backoff(delivery)
        longest = FIRST_PAUSE_SECONDS * 2 ** min(delivery - 1, 9)
        whole = min(LONGEST_PAUSE_SECONDS, longest)
        assert whole / 2 <= pause <= whole


async def test_a_service_may_set_the_deadline_of_what_it_takes(
    js, make_bus, until, step
):
    bus = make_bus("poller", pause=lambda _: 0.01)

    @bus.consume(step, concurrency=1, deadline_seconds=0.2)  # the class says 1
    async def handle(command):
        await asyncio.Event().wait()

    await bus.start()
    clock = asyncio.get_running_loop().time
    began = clock()
    await bus.send(step(task="t1", attempt=1), "one")
    await until(lambda: _dead(js))
    assert clock() - began < 0.9


async def test_a_wait_that_is_not_counted_gives_the_whole_deadline_anew(
    js, make_bus, until, step
):
    bus = make_bus("poller")
    begun, done = [], asyncio.Event()

    @bus.consume(step, concurrency=1)  # it has a second
    async def handle(command):
        begun.append(command)
        if len(begun) <= 3:
            raise Again(0.4, uncounted=True)
        await asyncio.sleep(0.05)
        done.set()

    await bus.start()
    await bus.send(step(task="t1", attempt=1), "one")
    await until(done.is_set)
    await until(lambda: _empty(js))
    assert await _dead(js) is None
