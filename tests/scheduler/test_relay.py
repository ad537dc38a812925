"""From the outbox into NATS, on a real server and database."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.bus import Bus
from contracts.sessions import CheckSession
from contracts.tasks import PollSession
from runtime.background import running
from scheduler.relay import Relay
from scheduler.store import outbox
from scheduler.store.engine import database_url, reading, writing_engine
from scheduler.store.migrate import migrate
from scheduler.store.outbox import Parcel
from scheduler.writer import Turn

POLL = PollSession(session="s1")
CHECK = CheckSession(session="s1", credential=1)


@dataclass
class Office:
    """An outbox whose parcels a relay publishes; to the relay it is the writer."""

    bus: Bus
    engine: AsyncEngine
    relay: Relay
    working: asyncio.TaskGroup
    fails: int = 0
    """How many of its next transactions are rolled back at their end."""

    async def say(self, *messages):
        """Have these published, as after one commit."""
        parcels = [
            Parcel(time.time_ns(), "CMD", m.subject, None, None, m.body())
            for m in messages
        ]
        async with self.engine.begin() as db:
            await outbox.put(db, parcels)
        self.relay.take(parcels)

    def later(self, work):
        """Run a piece of the relay's work."""

        async def transact():
            async with self.engine.begin() as db:
                turn = Turn(db, datetime.now(UTC))
                await work(turn)
                if self.fails:
                    self.fails -= 1
                    await db.rollback()
                    return
            for call in turn.committed:
                call()

        return self.working.create_task(transact())

    async def left(self):
        """Return the subjects of what still waits in the outbox."""
        async with reading(self.engine) as db:
            return [parcel.subject for parcel in await outbox.left(db)]

    async def both_there(self):
        """Tell whether poll and check are in the queue."""
        info = await self.bus.jetstream.stream_info("CMD", subjects_filter=">")
        return set(info.state.subjects or ()) == {POLL.subject, CHECK.subject}


@pytest.fixture
async def office(nats, make_bus, tmp_path):
    """Give an office whose session s1 has a poll that is still there."""
    await nats.provision()
    url = database_url("", tmp_path)
    migrate(url)
    bus, engine = make_bus("scheduler"), writing_engine(url)
    await bus.start()
    await bus.send(POLL, "an earlier one")
    async with asyncio.TaskGroup() as working:
        office = Office(bus, engine, Relay(bus), working)
        async with running(lambda: office.relay.run(office)):
            yield office
    await engine.dispose()


async def test_a_poll_that_is_still_there_holds_up_nothing_else(office, until):
    await office.say(POLL, CHECK)
    await until(office.both_there)


async def test_polls_of_a_session_that_wait_are_one(office, until):
    await office.say(POLL, CHECK)
    await until(office.both_there)  # so what is said now is not of the same batch
    await office.say(POLL)
    await office.say(POLL)

    async def one_waits():
        return await office.left() == [POLL.subject]

    await until(one_waits)
    await office.bus.jetstream.purge_stream("CMD", subject=POLL.subject)

    async def nothing_waits():
        return await office.left() == []

    await until(nothing_waits)
    assert await office.both_there()


async def waits(office, *subjects):
    """Tell whether this is all that waits in the outbox."""
    return await office.left() == list(subjects)


async def test_the_same_command_twice_in_a_line_is_one(office, until):
    await office.say(CHECK)
    await until(office.both_there)
    for _ in range(2):
        await office.say(CHECK)
    await until(lambda: waits(office, CHECK.subject))
    other = CheckSession(session="s1", credential=2)
    await office.say(other)
    await office.say(POLL)  # what is said is taken in order
    await until(lambda: waits(office, *[CHECK.subject] * 2, POLL.subject))


async def test_what_a_rollback_left_in_the_outbox_goes_with_the_next_commit(
    office, until
):
    office.fails = 1
    await office.say(CHECK)
    await until(lambda: _true(not office.fails))
    assert await office.left() == [CHECK.subject]
    other = CheckSession(session="s2", credential=1)
    await office.say(other)
    await until(lambda: waits(office))


async def test_a_poll_is_tried_no_more_once_its_worker_has_asked(office, until):
    await office.say(POLL)
    await office.say(CHECK)
    await until(lambda: waits(office, POLL.subject))
    office.relay.unneeded(POLL)
    office.relay.unneeded(CHECK)  # that is issued: nothing to give up
    await until(lambda: waits(office))
    await office.bus.jetstream.purge_stream("CMD", subject=CHECK.subject)
    await office.say(CHECK)
    await until(office.both_there)


async def test_a_poll_that_is_said_after_the_worker_asked_is_issued(office, until):
    await office.say(POLL)
    await office.say(CHECK)
    await until(office.both_there)
    await until(lambda: waits(office, POLL.subject))
    office.relay.unneeded(POLL)  # the worker is told that nothing is to be polled,
    await office.say(POLL)  # then something is,
    await until(lambda: waits(office, POLL.subject))
    await office.bus.jetstream.purge_stream("CMD", subject=POLL.subject)  # it ends
    await until(lambda: waits(office))
    assert await office.both_there()


class Broken:
    """A bus that refuses the first event it is given, and takes all later ones."""

    def __init__(self):
        self.told = []
        self.refused = 0

    async def emit_raw(self, subject, body, message_id, ttl_seconds, *, stream):
        if not self.refused:
            self.refused += 1
            raise TimeoutError
        self.told.append(message_id)


class Forgetful:
    """A writer to whom nothing is worth remembering."""

    def later(self, work):
        return asyncio.Future()


async def test_an_event_that_cannot_be_published_is_overtaken_by_none(
    monkeypatch, until
):
    monkeypatch.setattr("scheduler.relay.RETRY_SECONDS", 0.01)
    bus = Broken()
    relay = Relay(bus)
    subject = "evt.task.t1.scheduler."
    first = Parcel(1, "EVT", subject + "queued", "one", None, b"")
    second = Parcel(2, "EVT", subject + "submitting", "two", None, b"")
    async with running(lambda: relay.run(Forgetful())):
        relay.take([first])
        await until(lambda: _true(bus.refused))
        relay.take([second])
        await until(lambda: _true(len(bus.told) == 2))
    assert bus.told == ["one", "two"]


async def _true(value):
    return value
