"""The negative control is weak where it says so; otherwise it would prove nothing."""

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from power_loss.weak import weaken
from scheduler.store.engine import database_url, writing_engine


@pytest.fixture
def weakened():
    event.listen(Pool, "checkout", weaken)
    yield
    event.remove(Pool, "checkout", weaken)


async def synchronous(folder):
    engine = writing_engine(database_url("", folder))
    async with engine.connect() as connection:
        found = await connection.exec_driver_sql("PRAGMA synchronous")
        value = found.scalar()
    await engine.dispose()
    return value


async def test_the_scheduler_writes_with_full(tmp_path):
    assert await synchronous(tmp_path) == 2


async def test_the_control_writes_with_normal(tmp_path, weakened):
    assert await synchronous(tmp_path) == 1
