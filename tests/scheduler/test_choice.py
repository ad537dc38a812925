"""Which session a task gets, and how many at a time."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from contracts.sessions import ClosedModel
from jimeng import find_model
from scheduler.domain import choice
from scheduler.domain.rows import Session

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
MODEL = find_model("jimeng-video-3.0")
AGO = NOW - timedelta(seconds=1)
AHEAD = NOW + timedelta(seconds=1)
CLOSED = ClosedModel(model=MODEL.key, reason="3021", since=NOW)


def session(name="s", state="active", **more):
    return Session(name, name, state, **more)


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ({}, True),
        ({"state": "cooling", "until": AHEAD}, False),
        ({"state": "cooling", "until": AGO}, True),
        ({"state": "exhausted", "until": AHEAD}, False),
        ({"state": "exhausted", "until": AGO}, True),
        ({"state": "unchecked"}, False),
        ({"state": "expired"}, False),
        ({"state": "blocked"}, False),
        ({"state": "disabled"}, False),
        ({"state": "draining"}, False),
        ({"models": (MODEL.key,)}, True),
        ({"models": ("another",)}, False),
        ({"closed_models": (CLOSED,)}, False),
        ({"region": "mars"}, False),
    ],
)
def test_who_may_take_a_task(given, fits):
    assert choice.fits(session(**given), MODEL, NOW) is fits


@pytest.mark.parametrize(
    ("given", "slots"),
    [
        ({"max_active": 5}, 5),
        ({"max_active": 5, "learnt": 2}, 2),
        ({"max_active": 2, "learnt": 9}, 2),
        # half-open: one that nobody has accepted yet, beside those that run
        ({"state": "cooling", "until": AGO, "max_active": 5}, 1),
        ({"state": "cooling", "until": AGO, "max_active": 5, "active": 3}, 4),
        (
            {
                "state": "cooling",
                "until": AGO,
                "max_active": 5,
                "active": 3,
                "pending": 1,
            },
            3,
        ),
        (
            {
                "state": "cooling",
                "until": AGO,
                "max_active": 5,
                "active": 3,
                "pending": 2,
                "held": 2,
            },
            4,
        ),
        ({"state": "cooling", "until": AGO, "max_active": 3, "active": 3}, 3),
        ({"max_active": 5, "daily_cap": 10, "today": 8, "active": 1}, 3),
        ({"max_active": 5, "daily_cap": 10, "today": 10, "active": 1}, 1),
        ({"max_active": 5, "daily_cap": 10, "today": 12}, 0),
    ],
)
def test_how_many_at_a_time(given, slots):
    assert choice.slots(session(**given)) == slots


def spread(policy, sessions, tasks):
    taken = Counter()
    for _ in range(tasks):
        taken[choice.pick(policy, sessions, taken).id] += 1
    return dict(taken)


def test_the_least_recently_used_goes_first():
    old, new = session("old", last_used_at=AGO), session("new", last_used_at=NOW)
    assert choice.pick("lru", [new, old], {}).id == "old"
    assert choice.pick("lru", [new, old, session("never")], {}).id == "never"
    assert spread("lru", [new, old], 4) == {"old": 2, "new": 2}


def test_the_idlest_goes_first():
    busy = session("busy", active=2, last_used_at=AGO)
    idle = session("idle", active=0, last_used_at=NOW)
    assert choice.pick("idle", [busy, idle], {}).id == "idle"
    assert spread("idle", [busy, idle], 4) == {"idle": 3, "busy": 1}


def test_weights_share_the_days_jobs():
    heavy, light = session("heavy", weight=3), session("light")
    assert spread("weighted", [light, heavy], 8) == {"heavy": 6, "light": 2}
    used = session("used", weight=3, today=9)
    assert choice.pick("weighted", [used, session("new")], {}).id == "new"
