"""The pool on a real nats-server and database; the poller speaks by hand."""

import sqlite3
from contextlib import closing

import pytest

from contracts import pool, workers
from contracts import requests as asked
from contracts import tasks as said
from contracts.pool import DrainSession, ReplaceCredential, SetProxy, SetSession
from contracts.sessions import CheckSession, SessionChecked
from scheduler_support import SECRET

OTHER = "fedcba9876543210fedcba9876543210"


async def secret_of(stage, session):
    found = await stage.hands.ask(workers.GetCredential(session=session))
    return found.sessionid.get_secret_value()


async def replace(stage, session, secret=OTHER, **more):
    wish = ReplaceCredential(id=session, credential=secret, **more)
    return (await stage.hands.ask(wish)).credential


# another credential


async def test_a_proxy_is_changed_once_it_is_proven_and_the_identity_stays(stage):
    session = await stage.session()
    before = await stage.hands.ask(workers.GetCredential(session=session))
    wish = SetProxy(id=session, proxy="socks5://u:p@127.0.0.1:1080")
    await stage.hands.ask(wish)
    await stage.found(upstream_uid="77")
    await stage.tells("checked", why="its credential was replaced")
    now = await stage.hands.ask(workers.GetCredential(session=session))
    assert now.proxy.get_secret_value() == "socks5://u:p@127.0.0.1:1080"
    same = ("sessionid", "region", "web_id", "user_id")
    assert all(getattr(now, name) == getattr(before, name) for name in same)
    assert (await stage.look(session)).has_proxy

    with pytest.raises(asked.RequestRefusedError) as no:
        await stage.hands.ask(SetProxy(id=session, proxy="ftp://127.0.0.1"))
    assert (no.value.refusal.status, no.value.refusal.field) == (422, "proxy")


async def test_tasks_go_on_with_a_replaced_credential(stage):
    session = await stage.session()
    submit = await stage.runs()
    row = await replace(stage, session)
    assert await secret_of(stage, session) == SECRET  # not before it is tested
    check = await stage.found(upstream_uid="77")
    assert (check.credential, check.elsewhere, check.cheap) == (row, True, False)
    told = await stage.tells("checked", credential=row)
    assert (told.rejected, told.why) == (None, "its credential was replaced")
    assert await secret_of(stage, session) == OTHER
    assert (await stage.look(session)).masked == "fedc…3210"
    due = await stage.hands.ask(workers.AskDue(session=session))
    assert [a.submit_id for a in due.attempts] == [submit.submit_id]
    assert due.credential.sessionid.get_secret_value() == OTHER


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"outcome": "expired"}, "the login is no longer valid"),
        ({"outcome": "active", "upstream_uid": "88"}, "another account of the site"),
        ({"outcome": "active"}, "1 tasks are on it"),
    ],
)
async def test_a_credential_of_no_use_leaves_the_present_one(stage, found, why):
    session = await stage.session()
    await stage.runs()
    row = await replace(stage, session)
    await stage.found(**found)
    told = await stage.tells("checked", credential=row)
    assert why in told.rejected
    assert told.state == "active"
    assert await secret_of(stage, session) == SECRET
    with pytest.raises(asked.RequestRefusedError):
        await stage.hands.ask(workers.GetCredential(session=session, credential=row))


async def test_another_account_is_taken_only_by_force(stage):
    session = await stage.session()
    await replace(stage, session, force=True)
    await stage.found(upstream_uid="88")
    await stage.tells("checked", why="its credential was replaced")
    assert await secret_of(stage, session) == OTHER


async def test_no_force_takes_what_is_another_sessions(stage):
    await stage.session(OTHER, uid="88")
    session = await stage.session()
    with pytest.raises(asked.RequestRefusedError) as no:
        await replace(stage, session, force=True)
    assert no.value.refusal.type == "session-exists"
    row = await replace(stage, session, "a" * 32, force=True)
    await stage.found(upstream_uid="88")
    told = await stage.tells("checked", credential=row)
    assert "in the pool already" in told.rejected


async def test_late_news_of_a_replaced_credential_changes_nothing(stage):
    session = await stage.session()
    old = (await stage.hands.ask(workers.GetCredential(session=session))).credential
    await replace(stage, session)
    await stage.found(upstream_uid="77")
    await stage.tells("checked", why="its credential was replaced")
    late = SessionChecked(session=session, credential=old, outcome="expired", n=99)
    await stage.hands.emit(late)
    await stage.hands.ask(pool.TestSession(id=session))
    await stage.found(upstream_uid="77")
    await stage.tells("checked", why="checked: active")
    assert (await stage.look(session)).state == "active"


async def test_asking_again_after_no_answer_is_the_same_wish(stage):
    wish = pool.AddSession(credential=SECRET, request="one")
    first, again = [await stage.hands.ask(wish) for _ in range(2)]
    assert (first.session.id, first.credential) == (again.session.id, again.credential)
    with pytest.raises(asked.RequestRefusedError) as no:
        await stage.hands.ask(wish.model_copy(update={"request": "two"}))
    assert no.value.refusal.status == 409
    await stage.found(upstream_uid="77")
    rows = [await replace(stage, first.session.id, request="three") for _ in range(2)]
    assert rows[0] == rows[1]


async def test_tasks_wait_for_an_expired_session_and_say_so(stage):
    session = await stage.session()
    await stage.runs()
    await stage.create("t2")
    second = await stage.next(said.SubmitPlain)
    await stage.permit(second)
    await stage.refuse(second, "1015")
    await stage.tells("changed", state="expired")
    why = "mine: expired: words (1015)"
    for task in ("t1", "t2"):
        assert (await stage.read(task)).waiting_for == why
    listed = await stage.hands.ask(asked.ListTasks())
    assert {task.waiting_for for task in listed.tasks} == {why}
    due = await stage.hands.ask(workers.AskDue(session=session))
    assert (due.attempts, due.next_seconds is not None) == ((), True)
    await replace(stage, session)
    await stage.found(upstream_uid="77")
    assert (await stage.next(said.SubmitPlain)).task == "t2"
    assert (await stage.read("t1")).waiting_for is None
    assert (await stage.read("t1")).status == "polling"


# how it is used


async def test_a_drained_session_ends_its_tasks_and_is_gone(stage):
    session = await stage.session()
    submit = await stage.runs()
    answer = await stage.hands.ask(DrainSession(id=session))
    assert answer.session.state == "draining"
    await stage.create("t2")
    await stage.taken(2)
    assert "draining" in (await stage.read("t2")).waiting_for
    await stage.ends(submit)
    told = await stage.tells("removed")
    assert told.why == "removed: its tasks have ended"
    with pytest.raises(asked.RequestRefusedError):
        await stage.hands.ask(workers.GetCredential(session=session))
    assert (await stage.read("t1")).attempts[0].session_label == "mine"
    assert (await stage.read("t2")).waiting_for == "there is no account in the pool"


async def test_what_the_site_takes_at_a_time_is_learnt(stage):
    session = await stage.session()
    await stage.hands.ask(SetSession(id=session, max_active=3))
    for task in ("t1", "t2"):
        await stage.runs(task)
    await stage.create("t3")
    third = await stage.next(said.SubmitPlain)
    await stage.permit(third)
    await stage.refuse(third, "1310")
    await stage.tells("changed", why="words (1310)")
    shown = await stage.look(session)
    assert (shown.state, shown.max_active, shown.learnt) == ("active", 3, 2)
    task = await stage.read("t3")
    assert (task.status, task.stage) == ("queued", "waiting")


async def test_a_cooled_session_is_tried_with_one_task_before_it_gets_more(stage):
    session = await stage.session()
    await stage.hands.ask(SetSession(id=session, max_active=3))
    with closing(sqlite3.connect(stage.data / "gateway.db", timeout=30)) as db:
        db.execute(
            "UPDATE sessions SET state = 'cooling', setbacks = 2,"
            " until = '2026-01-01T00:00:00.000000Z'"
        )
        db.commit()
    for task in ("t1", "t2", "t3"):
        await stage.create(task)
    await stage.taken(3)
    probe = await stage.next(said.SubmitPlain)
    await stage.permit(probe)
    assert (await stage.hands.ask(asked.ReadStats())).queued == 2
    one = {"task": probe.task, "attempt": 1}
    await stage.hands.emit(said.Submitted(**one, n=1, upstream_id="7"))
    others = {(await stage.next(said.SubmitPlain)).task for _ in range(2)}
    assert others == {"t1", "t2", "t3"} - {probe.task}
    told = await stage.tells("changed", state="active", why="the site took a job")
    assert told.until is None


async def test_what_waits_for_a_person_is_no_probe(stage):
    session = await stage.session()
    await stage.create()
    await stage.permit(await stage.next(said.SubmitPlain))
    await stage.app.stop()
    with closing(sqlite3.connect(stage.data / "gateway.db", timeout=30)) as db, db:
        db.execute("UPDATE tasks SET stage = 'held', due_at = NULL")
        db.execute(
            "UPDATE sessions SET state = 'cooling', setbacks = 2,"
            " until = '2026-01-01T00:00:00.000000Z'"
        )
    await stage.start_scheduler()
    await stage.create("t2")
    while (probe := await stage.next(said.SubmitPlain)).task != "t2":
        pass  # what was said before the stop may be said once more
    await stage.permit(probe)
    await stage.create("t3")
    await stage.taken(3)
    assert (await stage.read("t3")).status == "queued"
    assert (await stage.look(session)).active == 2


async def test_a_refused_prededuction_has_the_credits_read(stage):
    session = await stage.session()
    await stage.create()
    submit = await stage.next(said.SubmitPlain)
    await stage.permit(submit)
    await stage.refuse(submit, "5001")
    check = await stage.next(CheckSession)
    assert (check.session, check.cheap) == (session, True)
    told = await stage.tells("changed", state="cooling")
    assert told.why == "words (5001)"


async def test_no_more_jobs_a_day_than_its_cap(stage):
    session = await stage.session()
    await stage.hands.ask(SetSession(id=session, daily_cap=1))
    await stage.ends(await stage.runs())
    await stage.status("failed")
    await stage.create("t2")
    await stage.taken(2)
    task = await stage.read("t2")
    assert (task.status, task.waiting_for) == (
        "queued",
        "mine: its 1 jobs of today are done",
    )
    assert (await stage.look(session)).today == 1
    await stage.hands.ask(SetSession(id=session, daily_cap=0))
    assert (await stage.next(said.SubmitPlain)).task == "t2"


async def test_a_session_is_used_for_its_models_only(stage):
    session = await stage.session()
    with pytest.raises(asked.RequestRefusedError) as no:
        await stage.hands.ask(SetSession(id=session, models=("no-such",)))
    assert (no.value.refusal.status, no.value.refusal.field) == (422, "models")
    wish = SetSession(id=session, models=("jimeng-video-3.0-pro",))
    await stage.hands.ask(wish)
    await stage.create()
    await stage.taken(1)
    assert "not to be used for jimeng-video-3.0" in (await stage.read()).waiting_for
    await stage.hands.ask(SetSession(id=session, models=()))
    assert (await stage.next(said.SubmitPlain)).task == "t1"


async def test_a_model_that_must_be_confirmed_is_closed_there_only(stage):
    session = await stage.session()
    await stage.create()
    submit = await stage.next(said.SubmitPlain)
    await stage.permit(submit)
    await stage.refuse(submit, "4010")
    await stage.tells("changed", why="words (4010)")
    shown = await stage.look(session)
    assert shown.state == "active"
    assert [c.reason for c in shown.closed_models] == ["words (4010)"]
    assert (await stage.read()).waiting_for == "mine: words (4010)"
    await stage.hands.ask(pool.EnableSession(id=session, enabled=True))
    await stage.found(upstream_uid="77")
    assert (await stage.next(said.SubmitPlain)).attempt == 2


async def test_an_unreachable_site_leaves_a_candidate_to_be_tested_again(stage):
    session = await stage.session()
    row = await replace(stage, session)
    await stage.found("unreachable")
    told = await stage.tells("checked", outcome="unreachable")
    assert (told.credential, told.rejected) == (row, None)
    late = SessionChecked(
        session=session, credential=row, outcome="active", upstream_uid="77", n=50
    )
    await stage.hands.emit(late)
    await stage.tells("checked", why="its credential was replaced")


async def test_every_change_of_a_session_says_why(stage):
    session = await stage.session()
    await stage.hands.ask(SetSession(id=session, weight=3))
    await stage.hands.ask(pool.EnableSession(id=session, enabled=False))
    await stage.hands.ask(pool.EnableSession(id=session, enabled=True))
    await stage.next(CheckSession)
    await stage.hands.ask(pool.RemoveSession(id=session))
    await stage.tells("removed")
    assert [(e.state, e.why) for e in stage.told] == [
        ("active", "checked: active"),
        ("active", "weight set by an operator"),
        ("disabled", "disabled by an operator"),
        ("unchecked", "enabled by an operator"),
        ("disabled", "removed: by an operator"),
    ]
