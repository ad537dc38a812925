"""A signer at work: commands in, one send, one fact out."""

import asyncio
import socket

import pytest

from contracts.errors import ErrorCode
from contracts.tasks import Refused, Submitted, Unknown
from contracts.workers import Permit
from runtime.heartbeat import living
from runtime.settings import SettingsError
from signer.app import create_app
from simulator import DEMO_SESSIONS

browser = pytest.mark.browser


async def test_a_submit_is_taken_once_and_told_with_the_sites_id(
    worker, scheduler, site, wish
):
    command = wish()
    said = await scheduler.wants(command)
    [job] = site.world.jobs.values()
    assert isinstance(said, Submitted)
    assert said.subject == f"evt.task.{command.task}.signer.submitted"
    assert (said.upstream_id, said.attempt, said.n) == (job.id, 1, 1)
    assert (job.submit_id, site.submits()) == (command.submit_id, 1)


async def test_the_permit_is_asked_with_the_hash_of_the_body_and_a_new_nonce(
    worker, scheduler, wish
):
    commands = [wish(), wish(prompt="a dog")]
    for command in commands:
        await scheduler.wants(command)
    asked = scheduler.asked
    assert [a.submit_id for a in asked] == [c.submit_id for c in commands]
    assert [(a.attempt, a.send) for a in asked] == [(1, 1), (1, 1)]
    assert len({a.nonce for a in asked}) == len({a.body_hash for a in asked}) == 2


@browser
async def test_each_session_submits_as_its_own_account(
    signer, scheduler, site, in_page
):
    for session in ("one", "two", "one"):
        await scheduler.wants(in_page(session=session))
    uids = [job.uid for job in site.world.jobs.values()]
    assert uids == ["one", "two", "one"]


@browser
async def test_submits_of_one_session_take_turns_and_all_arrive(
    signer, scheduler, site, in_page
):
    commands = [in_page() for _ in range(3)]
    for command in commands:
        await scheduler.bus.send(command, command.task)
    said = [await scheduler.next() for _ in commands]
    assert {s.task for s in said} == {c.task for c in commands}
    assert all(isinstance(s, Submitted) for s in said)


async def test_a_refusal_of_the_site_is_told_with_its_code_and_answer(
    worker, scheduler, wish
):
    said = await scheduler.wants(wish(prompt="a cat [[submit:2038]]"))
    assert isinstance(said, Refused)
    assert (said.code, said.upstream_code, said.n) == (None, "2038", 1)
    assert '"ret":"2038"' in said.answer.replace(" ", "")


FAULTS = ("html_502", "truncated", "reset", "lose_response", "ret")


async def test_an_answer_that_proves_nothing_is_unknown_and_the_request_left_once(
    worker, scheduler, site, wish
):
    for count, fault in enumerate(FAULTS):
        await scheduler.wants(wish())  # so the connection has been used before
        site.fault(fault, ret="987654")
        said = await scheduler.wants(wish())
        assert isinstance(said, Unknown), fault
        assert site.submits() == 2 * count + 2, fault
    assert said.upstream_code == "987654"


async def test_an_answer_that_does_not_come_in_time_is_unknown(
    working, scheduler, site, wish
):
    site.fault("hang", seconds=0.8)
    async with working(submit_timeout_secs=0.4):
        said = await scheduler.wants(wish())
    assert isinstance(said, Unknown)
    assert site.submits() == 1


async def test_without_a_permit_nothing_is_sent_and_nothing_told(
    worker, scheduler, site, wish, until
):
    reasons = ("cancelled", "superseded", "session_not_active")
    no = iter([Permit(granted=False, reason=reason) for reason in reasons])
    scheduler.answer = lambda _: next(no)
    for reason in reasons:
        await scheduler.bus.send(wish(), reason)
    await until(lambda: queue_is_empty(scheduler))
    assert (len(scheduler.asked), site.submits()) == (3, 0)
    assert scheduler.told == {}


async def queue_is_empty(scheduler):
    return (await scheduler.bus.jetstream.stream_info("CMD")).state.messages == 0


async def test_a_permit_an_earlier_run_had_is_unknown_and_nothing_is_sent(
    worker, scheduler, site, wish
):
    scheduler.answer = lambda _: Permit(granted=False, reason="already_granted")
    said = await scheduler.wants(wish(send=2))
    assert isinstance(said, Unknown)
    assert (said.n, site.submits()) == (2, 0)


async def test_a_permit_that_expired_on_the_way_keeps_the_request_from_leaving(
    worker, scheduler, site, wish
):
    scheduler.answer = lambda _: Permit(granted=True, valid_seconds=0)
    said = await scheduler.wants(wish())
    assert isinstance(said, Refused)
    assert (said.code, said.upstream_code) == (ErrorCode.SITE_UNREACHABLE, None)
    assert site.submits() == 0


async def test_a_command_delivered_again_after_its_end_is_not_sent_again(
    worker, scheduler, site, wish, until
):
    command = wish()
    assert isinstance(await scheduler.wants(command), Submitted)
    await until(lambda: queue_is_empty(scheduler))
    assert isinstance(await scheduler.wants(command), Unknown)
    assert site.submits() == 1


async def test_a_job_the_site_cannot_take_is_refused_before_the_permit(
    worker, scheduler, wish
):
    command = wish()
    job = command.job.model_copy(update={"ratio": "7:3"})
    said = await scheduler.wants(command.model_copy(update={"job": job}))
    assert isinstance(said, Refused)
    assert said.code is ErrorCode.INVALID_REQUEST
    assert scheduler.asked == []


async def test_a_site_that_is_down_is_told_as_certainly_not_sent(
    running, scheduler, plain
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with running(jimeng_upstream=f"http://127.0.0.1:{port}"):
        said = await scheduler.wants(plain())
    assert isinstance(said, Refused)
    assert said.code is ErrorCode.SITE_UNREACHABLE


async def test_a_signer_without_a_browser_leaves_page_submits_to_others(
    settings, scheduler, in_page, plain
):
    app = create_app(settings(), candidates=[])
    await app.start()
    try:
        await scheduler.bus.send(in_page(), "waits")
        assert isinstance(await scheduler.wants(plain()), Submitted)
        info = await scheduler.bus.jetstream.consumer_info("CMD", "signer-page")
        [alive] = [w for w in await living(scheduler.bus) if w["service"] == "signer"]
    finally:
        await app.stop()
    assert (info.num_pending, info.num_ack_pending) == (1, 0)
    assert (alive["browser"], alive["reason"]) == (False, "no Chromium is installed")


async def test_a_browser_that_does_not_start_counts_as_none(
    running, scheduler, program, until
):
    async with running(chromium_path=program("exit 1")):

        async def told():
            found = await living(scheduler.bus)
            [alive] = [w for w in found if w["service"] == "signer"]
            return alive.get("reason") and alive

        alive = await until(told)
    assert alive["browser"] is False
    assert "\n" not in alive["reason"]


@browser
async def test_the_heartbeat_tells_of_the_browser(
    signer, scheduler, chromium_path, in_page
):
    await scheduler.wants(in_page())
    state = signer._state()
    assert state["browser"] is True
    assert state["path"] == str(chromium_path)
    assert state["chromium"].split(".")[0].isdigit()
    assert state["contexts"] == 1


async def test_a_chosen_browser_that_is_not_there_ends_the_start(settings, tmp_path):
    with pytest.raises(SettingsError, match="CHROMIUM_PATH"):
        create_app(settings(chromium_path=tmp_path / "none"))


async def test_no_secret_is_told_or_logged(worker, scheduler, wish, caplog, site):
    caplog.set_level("DEBUG")
    site.fault("html_502")
    for _ in range(2):
        said = await scheduler.wants(wish())
        assert DEMO_SESSIONS[0] not in said.body().decode()
    assert DEMO_SESSIONS[0] not in "".join(
        str(vars(r)) for r in caplog.records if r.name in ("signer", "bus", "runtime")
    )


@browser
async def test_a_stop_is_quick(running, scheduler, in_page):
    async with running():
        await scheduler.wants(in_page())
        stopping = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - stopping < 3
