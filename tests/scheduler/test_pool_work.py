"""What operators do with a session, on a real database inside one transaction."""

from datetime import UTC, datetime

import pytest

from contracts.requests import EnableSession
from contracts.sessions import CheckSession, ClosedModel
from scheduler import pool_work
from scheduler.domain.rows import Session
from scheduler.store import credentials, sessions
from scheduler.store.credentials import Told
from scheduler.store.engine import database_url, writing_engine
from scheduler.store.migrate import migrate
from scheduler.writer import Turn

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)


@pytest.fixture
async def turn(tmp_path):
    """Give a transaction on a new database."""
    url = database_url("", tmp_path)
    migrate(url)
    engine = writing_engine(url)
    async with engine.begin() as db:
        yield Turn(db, NOW)
    await engine.dispose()


@pytest.mark.parametrize("state", ["active", "cooling", "blocked"])
async def test_a_session_that_is_enabled_may_take_every_model_again(turn, state):
    model = ClosedModel(model="seedance-2.0", reason="3021", since=NOW)
    closed = Session("s1", "mine", state, closed_models=(model,))
    await sessions.add(turn.db, closed, masked="0…f", has_proxy=False, now=NOW)
    await sessions.save(turn.db, closed, NOW)
    told = Told("print", "0…f", "cn", has_proxy=False)
    credential = await credentials.add(turn.db, "s1", told, NOW)
    await credentials.seal(turn.db, credential, b"sealed")
    await pool_work.enable(turn, EnableSession(id="s1", enabled=True))
    session = await sessions.load(turn.db, "s1")
    assert (session.state, session.closed_models) == ("unchecked", ())
    said = [parcel.subject for parcel in turn.parcels]
    assert CheckSession(session="s1", credential=credential).subject in said
