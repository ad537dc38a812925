"""Rounds settle what was not taken, so they must take their time."""

import pytest

from runtime.settings import load
from scheduler import sends
from scheduler.sends import Rounds
from scheduler.settings import SchedulerSettings


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(sends, "monotonic", lambda: now[0])
    return now


def test_a_poll_that_comes_too_soon_is_no_round(clock):
    rounds = Rounds(10)
    assert rounds.wait("s") == 0
    assert rounds.wait("other") == 0
    clock[0] += 3
    assert rounds.wait("s") == pytest.approx(6.5)
    clock[0] += 7
    assert rounds.wait("s") == 0


@pytest.mark.parametrize(
    ("interval", "least", "rounds"), [(10, 10, 11), (10, 1, 96), (60, 60, 3)]
)
def test_as_many_rounds_settle_as_make_up_the_settle_time(
    tmp_path, interval, least, rounds
):
    settings = load(
        SchedulerSettings,
        data_dir=tmp_path,
        settle_secs=90,
        poll_interval_secs=interval,
        poll_min_secs=least,
    )
    assert settings.rules.limits.settle_rounds == rounds
