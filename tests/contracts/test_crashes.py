"""Commands that kill their worker, and what deliveries are remembered for."""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from contracts.delivery import FIRST_MARKED, MOST_MARKS, Again
from contracts.message import now
from contracts.tasks import PollSession

WORKER = Path(__file__).with_name("deadly_worker.py")


class Supervisor:
    """Keeps one worker alive, as systemd would."""

    def __init__(self, link, done):
        self.deaths = Counter()
        self._command = [WORKER, link.url, link.user, link.password, done]
        self._process = None
        done.touch()

    async def __aenter__(self):
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_):
        self._keeper.cancel()
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _keep(self):
        while True:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *map(str, self._command)
            )
            self.deaths[await self._process.wait()] += 1


async def _ack_wait(js, command, seconds):
    config = (await js.consumer_info("CMD", command.durable())).config
    await js.add_consumer(
        "CMD",
        ConsumerConfig(
            durable_name=config.durable_name,
            filter_subject=config.filter_subject,
            ack_wait=seconds,
        ),
    )


async def _dead(js):
    try:
        return await js.get_last_msg("DLQ", "dlq.>")
    except NotFoundError:
        return None


async def _marks(js):
    """Return what is remembered: the last word about each command."""
    info = await js.stream_info("KV_marks", subjects_filter="$KV.marks.>")
    said = [await js.get_last_msg("KV_marks", s) for s in info.state.subjects or {}]
    return [json.loads(entry.data) for entry in said if entry.data]


async def _empty(js):
    return (await js.stream_info("CMD")).state.messages == 0


@pytest.fixture
async def sender(js, make_bus):
    sender = make_bus("scheduler")
    await sender.start()
    return sender


@pytest.mark.timeout(120)
@pytest.mark.slow
async def test_a_command_that_kills_its_worker_is_given_up_and_takes_no_other_with_it(
    nats, js, sender, until, step
):
    await _ack_wait(js, step, 1.0)
    done = nats.folder / "done"
    async with Supervisor(nats.link, done) as supervisor:
        for task, does in (("slow", "slow"), ("bad", "poison"), ("t1", "quick")):
            await sender.send(step(task=task, attempt=1, session=does), task)
        letter = await until(lambda: _dead(js), seconds=90)
        await sender.send(step(task="t2", attempt=1, session="quick"), "t2")
        await until(lambda: _empty(js))
    assert letter.subject == "dlq.poller.cmd.poller.step.bad-1"
    assert letter.headers["Dlq-Reason"] == "crashes"
    assert int(letter.headers["Dlq-Deliveries"]) == FIRST_MARKED + MOST_MARKS
    assert (await js.stream_info("DLQ")).state.messages == 1
    died = await js.get_last_msg("EVT", "evt.task.bad.poller.died")
    assert "crashes" in json.loads(died.data)["reason"]
    assert sorted(done.read_text().split()) == ["slow", "t1", "t2"]
    assert supervisor.deaths == {-9: FIRST_MARKED + MOST_MARKS - 1}
    assert await _marks(js) == []


async def test_planned_waits_and_failures_leave_no_mark(
    js, make_bus, until, probe, step
):
    bus = make_bus("poller", pause=lambda _: 0.01)
    calls = Counter()

    @bus.consume(probe, concurrency=1)
    async def wait(command):
        calls["again"] += 1
        if calls["again"] < 12:
            raise Again(0.01)

    @bus.consume(step, concurrency=1)
    async def fail(command):
        calls["failed"] += 1
        if calls["failed"] < 12:
            raise ValueError

    await bus.start()
    await bus.send(probe(name="a"), "one")
    await bus.send(step(task="t1", attempt=1), "two")
    await until(lambda: _empty(js))
    assert calls == {"again": 12, "failed": 12}
    assert await _dead(js) is None
    assert await _marks(js) == []


async def test_a_mark_stands_while_a_command_is_worked_on_from_the_fourth_time_on(
    js, make_bus, until, step
):
    bus = make_bus("poller", pause=lambda _: 0.01)
    seen = []

    @bus.consume(step, concurrency=1)
    async def handle(command):
        seen.append([mark["standing"] for mark in await _marks(js)])
        if len(seen) < 5:
            raise ValueError

    await bus.start()
    await bus.send(step(task="t1", attempt=1), "one")
    await until(lambda: _empty(js))
    assert seen == [[], [0], [0], [1], [1]]


async def test_a_service_that_is_stopped_again_and_again_is_no_crash(
    js, make_bus, probe
):
    for _ in range(FIRST_MARKED + MOST_MARKS + 1):
        bus = make_bus("poller", stop_seconds=0.01)
        begun = asyncio.Event()

        @bus.consume(probe, concurrency=1)
        async def hang(command, begun=begun):
            begun.set()
            await asyncio.Event().wait()

        await bus.start()
        await bus.send(probe(name="a"), "one")
        async with asyncio.timeout(10):  # ack_wait is 30 s
            await begun.wait()
        assert sum(mark["standing"] for mark in await _marks(js)) <= 1
        await bus.stop()
    assert await _dead(js) is None
    assert [mark["standing"] for mark in await _marks(js)] in ([], [0])


async def test_polls_are_delivered_without_end_and_nothing_is_remembered_of_them(
    js, make_bus, until
):
    bus = make_bus("poller", pause=lambda _: 0.01)
    calls = []

    @bus.consume(PollSession, concurrency=1)
    async def poll(command):
        calls.append(command)
        if len(calls) % 2:
            raise Again(0.01)
        raise ValueError

    await bus.start()
    await bus.send(PollSession(session="s1"), "one")
    await until(lambda: len(calls) > 20)
    await bus.stop()
    assert await _dead(js) is None
    assert (await js.stream_info("KV_marks")).state.last_seq == 0


async def test_the_deadline_counts_from_the_first_delivery_across_restarts(
    js, make_bus, sender, until, step
):
    await sender.send(step(task="t1", attempt=1), "one")
    sent = (await js.get_last_msg("CMD", "cmd.poller.step.t1-1")).time
    await until(lambda: (now() - sent).total_seconds() > 2.05)  # no worker ran
    calls = []
    for _ in range(2):
        bus = make_bus("poller", pause=lambda _: 0.4)

        @bus.consume(step, concurrency=1)
        async def fail(command):
            calls.append(command)
            raise ValueError

        await bus.start()
        before = len(calls)
        await until(lambda before=before: len(calls) > before + 1)
        assert await _dead(js) is None
        await bus.stop()
    last = make_bus("poller", pause=lambda _: 0.4)
    last.consume(step, concurrency=1)(fail)
    await last.start()
    letter = await until(lambda: _dead(js))
    assert letter.headers["Dlq-Reason"] == "deadline"
    assert 4 <= len(calls) <= 6
    assert await _marks(js) == []
