"""A dead letter put back after its attempt is over buys nothing and changes nothing."""

from datetime import UTC, datetime

import pytest

import poller.app
import poller.settings
import scheduler.app
import scheduler.settings
import signer.app
import signer.settings
from contracts.dead import letters, put_back
from contracts.pool import AddSession
from contracts.requests import CancelTask, ReadTask
from contracts.streams import Kept
from contracts.tasks import CreateTask, SubmitPlain
from contracts.values import Job
from simulator import DEMO_SESSIONS
from workers_support import new, read_settings, running, simulated


@pytest.fixture
async def site(tmp_path):
    async with simulated(tmp_path / "site") as site:
        yield site


@pytest.fixture
async def hands(nats, make_bus, site, tmp_path):
    """Run scheduler, poller and signer with one account; give who speaks to them."""
    await nats.provision()
    more = {"jimeng_upstream": site.origin, "poll_min_secs": 0.2}
    kinds = (
        (scheduler.settings.SchedulerSettings, scheduler.app.create_app),
        (poller.settings.Settings, poller.app.create_app),
    )
    apps = [create(read_settings(k, nats, tmp_path, **more)) for k, create in kinds]
    settings = read_settings(signer.settings.Settings, nats, tmp_path, **more)
    apps.append(signer.app.create_app(settings, []))
    hands = make_bus("hands")
    await hands.start()
    async with running(apps[0]), running(apps[1]), running(apps[2]):
        await hands.ask(AddSession(credential=DEMO_SESSIONS[0], label="mine"))
        yield hands


async def _create(hands):
    job = Job(model="jimeng-video-3.0", prompt="a fox", duration=5, ratio="16:9")
    command = CreateTask(task=new(), job=job, created_at=datetime.now(UTC))
    await hands.send(command, command.task)
    return command.task


async def _bury(hands, command):
    """Leave a command as a dead letter, as an earlier death of its worker had."""
    headers = {
        "Dlq-Subject": command.subject,
        "Dlq-Stream": "CMD",
        "Dlq-Reason": "deadline",
        "correlation_id": command.task,
    }
    subject = f"dlq.signer.{command.subject}"
    await hands.jetstream.publish(subject, command.body(), headers=headers)


@pytest.mark.parametrize("over", [False, True])
async def test_a_submit_that_was_put_back_is_not_sent_again(hands, site, until, over):
    heard = await hands.client.subscribe("cmd.signer.plain.*")
    await hands.client.flush()
    task = await _create(hands)
    command = SubmitPlain.parse((await heard.next_msg(timeout=20)).data)
    await heard.unsubscribe()  # else a stop waits for what nobody reads

    async def stands_at(*statuses):
        return (await hands.ask(ReadTask(task=task))).status in statuses

    await until(lambda: stands_at("polling"), seconds=20)
    if over:
        await hands.ask(CancelTask(task=task))
    before = await hands.ask(ReadTask(task=task))
    await _bury(hands, command)
    js = hands.jetstream
    [letter] = [letter async for letter in letters(js)]
    assert await put_back(js, letter) is Kept.STORED

    async def done():
        info = await js.consumer_info("CMD", "signer-plain")
        return info.num_pending + info.num_ack_pending == 0

    await until(done)
    await until(lambda: _all_heard(js))
    after = await hands.ask(ReadTask(task=task))
    assert site.world.traffic.counts["submit.arrived"] == 1
    assert (after.status, after.attempt) == (before.status, before.attempt)
    assert (await js.stream_info("DLQ")).state.messages == 0


async def _all_heard(js):
    info = await js.consumer_info("EVT", "scheduler-facts")
    return info.num_pending + info.num_ack_pending == 0
