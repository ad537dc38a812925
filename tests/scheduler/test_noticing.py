"""What operators should know: which conditions hold, and when each is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.sessions import Credits
from contracts.webhooks import Notice
from scheduler.domain import noticing
from scheduler.domain.endpoints import Endpoint
from scheduler.domain.noticing import QUIET, Condition, Known, Limits
from scheduler.domain.rows import Session

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIMITS = Limits(low_credits=30)
GOOD = Session("s1", "mine", "active", credits=Credits(gift=60))
SECOND = timedelta(seconds=1)


def keys(*pool):
    return [each.key for each in noticing.of_pool(pool, NOW, LIMITS)]


def test_a_pool_that_works_is_nothing_to_tell():
    assert keys(GOOD, replace(GOOD, id="s2", state="disabled")) == []
    assert keys() == []


@pytest.mark.parametrize("state", ["expired", "blocked"])
def test_an_account_that_needs_somebody_is_told(state):
    stuck = replace(GOOD, id="s2", state=state, reason="why")
    assert keys(GOOD, stuck) == [f"notice.session_{state}:s2"]
    assert keys(stuck) == [f"notice.session_{state}:s2", "notice.pool_empty"]
    [found] = noticing.of_pool([GOOD, stuck], NOW, LIMITS)
    assert "mine" in found.notice.title
    assert "why" in found.notice.text


@pytest.mark.parametrize(
    ("state", "until", "empty"),
    [
        ("unchecked", None, True),
        ("cooling", NOW + SECOND, True),
        ("cooling", NOW - SECOND, False),
        ("exhausted", NOW + SECOND, True),
        ("disabled", None, False),
        ("draining", None, False),
    ],
)
def test_a_pool_in_which_nobody_can_work_is_told(state, until, empty):
    session = replace(GOOD, state=state, until=until)
    assert keys(session) == (["notice.pool_empty"] if empty else [])


def test_an_account_low_on_credits_is_told_where_they_are_known():
    assert keys(replace(GOOD, credits=Credits(gift=29))) == ["notice.credits_low:s1"]
    assert keys(replace(GOOD, credits=Credits(gift=30))) == []
    assert keys(replace(GOOD, credits=None)) == []


def test_services_disks_dead_letters_and_endpoints():
    gone = noticing.of_services(["poller"], LIMITS)
    assert [each.key for each in gone] == ["notice.service_gone:poller"]
    [disk] = noticing.of_disks(["b", "a", "b"])
    assert disk.notice.text == "a\nb"
    assert list(noticing.of_disks([])) == []
    [dead] = noticing.of_dead_letters(3, 17)
    assert (dead.mark, "3" in dead.notice.title) == ("17", True)
    assert list(noticing.of_dead_letters(0, 17)) == []
    on = Endpoint("e", "slack", "https://h/…", b"", "", ("task.*",), NOW, NOW)
    off = replace(on, enabled=False, off_reason="410")
    by_hand = replace(on, enabled=False)
    found = noticing.of_endpoints([on, off, by_hand])
    assert [each.notice.text for each in found] == ["410"]


FOUND = Condition(
    "k", "notice.dead_letters", Notice(title="t", text=""), "1", timedelta(seconds=60)
)


def told(known, after, found=FOUND):
    """Let a condition hold some time later; return what is known then, and if told."""
    now = NOW + after
    known = noticing.seen(known, found, now)
    if noticing.worth_telling(known, found, now, LIMITS):
        return replace(known, told_at=now, mark=found.mark), True
    return known, False


def test_a_condition_is_told_once_it_has_held_and_a_day_later_again():
    known, now = told(None, timedelta(0))
    assert not now
    known, now = told(known, timedelta(seconds=59))
    assert not now
    known, now = told(known, timedelta(seconds=60))
    assert now
    known, now = told(known, timedelta(hours=24))
    assert not now
    known, now = told(known, timedelta(hours=24, seconds=60))
    assert now


def test_what_grows_is_told_once_an_hour():
    known = Known("k", "notice.dead_letters", NOW, "1", told_at=NOW)
    more = replace(FOUND, mark="2")
    known, now = told(known, QUIET - SECOND, more)
    assert not now
    known, now = told(known, QUIET, more)
    assert now
    assert known.mark == "2"
    assert not told(known, 2 * QUIET, more)[1]


def test_what_comes_and_goes_is_told_once_an_hour():
    over = Known("k", "notice.dead_letters", NOW, "1", told_at=NOW, over_at=NOW)
    known, now = told(over, timedelta(minutes=5))
    assert (known.over_at, now) == (None, False)
    known, now = told(over, QUIET)
    assert (known.over_at, known.since, now) == (None, NOW + QUIET, False)
    assert told(known, QUIET + timedelta(seconds=60))[1]
