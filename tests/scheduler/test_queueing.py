"""What is done at the end of each transaction, and how much of it at once."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from contracts.values import Belonging, Job, Terms
from scheduler import queueing
from scheduler.domain.rows import Session, Task
from scheduler.settings import SchedulerSettings
from scheduler.store import attempts, outbox, sessions, tasks
from scheduler.store.tables import inbox
from scheduler.store.tables import tasks as table
from scheduler_support import NOW

JOB = Job(model="jimeng-video-3.0", prompt="x", duration=5, ratio="1:1")


@pytest.fixture
def rules(tmp_path):
    return SchedulerSettings(data_dir=tmp_path).rules


class Clock:
    """A clock that goes on by so many seconds whenever it is read."""

    def __init__(self, step):
        self.time = 100.0
        self.step = step

    def __call__(self):
        self.time += self.step
        return self.time


@pytest.fixture
def clock(monkeypatch):
    """Give a clock that stands still."""
    clock = Clock(step=0.0)
    monkeypatch.setattr(queueing, "monotonic", clock)
    return clock


async def queued(turn, number):
    """Queue tasks, each of an owner of its own."""
    for n in range(number):
        belonging = Belonging(owner=f"key:{n}")
        await tasks.create(turn.db, Task(f"t{n}", belonging, JOB, NOW), NOW)


@pytest.mark.usefixtures("clock")
async def test_only_some_are_told_in_one_transaction_why_they_wait(turn, rules):
    await queued(turn, queueing.EXPLAINED + 5)
    lookout, told = queueing.Lookout(rules), []
    for _ in range(3):
        again = await lookout.look(turn)
        told.append((len(turn.parcels), again))
        turn.parcels.clear()
    assert told == [(queueing.EXPLAINED, 0.01), (5, None), (0, None)]


async def test_a_dispatch_that_took_long_rests_four_times_as_long(turn, rules, clock):
    clock.step = 1.0
    lookout = queueing.Lookout(rules)
    assert await lookout.look(turn) is None
    await queued(turn, 1)
    clock.step = 0.0
    assert await lookout.look(turn) == pytest.approx(queueing.REST, abs=0.1)
    assert turn.parcels == []
    clock.time += queueing.REST
    assert await lookout.look(turn) is None
    assert len(turn.parcels) == 1  # it says why it waits


async def test_a_short_dispatch_does_not_rest(turn, rules, clock):
    clock.step = 0.001
    lookout = queueing.Lookout(rules)
    await lookout.look(turn)
    await queued(turn, 1)
    await lookout.look(turn)
    assert len(turn.parcels) == 1


def told(turn):
    """Return what was told of which task, since it was last asked."""
    said = [p.subject.split(".")[2:] for p in turn.parcels if p.stream == "EVT"]
    turn.parcels.clear()
    return [(task, what) for task, _, what in said]


def errors(caplog):
    return [r.task for r in caplog.records if r.levelname == "ERROR" and r.exc_info]


async def breaks(turn, task, **values):
    await turn.db.execute(
        update(table).where(table.c.id == task).values(updated_at=NOW, **values)
    )


async def later(turn, lookout):
    """Look once more, when what was put off is due again."""
    again = replace(turn, now=turn.now + queueing.PUT_OFF * 2)
    await lookout.look(again)
    return again


@pytest.mark.parametrize("broken", [{"job": {}}, {"error_code": "of tomorrow"}])
@pytest.mark.usefixtures("clock")
async def test_a_late_task_that_is_broken_stops_no_other(turn, rules, caplog, broken):
    ago = NOW - timedelta(seconds=1)
    for n in range(3):  # the broken one is the last
        due = ago - timedelta(seconds=n)
        task = Task(f"t{n}", Belonging(), JOB, NOW, Terms(deadline=ago), due_at=due)
        await tasks.create(turn.db, task, NOW)
    await breaks(turn, "t0", not_before=NOW + timedelta(days=1), **broken)
    lookout = queueing.Lookout(rules)
    await lookout.look(turn)
    assert told(turn) == [("t2", "failed"), ("t1", "failed")]
    assert errors(caplog) == ["t0"]
    assert await later(turn, lookout)
    assert errors(caplog) == ["t0"]


@pytest.mark.usefixtures("clock")
async def test_a_broken_task_takes_no_others_turn(turn, rules, caplog):
    await queued(turn, 2)
    session = Session("s1", "mine", "active", max_active=1)
    await sessions.add(turn.db, session, masked="0", has_proxy=False, now=NOW)
    # It fails once it has its attempt.
    await breaks(turn, "t0", job=JOB.model_dump() | {"model": "gone"})
    lookout = queueing.Lookout(rules)
    assert await lookout.look(turn) == pytest.approx(0.01)  # at once
    assert told(turn) == []
    await lookout.look(turn)
    assert told(turn) == [("t1", "submitting")]
    assert errors(caplog) == ["t0"]
    assert await attempts.load(turn.db, "t0", 1) is None


@pytest.mark.usefixtures("clock")
async def test_a_task_of_an_unknown_model_is_told_of_once(turn, rules, caplog):
    await queued(turn, 2)
    await breaks(turn, "t0", model="gone")
    lookout = queueing.Lookout(rules)
    for _ in range(2):
        await lookout.look(turn)
        assert errors(caplog) == ["t0"]
    await later(turn, lookout)
    assert errors(caplog) == ["t0"]


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


@pytest.mark.usefixtures("clock")
async def test_a_pause_that_a_wrong_clock_set_is_none(turn, rules):
    await queued(turn, 2)
    for task, minutes in (("t0", 2), ("t1", 60)):
        end = NOW + timedelta(minutes=minutes)
        await turn.db.execute(
            update(table).where(table.c.id == task).values(not_before=end)
        )

    again = await queueing.Lookout(rules).look(turn)

    assert told(turn) == [("t1", "progressed")]  # why it waits: there is no account
    assert again == pytest.approx(120, abs=1)
