"""What the site's answers mean for a job, as tables."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import ErrorCode
from contracts.tasks import Absent, Generated, GenerationFailed, Progressed
from contracts.values import Progress
from contracts.workers import Credential, DueAttempt
from jimeng import (
    BadAnswer,
    Credits,
    Finished,
    InvalidAccount,
    Item,
    Link,
    Live,
    NoAnswer,
    Node,
    Refused,
    Running,
    Unreachable,
    effect_of,
)
from jimeng import Progress as Standing
from jimeng.answers import UNKNOWN_EFFECT
from jimeng.poll import Node as PollNode
from poller import domain
from poller.domain import Pace, reading

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUED = Standing(status=20, queue_status=1, queue_position=500, queue_total=1000)
LAST = Progress(stage="upstream_queue", queue_position=500, queue_total=1000)


def due(last=LAST, ago=1):
    said_at = None if last is None else NOW - timedelta(seconds=ago)
    return DueAttempt(
        task="t", attempt=2, submit_id="s", round=7, last=last, last_said_at=said_at
    )


def node(outcome, answer=""):
    return Node(submit_id="s", history_id="h", outcome=outcome, answer=answer)


def rejected(status, **fields):
    return PollNode.read({"status": status, "history_record_id": "h"} | fields)


def test_a_job_the_site_does_not_know_is_absent_in_every_round():
    fact = reading(due(), None, NOW)
    assert fact.id == "t:2:poller.absent:7"
    assert isinstance(fact, Absent)


@pytest.mark.parametrize(
    ("last", "ago", "here", "said"),
    [
        (None, 0, QUEUED, True),
        (LAST, 1, QUEUED, False),
        (LAST, 29, QUEUED, False),
        (LAST, 30, QUEUED, True),
        (LAST, 1, Standing(20, 1, 491, 1000), False),
        (LAST, 1, Standing(20, 1, 490, 1000), True),
        (LAST, 1, Standing(20, 1, 510, 1000), True),
        (LAST, 1, Standing(20, 1, 499, None), True),
        (LAST, 1, Standing(20, 1, None, None), True),
        (LAST, 1, Standing(20, 2, 0, 0), True),
        (LAST, 1, Standing(42), True),
        (Progress(stage="generating"), 1, Standing(45), False),
        (Progress(stage="generating"), 30, Standing(45), True),
        (Progress(), 1, Standing(20), False),
        (Progress(queue_position=3, queue_total=3), 1, Standing(20, 1, 2, 3), True),
    ],
)
def test_progress_is_told_when_it_is_worth_telling(last, ago, here, said):
    fact = reading(due(last, ago), node(Running(here)), NOW)
    assert (fact is not None) is said
    assert fact is None or (isinstance(fact, Progressed) and fact.upstream_id == "h")


@pytest.mark.parametrize(
    ("here", "stage"),
    [
        (Standing(), "upstream_queue"),
        (Standing(0), "upstream_queue"),
        (Standing(20), "upstream_queue"),
        (Standing(20, 1, 5, 9), "upstream_queue"),
        (Standing(20, 2), "generating"),
        (Standing(42, 1), "generating"),
        (Standing(45), "generating"),
        (Standing(50, 3), "generating"),
    ],
)
def test_the_stage_follows_the_sites_status(here, stage):
    assert domain.standing(here).stage == stage


def test_a_finished_job_is_generated_with_its_links_best_first():
    links = (
        Link("https://a/1", 1920, 1080, 900, 5042),
        Link("https://a/2", 960, 540),
        Link("https://a/1"),
    )
    fact = reading(due(), node(Finished((Item("i", links),))), NOW)
    assert isinstance(fact, Generated)
    item = fact.items[0]
    assert item.urls == ("https://a/1", "https://a/2")
    assert (item.id, item.width, item.size, item.duration_ms) == ("i", 1920, 900, 5042)
    better = domain.with_best(fact, {"i": "https://b/best"}).items[0]
    assert better.urls == ("https://b/best", "https://a/1", "https://a/2")
    assert better.size is None
    assert domain.with_best(fact, {"i": None}) == domain.with_best(fact, {}) == fact
    known = domain.with_best(fact, {"i": "https://a/1"}).items[0]
    assert known == item


@pytest.mark.parametrize(
    ("raw", "code", "upstream_code"),
    [
        (
            rejected(30, fail_code=2038),
            ErrorCode.CONTENT_REFUSED,
            "2038",
        ),
        (rejected(10), ErrorCode.CONTENT_REFUSED, None),
        (rejected(40, fail_code="77"), ErrorCode.CONTENT_REFUSED, "77"),
        (rejected(30, fail_code="100402"), None, "100402"),
        (rejected(30), None, None),
        (rejected(100), None, None),
        (rejected(30, fail_code="121101"), None, "121101"),
    ],
)
def test_a_rejected_job_has_failed_with_the_sites_code(raw, code, upstream_code):
    fact = reading(due(), raw, NOW)
    assert isinstance(fact, GenerationFailed)
    assert (fact.code, fact.upstream_code) == (code, upstream_code)
    assert fact.detail
    assert fact.answer
    assert fact.id == "t:2:poller.failed:7"


@pytest.mark.parametrize(
    ("advised", "planned", "wanted"),
    [
        (None, None, 10),
        (30, None, 30),
        (30, 10, 30),
        (None, 20, 20),
        (1, None, 5),
        (None, 0.1, 5),
    ],
)
def test_the_site_is_asked_as_it_advises_but_not_too_often(advised, planned, wanted):
    pace = Pace(interval_seconds=10, min_seconds=5)
    pause = domain.pause("some-session", advised, planned, pace)
    assert wanted <= pause <= wanted * 1.1


@given(st.text(min_size=1), st.integers(1, 10_000))
def test_after_trouble_the_pause_grows_up_to_five_minutes(session, failures):
    pace = Pace(interval_seconds=10, min_seconds=10)
    pause = domain.pause_after_trouble(session, failures, pace)
    assert 10 <= pause <= 330
    assert pause <= domain.pause_after_trouble(session, failures + 1, pace)
    assert pause == domain.pause_after_trouble(session, failures, pace)


def test_sessions_are_spread():
    assert len({domain.spread(f"session-{n}", 10) for n in range(40)}) > 30


def test_the_shortest_advice_of_what_still_runs_counts():
    def running(seconds):
        return node(Running(Standing(interval_seconds=seconds)))

    assert domain.advice([running(30), running(20), node(Finished(()))]) == 20
    assert domain.advice([running(None)]) is None
    assert domain.advice([]) is None


def refused(code):
    return Refused(code, "no", effect_of(code) or UNKNOWN_EFFECT, "{}")


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (refused("1015"), "expired"),
        (refused("34010105"), "expired"),
        (refused("1018"), "blocked"),
        (refused("1019"), None),
        (refused("3000"), None),
        (refused("4711"), None),
        (BadAnswer(502, "<html>"), None),
        (Unreachable("no"), None),
        (TimeoutError(), None),
    ],
)
def test_only_a_certain_no_says_something_of_the_account(error, wanted):
    assert domain.signal(error) == wanted


ALIVE, GONE = Live(alive=True, user_id="77"), Live(alive=False, text="not logged in")
CREDENTIAL = Credential(
    session="s", credential=3, sessionid="x", region="cn", web_id="7", user_id="u"
)


@pytest.mark.parametrize(
    ("live", "purse", "trouble", "outcome"),
    [
        (ALIVE, Credits(gift=5), None, "active"),
        (None, Credits(), None, "active"),
        (GONE, None, None, "expired"),
        (None, None, refused("1015"), "expired"),
        (ALIVE, None, refused("1015"), "expired"),
        (ALIVE, None, refused("1018"), "blocked"),
        (None, None, refused("1018"), "blocked"),
        (None, None, refused("3000"), "wrong_region"),
        (ALIVE, None, NoAnswer("no"), "active"),
        (ALIVE, None, refused("1019"), "active"),
        (None, None, NoAnswer("no"), "unreachable"),
        (None, None, refused("4711"), "unreachable"),
        (None, None, TimeoutError(), "unreachable"),
        (None, None, InvalidAccount("no"), "expired"),
    ],
)
def test_a_check_finds_what_the_answers_say(live, purse, trouble, outcome):
    found = domain.checked(CREDENTIAL, 9, live, purse, trouble)
    assert (found.outcome, found.credential, found.n) == (outcome, 3, 9)
    assert (found.credits is not None) is (purse is not None)
    assert found.detail or trouble is None


def bad(status):
    return BadAnswer(status, "<html>")


@pytest.mark.parametrize(
    ("live", "trouble", "foreign"),
    [
        (GONE, None, True),
        (None, refused("1015"), True),
        (None, refused("34010105"), True),
        (None, bad(404), True),
        (ALIVE, None, False),
        (ALIVE, refused("1015"), False),
        (ALIVE, bad(404), False),
        (None, None, False),
        (None, bad(502), False),
        (None, refused("1018"), False),
        (None, refused("3000"), False),
        (None, NoAnswer("no"), False),
        (None, TimeoutError(), False),
        (None, InvalidAccount("no"), False),
    ],
)
def test_a_stranger_is_who_the_host_does_not_know(live, trouble, foreign):
    assert domain.foreign(live, trouble) is foreign


ASIA = ("hk", "jp", "sg")


@pytest.mark.parametrize(
    ("region", "homes"),
    [
        ("cn", [("us",), ASIA]),
        ("us", [("cn",), ASIA]),
        *((region, [("cn",), ("us",)]) for region in ASIA),
    ],
)
def test_each_other_host_is_asked_once(region, homes):
    assert domain.other_homes(region) == homes


@pytest.mark.parametrize(
    ("home", "form"),
    [
        (("us",), "region us: add it as us-<sessionid>"),
        (("cn",), "region cn: add it as <sessionid>, without a prefix"),
        (("hk", "jp"), "region hk or jp: add it as hk-<sessionid> or jp-<sessionid>"),
    ],
)
def test_an_account_found_elsewhere_is_told_with_its_prefix(home, form):
    found = domain.checked(CREDENTIAL, 9, GONE, None, None, home=home)
    assert found.outcome == "wrong_region"
    assert found.remedy == f"this account lives in {form}"
    assert domain.checked(CREDENTIAL, 9, GONE, None, None).remedy is None
