"""A running scheduler, and the hands that play every other service."""

import pytest

from scheduler.store.engine import database_url, writing_engine
from scheduler.store.migrate import migrate
from scheduler.writer import Turn
from scheduler_support import NOW, Stage


@pytest.fixture
async def stage(nats, make_bus, until, tmp_path):
    async with Stage(nats, make_bus, until, tmp_path) as stage:
        yield stage


@pytest.fixture
async def turn(tmp_path):
    """Give a transaction, at NOW, on a new database without a scheduler."""
    url = database_url("", tmp_path)
    migrate(url)
    engine = writing_engine(url)
    async with engine.begin() as db:
        yield Turn(db, NOW)
    await engine.dispose()
