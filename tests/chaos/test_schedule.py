"""A seed replays a storm, and the times of one fit together."""

import pytest

from chaos import faults, load
from chaos.faults import fill
from chaos.times import DESIGN, SETTLE_ROOM, Times

SERVICES = ["gateway-http", "scheduler", "signer", "poller"]


def events(seed, kills=20):
    return faults.plan(seed, kills, 60, Times(10), list(SERVICES))


def test_a_seed_replays_the_schedule_and_the_load():
    assert events(7) == events(7) != events(8)
    assert load.plan(7, 30, 60) == load.plan(7, 30, 60) != load.plan(8, 30, 60)


def test_everything_ends_with_the_storm_and_everything_is_killed():
    planned = events(7)
    assert all(e.at >= 0 and e.at + e.seconds <= 60.001 for e in planned)
    assert planned == sorted(planned, key=lambda event: event.at)
    killed = {e.target for e in planned if e.kind == "kill"}
    assert killed == {*SERVICES, "browser", "nats"}
    assert sum(e.kind == "kill" for e in planned) == 20
    kinds = {"kill", "stop", "net", "site", "disk", "clock", "midsend", "again"}
    assert {e.kind for e in planned} == kinds


def test_only_where_another_waits_is_a_scheduler_deposed():
    both = faults.plan(7, 20, 60, Times(10), [*SERVICES, "scheduler-2"])
    assert {e.target for e in both if e.kind == "depose"} == {"holder"}


@pytest.mark.parametrize("speed", [1, 3, 10, 100])
def test_settle_exceeds_permit_and_time_out_at_every_speed(speed):
    times = Times(speed)
    sent = DESIGN["PERMIT_SECS"] + DESIGN["SUBMIT_TIMEOUT_SECS"]
    assert times.settle > sent / speed + SETTLE_ROOM
    assert float(times.environment["SETTLE_SECS"]) == pytest.approx(times.settle)


def test_only_settings_that_are_known_are_passed():
    times = Times(1)
    assert "POLL_MIN_SECS" in times.environment
    assert not set(times.unknown) & set(times.environment)


def test_filling_stops_where_nothing_more_fits(tmp_path):
    class Small:
        """A file with room for a megabyte and a bit."""

        left = (1 << 20) + 5_000

        def open(self, *_, **__):
            return self

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def write(self, data):
            if len(data) > self.left:
                raise OSError(28, "No space left on device")
            self.left -= len(data)

    small = Small()
    fill(small)
    assert small.left < 4096
