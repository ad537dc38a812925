"""An account that is lent for one client's tasks: for nothing else, and no longer."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from contracts.pool import AddSession
from contracts.requests import RequestRefusedError, RetryTask
from contracts.values import LENT, Belonging, Job
from jimeng import find_model
from runtime.sealing import Ring
from scheduler import pool_work, work
from scheduler.domain.dispatch import Waiting, dispatch
from scheduler.domain.rows import Session, Task
from scheduler.domain.waiting import waiting_for
from scheduler.settings import SchedulerSettings
from scheduler.store import session_views, sessions, tasks
from scheduler.store.tables import credentials
from scheduler.vault import Vault
from scheduler_support import NOW, SECRET

MODEL = find_model("jimeng-video-3.0")
JOB = Job(model=MODEL.name, prompt="x", duration=5, ratio="1:1")
LATER = NOW + pool_work.LENT_KEPT + timedelta(seconds=1)


def waiting(name, owner=None):
    return Waiting(name, owner, 0, NOW, MODEL, "waiting")


def test_a_lent_account_works_for_its_lender_and_its_lender_for_no_other():
    own, pool = Session("own", "lent", "active", lent=True), Session("p", "p", "active")
    mine, other = waiting("mine", "lent:own"), waiting("other", "key:1")

    def found(tasks, accounts):
        return dispatch(tasks, accounts, {}, 99, NOW)

    both = found([mine, other], [own, pool])
    assert dict(both.pairs) == {"mine": "own", "other": "p"}
    without = found([mine, other], [pool])
    assert without.pairs == (("other", "p"),)
    assert without.stages == (("mine", "no_session"),)
    alone = found([mine, other], [own])
    assert alone.pairs == (("mine", "own"),)
    assert alone.stages == (("other", "no_session"),)
    assert found([waiting("x", "lent:else")], [own, pool]).pairs == ()


def test_nobody_is_told_of_a_lent_account_but_its_lender():
    own = Session("own", "lent", "expired", lent=True)
    task = Task("t", Belonging(owner="key:1"), JOB, NOW)
    assert waiting_for(task, [own], NOW) == "there is no account in the pool"
    mine = replace(task, belonging=Belonging(owner="lent:own"))
    assert "lent" in waiting_for(mine, [own], NOW)


@pytest.fixture
def vault():
    return Vault("a root that is long enough to be one")


async def lend(turn, vault, secret=SECRET, **more):
    wish = AddSession(credential=SecretStr(secret), lent=True, **more)
    return (await pool_work.add(turn, wish, vault)).session


async def sealed(turn, session):
    query = select(credentials.c.sealed).where(credentials.c.session == session)
    return (await turn.db.execute(query)).scalar_one()


async def test_it_is_in_no_list_and_shows_nothing_of_its_token(turn, vault):
    session = await lend(turn, vault)
    assert session.lent
    assert session.masked == "****"
    assert await session_views.views(turn.db) == []
    assert await sealed(turn, session.id)
    said = b"".join(parcel.body for parcel in turn.parcels)
    assert SECRET.encode() not in said
    assert SECRET[:4].encode() not in said


async def test_lent_twice_it_is_one_and_the_pools_is_not_lent(turn, vault):
    first = await lend(turn, vault)
    assert (await lend(turn, vault)).id == first.id
    other = AddSession(credential=SecretStr("1" + SECRET[1:]))
    await pool_work.add(turn, other, vault)
    with pytest.raises(RequestRefusedError) as caught:
        await lend(turn, vault, other.credential.get_secret_value())
    assert caught.value.refusal.type == "session-exists"


async def test_it_goes_with_the_last_task_of_its_lender(turn, vault):
    session = await lend(turn, vault)
    await pool_work.take_out_drained(turn)
    assert await sessions.load(turn.db, session.id)  # its create may still come

    task = Task("t1", Belonging(owner=LENT + session.id), JOB, NOW)
    await tasks.create(turn.db, task, NOW)
    turn.now = LATER
    await pool_work.take_out_drained(turn)
    assert await sessions.load(turn.db, session.id)

    ended = replace(task, status="failed", finished_at=LATER, updated_at=LATER)
    await tasks.save(turn.db, task, ended)
    await pool_work.take_out_drained(turn)
    assert await sessions.load(turn.db, session.id) is None
    assert await sealed(turn, session.id) is None


async def test_what_ran_on_a_lent_account_is_not_retried(turn, tmp_path):
    task = Task("t1", Belonging(owner="lent:gone"), JOB, NOW, status="failed")
    await tasks.create(turn.db, task, NOW)
    rules = SchedulerSettings(data_dir=tmp_path).rules
    ring = Ring("hooks", "a root that is long enough to be one")
    with pytest.raises(RequestRefusedError) as caught:
        await work.retry(turn, RetryTask(task="t1", new_task="t2"), rules, ring)
    assert caught.value.refusal.type == "account-lent"
