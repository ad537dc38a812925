"""What is done at the end of each transaction, and how much of it at once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from contracts.values import Belonging, Job
from scheduler import queueing
from scheduler.domain.rows import Task
from scheduler.settings import SchedulerSettings
from scheduler.store import outbox, tasks
from scheduler.store.engine import database_url, writing_engine
from scheduler.store.migrate import migrate
from scheduler.store.tables import inbox
from scheduler.writer import Turn

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
JOB = Job(model="jimeng-video-3.0", prompt="x", duration=5, ratio="1:1")


@pytest.fixture
async def turn(tmp_path):
    """Give a transaction on a new database."""
    url = database_url("", tmp_path)
    migrate(url)
    engine = writing_engine(url)
    async with engine.begin() as db:
        yield Turn(db, NOW)
    await engine.dispose()


@pytest.fixture
def rules(tmp_path):
    return SchedulerSettings(data_dir=tmp_path).rules


async def queued(turn, number):
    """Queue tasks, each of an owner of its own."""
    for n in range(number):
        belonging = Belonging(owner=f"key:{n}")
        await tasks.create(turn.db, Task(f"t{n}", belonging, JOB, NOW), NOW)


async def test_only_some_are_told_in_one_transaction_why_they_wait(turn, rules):
    await queued(turn, queueing.EXPLAINED + 5)
    told = []
    for _ in range(3):
        again = await queueing.dispatch_waiting(turn, rules)
        told.append((len(turn.parcels), again))
        turn.parcels.clear()
    assert told == [(queueing.EXPLAINED, NOW), (5, None), (0, None)]


class Clock:
    """A clock that goes on by so many seconds whenever it is read."""

    def __init__(self, step):
        self.time = 100.0
        self.step = step

    def __call__(self):
        self.time += self.step
        return self.time


async def test_a_dispatch_that_took_long_rests_four_times_as_long(
    turn, rules, monkeypatch
):
    clock = Clock(step=1.0)
    monkeypatch.setattr(queueing, "monotonic", clock)
    lookout = queueing.Lookout(rules)
    assert await lookout.look(turn) is None
    await queued(turn, 1)
    clock.step = 0.0
    assert await lookout.look(turn) == pytest.approx(queueing.REST, abs=0.1)
    assert turn.parcels == []
    clock.time += queueing.REST
    assert await lookout.look(turn) is None
    assert len(turn.parcels) == 1  # it says why it waits


async def test_a_short_dispatch_does_not_rest(turn, rules, monkeypatch):
    monkeypatch.setattr(queueing, "monotonic", Clock(step=0.001))
    lookout = queueing.Lookout(rules)
    await lookout.look(turn)
    await queued(turn, 1)
    await lookout.look(turn)
    assert len(turn.parcels) == 1


async def test_facts_of_polls_are_forgotten_when_their_events_have_gone(turn):
    day, hours = NOW - timedelta(days=1), NOW - timedelta(hours=3)
    for moment in (day, hours, NOW):
        at = f"{moment:%d%H}"
        for what in ("poller.absent", "poller.progressed", "poller.generated"):
            await outbox.first_time(turn.db, f"t1:1:{what}:{at}", moment)
    await queueing.reconcile(turn)
    left = set(await turn.db.scalars(select(inbox.c.id)))
    assert left == {
        "t1:1:poller.generated:2004",
        "t1:1:poller.generated:2101",
        "t1:1:poller.absent:2104",
        "t1:1:poller.progressed:2104",
        "t1:1:poller.generated:2104",
    }
    await queueing.reconcile(replace(turn, now=NOW + queueing.INBOX_KEPT))
    left = set(await turn.db.scalars(select(inbox.c.id)))
    assert left == {"t1:1:poller.generated:2104"}
