"""The poller against the simulated site: what it says, and when it asks again."""

import asyncio
import logging

import pytest

from contracts.sessions import CheckSession, SessionChecked
from contracts.tasks import (
    Absent,
    Generated,
    GenerationFailed,
    PollSession,
    Progressed,
)
from contracts.workers import DueAttempt, DueAttempts
from jimeng import Upstream
from poller.app import create_app
from poller.settings import Settings
from poller.sites import Sites
from simulator import Account
from workers_support import SESSIONS, credential_of, read_settings, running

POLL = PollSession(session="one")


@pytest.fixture
async def poller(nats, scheduler, site, tmp_path):
    settings = read_settings(
        Settings,
        nats,
        tmp_path,
        jimeng_upstream=site.origin,
        poll_interval_secs=0.1,
        poll_min_secs=0.05,
    )
    site.world.settings.knobs.interval_seconds = None
    async with running(create_app(settings)) as app:
        yield app


class Following:
    """The scheduler's side of some attempts on one session, all of them due."""

    def __init__(self, scheduler, *submit_ids, session="one"):
        self.submit_ids = list(submit_ids)
        self.session = session
        self.round = 0
        scheduler.due = self

    def __call__(self, _):
        self.round += 1
        return DueAttempts(
            attempts=tuple(
                DueAttempt(task=f"t{n}", attempt=1, submit_id=s, round=self.round)
                for n, s in enumerate(self.submit_ids)
            ),
            credential=credential_of(self.session),
            next_seconds=0.05,
        )

    def end(self):
        self.__class__ = _Ended


class _Ended(Following):
    def __call__(self, _):
        return DueAttempts()


async def test_a_session_without_due_attempts_is_left_alone(
    poller, scheduler, site, until
):
    await scheduler.bus.send(POLL, "1")
    await scheduler.asked.get()
    await until(lambda: _none_left(scheduler))
    assert site.seen("history") == 0


async def _none_left(scheduler):
    return await scheduler.left() == 0


async def test_a_session_whose_attempts_are_not_due_yet_is_asked_for_later(
    poller, scheduler, site
):
    scheduler.due = lambda _: DueAttempts(next_seconds=0.05)
    await scheduler.bus.send(POLL, "1")
    for _ in range(3):
        await asyncio.wait_for(scheduler.asked.get(), 10)
    assert await scheduler.left() == 1
    assert site.seen("history") == 0


async def test_attempts_are_followed_by_one_call_a_round(poller, scheduler, site):
    first, second = await site.submit("a cat"), await site.submit("a dog")
    site.world.advance(1)
    Following(scheduler, first, "c0ffee00-0000-4000-8000-000000000000", second)
    await scheduler.bus.send(POLL, "1")
    facts = [await scheduler.next() for _ in range(6)]
    kinds = [(f.task, type(f), f.n) for f in facts]
    assert kinds[:3] == [
        ("t0", Progressed, 1),
        ("t1", Absent, 1),
        ("t2", Progressed, 1),
    ]
    assert [n for *_, n in kinds[3:]] == [2, 2, 2]
    assert site.seen("history") <= 3
    assert facts[0].upstream_id


async def test_a_finished_job_is_told_with_its_best_link_first(
    poller, scheduler, site, until
):
    submit_id = await site.submit()
    await site.finish(submit_id)
    following = Following(scheduler, submit_id)
    await scheduler.bus.send(POLL, "1")
    fact = await scheduler.next()
    following.end()
    assert isinstance(fact, Generated)
    urls = fact.items[0].urls
    assert "best.mp4" in urls[0]
    assert any("preview.mp4" in url for url in urls[1:])
    assert fact.items[0].duration_ms
    await until(lambda: _none_left(scheduler))


async def test_a_finished_job_is_told_without_a_better_link_too(
    poller, scheduler, site
):
    site.fault("best_url", "html_502")
    submit_id = await site.submit()
    await site.finish(submit_id)
    Following(scheduler, submit_id)
    await scheduler.bus.send(POLL, "1")
    fact = await scheduler.next()
    assert isinstance(fact, Generated)
    assert fact.items[0].urls


async def test_a_failed_job_is_told_with_the_sites_code(poller, scheduler, site):
    submit_id = await site.submit("a cat [[fail:2043]]")
    site.world.advance(60)
    Following(scheduler, submit_id)
    await scheduler.bus.send(POLL, "1")
    fact = await scheduler.next()
    assert isinstance(fact, GenerationFailed)
    assert fact.upstream_code == "2043"


@pytest.mark.parametrize("fault", ["html_502", "reset", "html_404"])
async def test_a_site_in_trouble_fails_no_job(poller, scheduler, site, fault, caplog):
    submit_id = await site.submit()
    site.world.advance(1)
    site.fault("history", fault, times=2)
    Following(scheduler, submit_id)
    with caplog.at_level(logging.WARNING, "poller"):
        await scheduler.bus.send(POLL, "1")
        fact = await scheduler.next()
    assert isinstance(fact, Progressed)
    assert fact.n == 3
    assert len([r for r in caplog.records if "went wrong" in r.message]) == 2
    assert await scheduler.dead() == 0


@pytest.mark.parametrize(
    ("ret", "outcome"),
    [("1015", "expired"), ("34010105", "expired"), ("1018", "blocked")],
)
async def test_a_dead_account_is_told_and_fails_no_job(
    poller, scheduler, site, ret, outcome
):
    submit_id = await site.submit()
    site.world.advance(1)
    site.fault("history", "ret", ret=ret, times=1)
    Following(scheduler, submit_id)
    await scheduler.bus.send(POLL, "1")
    checked, fact = await scheduler.next(), await scheduler.next()
    assert isinstance(checked, SessionChecked)
    assert (checked.outcome, checked.credential) == (outcome, 1)
    assert isinstance(fact, Progressed)


async def test_a_silent_scheduler_slows_no_poll_down(nats, make_bus, tmp_path, until):
    await nats.provision()
    sender = make_bus("scheduler")
    await sender.start()
    paces = {"poll_interval_secs": 0.1, "poll_min_secs": 0.05}
    settings = read_settings(Settings, nats, tmp_path, **paces)

    async def deliveries():
        info = await sender.jetstream.consumer_info("CMD", "poller-poll")
        return info.delivered.consumer_seq >= 4  # each asks for two seconds

    async with running(create_app(settings)):
        await sender.send(POLL, "1")
        await until(deliveries, 15)


async def test_the_sites_advice_is_handed_to_the_scheduler(poller, scheduler, site):
    site.world.settings.knobs.interval_seconds = 1
    submit_id = await site.submit()
    site.world.advance(1)
    Following(scheduler, submit_id)
    await scheduler.bus.send(POLL, "1")
    asked = [await asyncio.wait_for(scheduler.asked.get(), 10) for _ in range(2)]
    assert [each.advice_seconds for each in asked] == [None, 1]


async def test_a_session_that_was_removed_is_polled_no_more(poller, scheduler, until):
    await scheduler.bus.send(CheckSession(session="gone", credential=1), "1")
    await until(lambda: _none_left(scheduler))
    assert scheduler.events.empty()


async def test_a_check_tells_who_it_is_and_what_it_may_spend(poller, scheduler, site):
    found = await scheduler.wants(CheckSession(session="one", credential=4))
    assert (found.outcome, found.credential) == ("active", 4)
    assert found.upstream_uid == "100000000000001"
    assert found.credits.total == 10_000
    assert (site.seen("live"), site.seen("credits")) == (1, 1)
    again = await scheduler.wants(CheckSession(session="one", credential=4))
    assert again.id != found.id


@pytest.mark.parametrize(
    ("session", "outcome"), [("one", "active"), ("dead", "expired")]
)
async def test_a_cheap_check_is_one_call(poller, scheduler, site, session, outcome):
    cheap = CheckSession(session=session, credential=4, cheap=True)
    found = await scheduler.wants(cheap)
    assert found.outcome == outcome
    assert (site.seen("live"), site.seen("credits")) == (0, 1)


async def test_a_check_of_a_dead_login_says_expired(poller, scheduler, site):
    found = await scheduler.wants(CheckSession(session="dead", credential=4))
    assert found.outcome == "expired"
    assert site.seen("credits") == 0


def settle(site, region):
    """Let the login that is dead in China live elsewhere."""
    secret = SESSIONS["dead"]
    site.world.save_account(Account(sessionid=secret, uid="88", region=region))
    return secret


WIDE = CheckSession(session="dead", credential=4, elsewhere=True)
ASIA = "hk, jp or sg: add it as hk-<sessionid>, jp-<sessionid> or sg-<sessionid>"


@pytest.mark.usefixtures("poller")
@pytest.mark.parametrize(
    ("regions", "calls", "remedy"),
    [
        (("cn", "us"), (1, 1), "us: add it as us-<sessionid>"),
        (("cn", "jp"), (1, 2), ASIA),
        (("us", "cn"), (1, 1), "cn: add it as <sessionid>, without a prefix"),
        (("sg", "us"), (1, 2), "us: add it as us-<sessionid>"),
    ],
)
async def test_an_account_of_another_region_is_told_where_it_lives(
    scheduler, site, regions, calls, remedy
):
    scheduler.region, home = regions
    settle(site, home)
    found = await scheduler.wants(WIDE)
    assert found.outcome == "wrong_region"
    assert found.remedy == f"this account lives in region {remedy}"
    assert (site.seen("live"), site.seen("credits")) == calls


@pytest.mark.usefixtures("poller")
async def test_a_search_in_other_regions_shows_no_secret(scheduler, site, caplog):
    caplog.set_level(logging.DEBUG)
    secret = settle(site, "us")
    found = await scheduler.wants(WIDE)
    assert secret not in found.model_dump_json() + caplog.text


async def test_a_page_of_404_is_taken_for_a_foreign_host(poller, scheduler, site):
    settle(site, "us")
    site.fault("live", "html_404", times=1)
    assert (await scheduler.wants(WIDE)).outcome == "wrong_region"


async def test_a_login_that_no_region_knows_is_expired(poller, scheduler, site):
    found = await scheduler.wants(WIDE)
    assert (found.outcome, found.remedy) == ("expired", None)
    assert (site.seen("live"), site.seen("credits")) == (1, 2)


async def test_another_host_in_trouble_does_not_stop_the_search(
    poller, scheduler, site
):
    settle(site, "sg")
    site.fault("credits", "html_502", times=1)
    found = await scheduler.wants(WIDE)
    assert (found.outcome, site.seen("credits")) == ("wrong_region", 2)


async def test_a_routine_check_asks_no_other_region(poller, scheduler, site):
    settle(site, "us")
    found = await scheduler.wants(CheckSession(session="dead", credential=4))
    assert (found.outcome, found.remedy) == ("expired", None)
    assert (site.seen("live"), site.seen("credits")) == (1, 0)


@pytest.mark.parametrize("fault", ["html_502", "reset"])
async def test_a_silent_site_is_no_reason_to_ask_elsewhere(
    poller, scheduler, site, fault
):
    site.fault("live", fault, times=1)
    found = await scheduler.wants(WIDE)
    assert found.outcome == "unreachable"
    assert (site.seen("live"), site.seen("credits")) == (1, 0)


async def test_a_check_of_a_silent_site_says_unreachable(poller, scheduler, site):
    site.fault("live", "html_502", times=1)
    found = await scheduler.wants(CheckSession(session="one", credential=4))
    assert found.outcome == "unreachable"
    assert "502" in found.detail


async def test_clients_are_kept_for_a_credential_and_closed_when_there_are_too_many():
    sites = Sites(Upstream("http://127.0.0.1:9"), most=2)
    async with sites:
        async with sites.at(credential_of("one")) as first:
            pass
        async with sites.at(credential_of("one")) as again:
            assert again is first
        async with sites.at(credential_of("two")) as second:
            pass
        async with sites.at(credential_of("one", credential=2)) as other:
            assert other is not first
        assert first._wire.http.is_closed
        assert not second._wire.http.is_closed
    assert second._wire.http.is_closed


async def test_idle_clients_are_closed_but_never_one_in_use():
    async with Sites(Upstream("http://127.0.0.1:9"), idle_seconds=0) as sites:
        async with sites.at(credential_of("one")) as first:
            async with sites.at(credential_of("two")) as second:
                pass
            assert second._wire.http.is_closed
            assert not first._wire.http.is_closed
        assert first._wire.http.is_closed
