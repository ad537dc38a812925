"""The writer's statements run where they are asked for; what is long, in a thread."""

import asyncio
import threading

import pytest
from sqlalchemy import literal, select, text

from scheduler.store.engine import database_url, writing, writing_engine
from scheduler.store.near import LONG


@pytest.fixture
async def engine(tmp_path):
    engine = writing_engine(database_url("", tmp_path))
    yield engine
    await engine.dispose()


async def where(db, statement):
    """Return the name of the thread that a statement runs in."""
    names = []
    raw = (await db.get_raw_connection()).driver_connection
    await raw.set_trace_callback(
        lambda _: names.append(threading.current_thread().name)
    )
    await db.execute(statement)
    await raw.set_trace_callback(None)
    return names[0]


async def test_a_short_statement_runs_in_the_callers_thread(engine):
    async with writing(engine) as db:
        assert await where(db, select(literal(1))) == "MainThread"


async def test_a_long_one_leaves_the_loop_to_others(engine):
    async with writing(engine) as db:
        long = select(literal(1)).prefix_with(LONG)
        assert await where(db, long) != "MainThread"


async def test_many_short_ones_let_others_have_their_turns(engine):
    turns = 0

    async def other():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(other())
    async with writing(engine) as db:
        await asyncio.sleep(0)
        before = turns
        for _ in range(500):
            await db.execute(select(literal(1)))
        assert turns > before
    task.cancel()


async def test_what_fails_in_a_transaction_leaves_nothing_of_it(engine):
    async with writing(engine) as db:
        await db.execute(text("CREATE TABLE t (id INTEGER)"))

    async def fail():
        async with writing(engine) as db:
            await db.execute(text("INSERT INTO t VALUES (1)"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with writing(engine) as db:
        assert await db.scalar(text("SELECT count(*) FROM t")) == 0
