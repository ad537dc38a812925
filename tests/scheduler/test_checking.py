"""When a session is looked at by itself."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.domain import checking
from scheduler.domain.checking import Work
from scheduler.domain.rows import Session

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)


def ago(**time):
    return NOW - timedelta(**time)


def due(state, work=None, **more):
    return checking.due(Session("s", "mine", state, **more), work or Work(), NOW)


@pytest.mark.parametrize(
    ("given", "work", "why"),
    [
        ({"checked_at": ago(hours=5)}, Work(), None),
        ({"checked_at": ago(hours=7)}, Work(), "nothing proved it"),
        ({"checked_at": ago(hours=7)}, Work(ago(hours=2)), None),
        ({"checked_at": ago(days=2)}, Work(ago(hours=7)), "nothing proved it"),
        ({"since": ago(hours=1)}, Work(), None),
        ({"since": ago(hours=7)}, Work(), "nothing proved it"),
        # asked, and no answer: again, but not at once
        ({"checked_at": ago(hours=7), "asked_at": ago(minutes=9)}, Work(), None),
        (
            {"checked_at": ago(hours=7), "asked_at": ago(minutes=31)},
            Work(),
            "nothing proved it",
        ),
    ],
)
def test_an_active_session_is_checked_when_nothing_proved_it(given, work, why):
    assert due("active", work, **given) == why


@pytest.mark.parametrize(
    ("checked", "charged", "asked", "why"),
    [
        (ago(minutes=20), None, ago(minutes=20), None),
        (ago(minutes=20), ago(minutes=1), ago(minutes=20), "credits after a charge"),
        (ago(minutes=5), ago(minutes=1), ago(minutes=5), None),  # too soon
        (ago(minutes=20), ago(minutes=30), ago(minutes=20), None),  # known already
        (ago(minutes=40), ago(minutes=30), ago(minutes=14), None),  # asked, unanswered
        (None, ago(minutes=1), None, "credits after a charge"),
    ],
)
def test_credits_are_read_once_after_charges(checked, charged, asked, why):
    work = Work(ago(minutes=1), charged)
    assert due("active", work, checked_at=checked, asked_at=asked) == why


@pytest.mark.parametrize(
    ("since", "asked", "why"),
    [
        (ago(minutes=1), None, "probe"),
        (ago(minutes=6), ago(minutes=4), None),
        (ago(minutes=9), ago(minutes=6), "probe"),
        (ago(hours=2), ago(minutes=50), None),
        (ago(hours=2), ago(minutes=80), "probe"),
        (ago(days=9), ago(hours=5), None),
        (ago(days=9), ago(hours=7), "probe"),
    ],
)
def test_an_expired_session_is_probed_ever_more_rarely(since, asked, why):
    assert due("expired", since=since, asked_at=asked) == why


def test_an_exhausted_session_is_probed_when_the_site_has_reset_it():
    assert due("exhausted", until=NOW + timedelta(seconds=1)) is None
    assert due("exhausted", until=NOW) == "probe"
    assert due("exhausted", until=NOW, asked_at=ago(minutes=9)) is None


@pytest.mark.parametrize("state", ["cooling", "blocked", "disabled", "draining"])
def test_nobody_asks_about_the_others(state):
    assert due(state, checked_at=ago(days=9), until=ago(days=1)) is None


def test_what_no_check_has_settled_is_checked_again_each_minute():
    assert due("unchecked", asked_at=ago(seconds=59)) is None
    assert due("unchecked", asked_at=ago(seconds=60)) == "not checked yet"


def test_sessions_added_together_are_not_checked_together():
    moments = {checking.spread(f"s{n}", checking.EVERY, NOW) for n in range(50)}
    assert len(moments) > 30
    assert all(abs(m / checking.EVERY - 1) <= checking.SPREAD for m in moments)
