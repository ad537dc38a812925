"""What is done with sessions, on a real database inside one transaction."""

from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.message import now
from contracts.pool import EnableSession
from contracts.sessions import (
    CheckSession,
    ClosedModel,
    SessionChanged,
    SessionChecked,
)
from contracts.values import Belonging, Job
from scheduler import check_work, pool_work
from scheduler.domain.rows import Attempt, Session, Task
from scheduler.store import attempts, credentials, session_views, sessions, tasks
from scheduler.store.credentials import Told
from scheduler_support import NOW


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


async def pooled(turn, *states, **more):
    """Put sessions with a current credential into the pool."""
    for n, state in enumerate(states):
        session = Session(f"s{n}", f"mine {n}", state)
        await sessions.add(turn.db, session, masked="0", has_proxy=False, now=NOW)
        await sessions.save(turn.db, replace(session, **more), NOW)
        told = Told(f"print {n}", "0", "cn", has_proxy=False)
        row = await credentials.add(turn.db, session.id, told, NOW)
        await credentials.seal(turn.db, row, b"sealed")


def asked_for(turn):
    checks = [p for p in turn.parcels if p.subject.startswith("cmd.poller.check.")]
    turn.parcels.clear()
    return [CheckSession.parse(p.body) for p in checks]


async def test_a_check_by_itself_is_cheap_and_is_asked_for_once(turn):
    await pooled(turn, "active", checked_at=NOW - timedelta(hours=7))
    await check_work.look_after_checks(turn)
    (check,) = asked_for(turn)
    assert (check.session, check.cheap, check.elsewhere) == ("s0", True, False)
    await check_work.look_after_checks(turn)
    assert asked_for(turn) == []


async def test_one_that_was_never_checked_is_asked_who_it_is(turn):
    await pooled(turn, "unchecked", "expired")
    await check_work.look_after_checks(turn)
    assert [(c.session, c.cheap) for c in asked_for(turn)] == [
        ("s0", False),
        ("s1", True),
    ]


async def test_many_that_are_due_at_once_are_checked_a_few_at_a_time(turn):
    await pooled(turn, *["active"] * 10, checked_at=NOW - timedelta(hours=7))
    seen = []
    for _ in range(3):
        await check_work.look_after_checks(turn)
        seen.append(len(asked_for(turn)))
    assert seen == [check_work.AT_ONCE, check_work.AT_ONCE, 2]


async def worked(turn, n, *, session="s0", **more):
    """Keep a task and an attempt of it at the site."""
    job = Job(model="jimeng-video-3.0", prompt="x", duration=5, ratio="1:1")
    await tasks.create(turn.db, Task(f"t{n}", Belonging(), job, NOW), NOW)
    attempt = Attempt(f"t{n}", 1, session, f"submit {n}", NOW)
    assert await attempts.reserve(turn.db, attempt, 99)
    await attempts.save(turn.db, replace(attempt, **more))


async def test_work_proves_a_session_and_a_charge_has_its_credits_read(turn):
    ago = NOW - timedelta(hours=7)
    await pooled(turn, "active", "active", checked_at=ago, asked_at=ago)
    soon = NOW - timedelta(minutes=5)
    known = {"state": "known", "permitted_at": soon, "upstream_id": "7"}
    await worked(turn, 1, **known)
    await check_work.look_after_checks(turn)
    assert [check.session for check in asked_for(turn)] == ["s1"]
    ended = known | {"state": "ended", "charged": True, "ended_at": soon}
    await worked(turn, 2, **ended)
    await check_work.look_after_checks(turn)
    assert [check.session for check in asked_for(turn)] == ["s0"]


async def test_counters_are_counted_from_attempts(turn):
    await pooled(turn, "active")
    today, yesterday = now(), now() - timedelta(hours=25)
    day = {"permitted_at": today, "upstream_id": "7"}
    await worked(turn, 1)  # reserved
    await worked(turn, 2, state="permitted", permitted_at=today)
    await worked(turn, 3, state="known", **day)
    await worked(turn, 4, state="ended", ended_at=today, charged=True, **day)
    await worked(
        turn, 5, state="ended", ended_at=today, permitted_at=today, charged=False
    )
    await worked(turn, 6, state="ended", ended_at=today, charged=True, adopted=True)
    await worked(turn, 7, state="known", permitted_at=yesterday, upstream_id="8")
    found = await sessions.load(turn.db, "s0")
    assert (found.active, found.pending) == (4, 2)
    (view,) = await session_views.views(turn.db)
    assert (view.active, view.today, found.today) == (4, 2, 4)


@pytest.mark.parametrize("state", ["known", "ended"])
async def test_the_same_account_twice_goes_once_its_jobs_have_ended(turn, state):
    await pooled(turn, "active", "unchecked")
    first = await sessions.load(turn.db, "s0")
    await sessions.save(turn.db, replace(first, upstream_uid="77"), NOW)
    await worked(turn, 1, session="s1", state=state, upstream_id="7")
    row, _ = await credentials.in_use(turn.db, "s1")
    found = SessionChecked(
        session="s1", credential=row, outcome="active", upstream_uid="77"
    )
    await check_work.checked(turn, found)
    twin = await sessions.load(turn.db, "s1")
    if state == "ended":
        assert twin is None
    else:
        assert (twin.state, twin.upstream_uid) == ("draining", None)
        assert "s0" in twin.reason
        assert await credentials.in_use(turn.db, "s1")  # what it sent is followed
    (told,) = [SessionChanged.parse(p.body) for p in turn.parcels if p.stream == "EVT"]
    assert told.duplicate_of == "s0"


async def test_a_candidate_that_cannot_be_tested_is_given_up(turn):
    await pooled(turn, "active", checked_at=NOW)
    (first,) = await credentials.candidates(turn.db)
    await credentials.promote(turn.db, first)
    told = Told("other", "1", "cn", has_proxy=False)
    row = await credentials.add(turn.db, "s0", told, NOW)
    await credentials.seal(turn.db, row, b"sealed too")
    later = replace(turn, now=NOW + timedelta(minutes=2))
    await check_work.look_after_checks(later)
    (check,) = asked_for(later)
    assert (check.credential, check.cheap) == (row, False)
    late = replace(turn, now=NOW + timedelta(minutes=16))
    await check_work.look_after_checks(late)
    (told,) = [SessionChanged.parse(p.body) for p in late.parcels if p.stream == "EVT"]
    assert "could not be tested" in told.rejected
    assert await credentials.candidates(turn.db) == []
    assert (await credentials.in_use(turn.db, "s0"))[0] == first.id
