"""Operators are told what they should know: each thing once."""

import pytest

from contracts import pool
from runtime.heartbeat import SERVICES

WEBHOOKS = "/api/v1/webhooks"


@pytest.fixture
async def http(stage, receiver, run_gateway):
    async with run_gateway(webhook_allow=receiver.place) as gateway:
        yield gateway.http


async def listen(http, receiver, *events, kind="standard"):
    body = {"url": receiver.origin, "kind": kind, "events": events}
    answer = await http.post(WEBHOOKS, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["webhook"]["id"]


async def test_a_signed_out_account_is_told_once_also_over_a_restart(
    stage, notifier, receiver, http
):
    await listen(http, receiver, "notice.session_expired")
    session = await stage.session()
    await stage.hands.ask(pool.TestSession(id=session))
    await stage.found("expired")
    told = (await receiver.next()).told
    assert told["type"] == "notice.session_expired"
    assert "mine" in told["notice"]["title"]
    assert f"jimeng sessions replace {session}" in told["notice"]["text"]

    await stage.app.stop()
    await stage.start_scheduler()
    await listen(http, receiver, "notice.pool_empty")
    await stage.app.stop()
    await stage.start_scheduler(notice_after_secs=0)
    # Whatever is looked at in one go: had the first been told again, it came before.
    assert (await receiver.next()).told["type"] == "notice.pool_empty"
    assert len(receiver.got) == 2


async def test_what_holds_already_is_told_to_whoever_begins_to_listen(
    stage, notifier, receiver, http
):
    await stage.session()
    await stage.hands.ask(pool.TestSession(id=(await _only(stage)).id))
    await stage.found("expired")
    await listen(http, receiver, "notice.*", kind="slack")
    assert "mine is signed out" in (await receiver.next()).told["text"]


async def _only(stage):
    [session] = (await stage.hands.ask(pool.ListSessions())).sessions
    return session


async def test_dead_letters_low_disks_and_services_that_are_gone_are_told(
    stage, notifier, receiver, http, beat
):
    await stage.app.stop()
    await stage.start_scheduler(notice_after_secs=0.5)
    others = [s for s in SERVICES if s not in {"poller", "downloader", "gateway-http"}]
    await beat(*others)
    await beat("downloader", lacking_room="the disk has 1 MiB left")
    client = stage.hands.client.jetstream()
    await client.publish("dlq.poller.cmd.poller.check.s", b"{}")
    await listen(
        http,
        receiver,
        "notice.dead_letters",
        "notice.disk_low",
        "notice.service_gone",
    )
    told = {}
    for _ in range(3):
        one = (await receiver.next()).told
        told[one["type"]] = one["notice"]
    assert "Dead letters: 1" in told["notice.dead_letters"]["title"]
    assert "1 MiB" in told["notice.disk_low"]["text"]
    assert "poller" in told["notice.service_gone"]["title"]
