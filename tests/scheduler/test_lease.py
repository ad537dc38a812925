"""One scheduler writes, another waits: processes that stop, sleep, die, lose NATS."""

import asyncio
import os
import re
import signal
import sqlite3
import sys
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from time import monotonic

import pytest
from alembic import command
from nats.errors import Error as NatsError

from contracts import requests as asked
from contracts.ending import end
from contracts.tasks import CreateTask
from contracts.values import Job
from scheduler.lease import Lease
from scheduler.store import engine
from scheduler.store.migrate import _config, migrate

# Processes start slowly on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

WORK = "is at work now"
READY = "scheduler is ready"
LOST = "another scheduler took over"


class Process:
    """A scheduler's process, and what it says."""

    def __init__(self, process):
        self.process = process
        self.said = ""

    async def says(self, words, seconds=30):
        """Read on until a line has these words."""
        async with asyncio.timeout(seconds):
            while words not in (line := (await self._line())):
                assert line, f"ended before {words!r}:\n{self.said}"

    async def ends(self, seconds=30):
        """Return its exit status once it has ended."""
        async with asyncio.timeout(seconds):
            while await self._line():
                pass
            return await self.process.wait()

    async def _line(self):
        line = (await self.process.stdout.readline()).decode()
        self.said += line
        return line

    def gets(self, signal_):
        self.process.send_signal(signal_)


@pytest.fixture
def run(nats, tmp_path):
    """Run schedulers on one folder, each for as long as its block lasts."""

    @asynccontextmanager
    async def run(lease=1.0):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "scheduler",
            env={
                "PATH": os.environ["PATH"],
                "NATS_URL": nats.link.url,
                "NATS_USER": nats.link.user,
                "NATS_PASSWORD": nats.link.password,
                "DATA_DIR": str(tmp_path / "data"),
                "LOG_FORMAT": "json",
                "LEASE_SECS": str(lease),
            },
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            yield Process(process)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()

    return run


@pytest.fixture
def both(run):
    """Run one that is at work and one that stands by."""

    @asynccontextmanager
    async def both(lease=1.0):
        async with run(lease) as first:
            await first.says(READY)
            async with run(lease) as second:
                await second.says("standby")
                yield first, second

    return both


@pytest.fixture
async def hands(nats, make_bus):
    await nats.provision()
    hands = make_bus("hands")
    await hands.start()
    return hands


async def create(hands, task="t1"):
    job = Job(model="jimeng-video-3.0", prompt="a fox", duration=5, ratio="16:9")
    command = CreateTask(task=task, job=job, created_at=datetime.now(UTC))
    await hands.send(command, f"create:{task}")


async def taken(hands, until, task="t1"):
    async def there():
        with suppress(asked.RequestRefusedError):
            return await hands.ask(asked.ReadTask(task=task))

    return await until(there)


@asynccontextmanager
async def asking(hands):
    """Ask one request after another all along; each must be answered."""
    answers, stop = [], asyncio.Event()

    async def ask():
        while not stop.is_set():
            answers.append(await hands.ask(asked.ReadStats(), seconds=3))

    task = asyncio.create_task(ask())
    try:
        yield answers
    finally:
        stop.set()
        await task  # raises what nobody answered


def epoch(tmp_path):
    with sqlite3.connect(tmp_path / "data" / "gateway.db") as db:
        (found,) = db.execute("select epoch from lease").fetchone()
    db.close()
    return found


async def test_a_standby_waits_and_is_given_the_work_by_a_clean_stop(
    both, hands, tmp_path
):
    async with both(lease=60) as (first, second), asking(hands) as answers:
        first.gets(signal.SIGTERM)
        await second.says(READY)  # long before the lease ends
        answered = len(answers)
        await hands.ask(asked.ReadStats())
        assert await first.ends() == 0
    assert len(answers) > answered
    assert epoch(tmp_path) == 2


async def test_one_that_sleeps_is_replaced_and_writes_nothing_when_it_wakes(
    both, hands, until, tmp_path
):
    async with both() as (first, second):
        await create(hands)
        await taken(hands, until)
        first.gets(signal.SIGSTOP)
        # Only the sleeper hears this one, and nobody waits for its answer.
        stale = asked.CancelTask(task="t1")
        await hands.client.publish(stale.subject, stale.body())
        await hands.client.flush()
        question = asyncio.create_task(hands.ask(asked.ReadStats(), seconds=3))
        await second.says(READY)
        first.gets(signal.SIGCONT)
        assert await first.ends() == 1
        assert re.search(rf"{LOST}; \d+ stale writes were refused", first.said)
        assert (await question).queued == 1
        found = await hands.ask(asked.ReadTask(task="t1"))
        assert found.status == "queued"
        cancelled = await hands.ask(asked.CancelTask(task="t1"))
        assert cancelled.task.status == "cancelled"
    assert epoch(tmp_path) == 2


SLEEPER = """
import asyncio, os, pathlib, signal, sys
from scheduler.lease import Lease
from scheduler.store.engine import database_url, reading_engine, writing, writing_engine
from scheduler.store.migrate import migrate

async def main():
    folder = pathlib.Path("data")
    folder.mkdir()
    url = database_url("", folder)
    migrate(url)
    engine = writing_engine(url)
    lease = Lease(engine, reading_engine(url), folder, 1, sys.exit)
    async with lease.held(lambda: True), writing(engine):
        print("asleep", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)

asyncio.run(main())
"""


async def test_one_that_was_stopped_in_the_middle_of_a_write_is_ended(
    run, hands, tmp_path
):
    sleeper = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SLEEPER), cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert await sleeper.stdout.readline() == b"asleep\n"
        async with run() as standby:
            await standby.says("was stopped with the database locked")
            await standby.says(READY)
            assert await sleeper.wait() == -signal.SIGKILL
            await create(hands)
    finally:
        with suppress(ProcessLookupError):
            sleeper.kill()
        await sleeper.communicate()


async def test_a_killed_ones_successor_does_not_wait_for_the_lease_to_end(
    run, hands, tmp_path
):
    async with run(lease=60) as first:
        await first.says(READY)
        first.gets(signal.SIGKILL)
        await first.ends()
    async with run(lease=60) as second:
        await second.says(READY, seconds=20)
        assert "standby" not in second.said
    assert epoch(tmp_path) == 2


async def test_a_standby_goes_on_when_the_first_was_killed(both, hands, until):
    async with both() as (first, second):
        await create(hands)
        await taken(hands, until)
        first.gets(signal.SIGKILL)
        await second.says(READY)
        assert (await hands.ask(asked.ReadTask(task="t1"))).status == "queued"
        await create(hands, "t2")
        await taken(hands, until, "t2")


async def test_one_without_nats_stands_back_and_goes_on_when_nobody_took_over(
    run, hands, nats, until, tmp_path
):
    async with run() as only:
        await only.says(READY)
        await create(hands)
        await taken(hands, until)
        nats.kill()
        await only.says("another scheduler may go on")
        nats.start()
        await only.says(WORK)

        async def answered():
            with suppress(NatsError):
                return await hands.ask(asked.ReadTask(task="t1"), seconds=1)

        assert (await until(answered, seconds=20)).status == "queued"
        only.gets(signal.SIGTERM)
        assert await only.ends() == 0
    assert epoch(tmp_path) == 2


async def test_one_without_nats_ends_when_another_had_the_lease_meanwhile(
    both, hands, nats
):
    async with both() as (first, second):
        nats.kill()
        await first.says("another scheduler may go on")
        await second.says(WORK)
        nats.start()
        assert await first.ends() == 1
        assert LOST in first.said
        await second.says(READY)


def revision(tmp_path):
    with sqlite3.connect(tmp_path / "data" / "gateway.db") as db:
        (found,) = db.execute("select version_num from alembic_version").fetchone()
    db.close()
    return found


@asynccontextmanager
async def at_work(tmp_path, version):
    """Be a scheduler of an earlier version: hold the lease, and beat."""
    (tmp_path / "data").mkdir()
    url = engine.database_url("", tmp_path / "data")
    await asyncio.to_thread(command.upgrade, _config(url), version)
    holder = sqlite3.connect(tmp_path / "data" / "gateway.db", isolation_level=None)
    holder.execute("pragma journal_mode=wal")
    holder.execute("update lease set owner='another', epoch=1")

    async def beat():
        while True:
            holder.execute("update lease set beat=beat+1")
            await asyncio.sleep(0.1)

    beating = asyncio.create_task(beat())
    try:
        yield beating
    finally:
        await end(beating)
        holder.close()


@pytest.mark.usefixtures("hands")
async def test_a_newer_standby_upgrades_when_it_has_the_lease_and_not_before(
    run, tmp_path
):
    async with at_work(tmp_path, "0003") as older, run() as newer:
        await newer.says("standby")
        assert revision(tmp_path) == "0003"
        assert not list((tmp_path / "data").glob("*.before-*"))
        await end(older)
        await newer.says(READY)
        assert revision(tmp_path) > "0003"
        assert epoch(tmp_path) == 2
        assert (tmp_path / "data" / "gateway.db.before-0003").exists()


@asynccontextmanager
async def engines(tmp_path):
    """Give the engines of a database as it is once it was used."""
    url = engine.database_url("", tmp_path)
    await asyncio.to_thread(migrate, url)
    writing, reads = engine.writing_engine(url), engine.reading_engine(url)
    for each in (writing, reads):
        await (await each.connect()).close()
    yield writing, reads
    await writing.dispose()
    await reads.dispose()


async def test_one_that_could_not_stand_back_goes_on_once_it_can_write(
    tmp_path, monkeypatch, until
):
    monkeypatch.setattr(engine, "BUSY_MS", 10)
    warned, ended, seen = [], [], []
    monkeypatch.setattr(
        "scheduler.lease.log.warning", lambda *words: warned.append(words)
    )
    async with engines(tmp_path) as (writing, reads):
        sleeper = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
        lease = Lease(writing, reads, tmp_path, 0.5, ended.append)

        def connected():
            """NATS was there once; when that counts as away, the disk is not ours."""
            if not seen:
                seen.append(monotonic())
                return True
            if monotonic() - seen[0] > 0.5 and not warned:
                sleeper.execute("BEGIN IMMEDIATE")
            return len(warned) > 1

        async with lease.held(connected), asyncio.timeout(10):
            await until(lambda: len(warned) > 1)
            sleeper.execute("ROLLBACK")
            await lease.ours()
            await lease._beat()
        sleeper.close()
    assert "NATS has been away" in warned[0][0]
    assert "not renewed" in warned[1][0]
    assert ended == []


async def test_one_whose_beat_ends_in_an_error_ends(tmp_path):
    ended = asyncio.get_running_loop().create_future()

    def broken():
        raise LookupError("no connection at all")

    async with engines(tmp_path) as (writing, reads):
        lease = Lease(writing, reads, tmp_path, 0.1, ended.set_result)
        async with lease.held(broken), asyncio.timeout(10):
            assert "no connection at all" in await ended


async def test_an_upgrade_that_lasts_longer_than_a_lease_costs_it_not(
    tmp_path, monkeypatch, until
):
    monkeypatch.setattr(engine, "BUSY_MS", 10)
    warned, ended = [], []
    monkeypatch.setattr("scheduler.lease.log.warning", lambda *_: warned.append(1))
    async with engines(tmp_path) as (writing, reads):
        lease = Lease(writing, reads, tmp_path, 0.2, ended.append)
        upgrade = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
        async with lease.held(lambda: True):
            with lease.upgrading() as mine:
                upgrade.execute("BEGIN IMMEDIATE")
                await until(lambda: len(warned) > 6)  # of which four make a lease
                upgrade.execute("ROLLBACK")
            assert mine == 1
        upgrade.close()
    assert ended == []


async def test_a_standby_outlives_a_holder_that_sleeps_in_the_middle_of_a_write(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(engine, "BUSY_MS", 10)
    async with engines(tmp_path) as (writing, reads):
        await _outlives(tmp_path, monkeypatch, writing, reads)


async def _outlives(tmp_path, monkeypatch, writing, reads):
    sleeper = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    sleeper.execute("BEGIN IMMEDIATE")
    sleeper.execute("update lease set owner='x', epoch=1")
    sleeper.execute("COMMIT")
    sleeper.execute("BEGIN IMMEDIATE")
    refused = asyncio.Event()
    monkeypatch.setattr("scheduler.lease.log.warning", lambda *_: refused.set())
    ended = []
    lease = Lease(writing, reads, tmp_path, 0.1, ended.append)

    async def hold():
        async with lease.held(lambda: True):
            await lease.ours()

    holding = asyncio.create_task(hold())
    async with asyncio.timeout(10):
        await refused.wait()
        sleeper.execute("ROLLBACK")
        await holding
    sleeper.close()
    assert ended == []
