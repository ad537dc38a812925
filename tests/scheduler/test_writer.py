"""One transaction after another: what is in one, and who hears of it."""

import asyncio

import pytest

from runtime.background import running
from scheduler.lease import DeposedError
from scheduler.store.engine import database_url, writing_engine
from scheduler.store.migrate import migrate
from scheduler.writer import Writer


class Ours:
    """A lease that nobody else wants."""

    def __init__(self):
        self.lost = False

    async def ours(self):
        """Is it."""

    async def check(self, _):
        if self.lost:
            raise DeposedError

    def deposed(self, pieces):
        self.pieces = pieces


@pytest.fixture
async def writer(tmp_path):
    """Give a running writer; `after` may be replaced."""
    url = database_url("", tmp_path)
    migrate(url)
    engine = writing_engine(url)

    async def nothing(_):
        return None

    made = Writer(engine, Ours(), nothing, lambda _: None)
    async with running(made.run):
        yield made
    await engine.dispose()


async def test_only_a_commit_is_told_of(writer):
    told = []

    async def work(turn):
        turn.committed.append(lambda: told.append("committed"))

    async def broken(_):
        raise LookupError("at the end of the transaction")

    whole, writer._after = writer._after, broken
    with pytest.raises(LookupError):
        await writer.do(work)
    assert told == []
    writer._after = whole
    async with asyncio.timeout(10):
        await writer.do(work)
        await writer.later(work)
    assert told == ["committed", "committed"]
