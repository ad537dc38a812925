"""The scheduler on a real nats-server and database; the workers speak by hand."""

import asyncio
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime

import pytest

from contracts import pool, workers
from contracts import requests as asked
from contracts import tasks as said
from contracts.sessions import CheckSession
from contracts.tasks import CreateTask, TaskChanged
from contracts.values import Item, Job, ResultRef
from scheduler_support import SECRET


async def test_a_task_is_led_from_create_to_result(stage):
    await stage.session()
    await stage.create(owner="key:1", metadata={"scene": "4"})
    submit = await stage.next(said.SubmitPlain)
    assert (await stage.permit(submit)).granted
    await stage.next(said.PollSession)
    one = {"task": "t1", "attempt": 1}
    await stage.hands.emit(said.Submitted(**one, n=1, upstream_id="7897"))
    due = await stage.hands.ask(workers.AskDue(session=submit.session))
    assert [a.submit_id for a in due.attempts] == [submit.submit_id]
    assert due.credential.sessionid.get_secret_value() == SECRET
    await stage.hands.emit(said.Progressed(**one, n=1, queue_position=7, queue_total=9))
    await stage.hands.emit(
        said.Generated(**one, n=2, items=(Item(id="i", urls=("http://x/v",)),))
    )
    store = await stage.next(said.StoreResults)
    assert store.submit_id == submit.submit_id
    result = ResultRef(
        index=0,
        key="t1/result-0.mp4",
        mime="video/mp4",
        size=9,
        sha256="0",
        poster="t1/poster-0.jpg",
    )
    await stage.hands.emit(said.Stored(**one, results=(result,)))
    last = await stage.status("succeeded")
    task = await stage.read()
    assert (task.status, task.results, task.revision) == (
        "succeeded",
        (result,),
        last.revision,
    )
    assert (last.owner, last.metadata, last.kind) == ("key:1", {"scene": "4"}, "video")
    assert [(a.n, a.state, a.charged) for a in task.attempts] == [(1, "ended", True)]
    assert (
        await stage.hands.ask(workers.AskDue(session=submit.session))
    ).next_seconds is None


async def test_revisions_grow_with_every_public_event(stage):
    await stage.session()
    await stage.create()
    submit = await stage.next(said.SubmitPlain)
    await stage.permit(submit)
    await stage.hands.ask(asked.CancelTask(task="t1"))
    await stage.status("cancelled")
    client = stage.hands.jetstream
    first = (await client.stream_info("EVT")).state.first_seq
    last = (await client.stream_info("EVT")).state.last_seq
    seen = []
    for sequence in range(first, last + 1):
        message = await client.get_msg("EVT", sequence)
        if message.subject.startswith("evt.task.t1.scheduler."):
            seen.append(TaskChanged.parse(message.data).revision)
    assert seen == list(range(len(seen)))


async def test_a_permit_is_given_once_and_again_only_to_the_same_asker(stage):
    await stage.session()
    await stage.create()
    submit = await stage.next(said.SubmitPlain)
    assert (await stage.permit(submit, "one")).granted
    assert (await stage.permit(submit, "one")).granted
    second = await stage.permit(submit, "two")
    assert (second.granted, second.reason) == (False, "already_granted")


async def test_a_fact_that_comes_several_times_counts_once(stage):
    await stage.session()
    await stage.create()
    assert (await stage.permit(await stage.next(said.SubmitPlain))).granted
    one, client = {"task": "t1", "attempt": 1}, stage.hands.client
    absent = said.Absent(**one, n=1)
    for _ in range(5):  # not known by their ids to NATS, which may forget them
        await client.publish(absent.subject, absent.body())
    await stage.hands.emit(said.Absent(**one, n=2))
    await stage.hands.emit(said.Unknown(**one, n=1, detail="reset"))
    async with asyncio.timeout(10):
        while (await stage.events.get()).stage != "unknown":
            pass
    url = f"file:{stage.data / 'gateway.db'}?mode=ro"
    with closing(sqlite3.connect(url, uri=True)) as db:
        assert db.execute("select absent from attempts").fetchall() == [(2,)]


async def test_no_permit_for_a_cancelled_task(stage):
    await stage.session()
    await stage.create()
    submit = await stage.next(said.SubmitPlain)
    answer = await stage.hands.ask(asked.CancelTask(task="t1"))
    assert answer.upstream_charged == "false"
    assert (await stage.permit(submit)).reason == "cancelled"
    again = await stage.hands.ask(asked.CancelTask(task="t1"))
    assert again.task.status == "cancelled"


async def test_no_permit_on_a_session_that_was_switched_off(stage):
    session = await stage.session()
    await stage.create()
    submit = await stage.next(said.SubmitPlain)
    await stage.hands.ask(pool.EnableSession(id=session, enabled=False))
    assert (await stage.permit(submit)).reason == "session_not_active"

    async def explained():
        task = await stage.read()
        return (task.status, task.stage) == ("queued", "no_session")

    await stage.until(explained)


async def test_a_refused_account_hands_the_task_to_another(stage):
    first = await stage.session()
    second = await stage.session("f" * 32, uid="88")
    await stage.create()
    submit = await stage.next(said.SubmitPlain)
    await stage.permit(submit)
    await stage.hands.emit(
        said.Refused(
            task="t1", attempt=1, n=1, upstream_code="1015", detail="login error"
        )
    )
    again = await stage.next(said.SubmitPlain)
    assert again.attempt == 2
    assert {submit.session, again.session} == {first, second}
    states = {
        s.id: s.state for s in (await stage.hands.ask(pool.ListSessions())).sessions
    }
    assert states[submit.session] == "expired"


async def test_the_same_create_again_changes_nothing(stage):
    await stage.session()
    await stage.create()
    await stage.next(said.SubmitPlain)
    command = CreateTask(
        task="t1",
        job=Job(model="jimeng-video-3.0", prompt="other", duration=5, ratio="1:1"),
        created_at=datetime.now(UTC),
    )
    await stage.hands.send(command, "create:t1:again")
    await stage.create("t2")
    assert (await stage.next(said.SubmitPlain)).task == "t2"
    assert (await stage.read()).job.prompt == "a fox"


async def test_a_session_is_atomically_reserved_up_to_its_limit(stage):
    await stage.session()
    for n in range(5):
        await stage.create(f"t{n}")
    await stage.taken(5)
    got = [await stage.next(said.SubmitPlain) for _ in range(2)]
    assert len({s.task for s in got}) == 2
    stats = await stage.hands.ask(asked.ReadStats())
    assert (stats.queued, stats.running) == (3, 2)
    queued = await stage.hands.ask(asked.ListTasks(status="queued"))
    ahead = [(await stage.read(t.id)).queue_ahead for t in queued.tasks]
    assert sorted(ahead) == [0, 1, 2]


async def test_the_same_account_twice_is_refused(stage):
    await stage.session()
    with pytest.raises(asked.RequestRefusedError) as no:
        await stage.hands.ask(pool.AddSession(credential=SECRET))
    assert (no.value.refusal.status, no.value.refusal.type) == (409, "session-exists")
    await stage.session("e" * 32, uid="77")

    async def gone():
        return len((await stage.hands.ask(pool.ListSessions())).sessions) == 1

    await stage.until(gone)


async def test_a_credential_that_cannot_be_read_is_refused_without_repeating_it(stage):
    with pytest.raises(asked.RequestRefusedError) as no:
        await stage.hands.ask(pool.AddSession(credential="ftp://user:pw@" + SECRET))
    assert no.value.refusal.status == 422
    assert SECRET not in no.value.refusal.detail
    assert "pw" not in no.value.refusal.detail


async def test_only_who_asks_for_a_check_has_other_regions_asked(stage):
    wish = pool.AddSession(credential=SECRET)
    session = (await stage.hands.ask(wish)).session.id
    assert (await stage.next(CheckSession)).elsewhere
    await stage.hands.ask(pool.EnableSession(id=session, enabled=True))
    assert not (await stage.next(CheckSession)).elsewhere
    await stage.hands.ask(pool.TestSession(id=session))
    assert (await stage.next(CheckSession)).elsewhere


async def test_a_busy_session_is_not_removed_and_a_free_one_loses_its_secret(stage):
    session = await stage.session()
    await stage.create()
    await stage.next(said.SubmitPlain)
    with pytest.raises(asked.RequestRefusedError) as no:
        await stage.hands.ask(pool.RemoveSession(id=session))
    assert no.value.refusal.status == 409
    await stage.hands.ask(asked.CancelTask(task="t1"))
    await stage.hands.ask(pool.RemoveSession(id=session))
    with pytest.raises(asked.RequestRefusedError):
        await stage.hands.ask(workers.GetCredential(session=session))
    assert (await stage.read()).attempts[0].session == session


async def test_the_database_holds_no_credential_in_clear(stage):
    await stage.session()
    for file in stage.data.rglob("*"):
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes(), file


async def test_what_is_said_is_numbered_on_after_one_whose_clock_was_ahead(
    stage, monkeypatch
):
    def last():
        with closing(sqlite3.connect(stage.data / "gateway.db")) as db:
            query = "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'"
            return db.execute(query).fetchone()[0]

    ahead = time.time_ns() + 3600 * 10**9
    with monkeypatch.context() as clock:
        clock.setattr("scheduler.writer.time.time_ns", lambda: ahead)
        await stage.create("t1")
        await stage.status("queued")
    await stage.app.stop()
    before = last()
    assert before >= ahead
    monkeypatch.setattr("scheduler.writer._last_id", 0)  # as in another process
    await stage.start_scheduler()
    await stage.create("t2")
    while (await stage.status("queued")).task != "t2":
        pass
    assert last() > before


async def test_a_restarted_scheduler_goes_on_from_its_rows(stage):
    session = await stage.session()
    await stage.create()
    submit = await stage.next(said.SubmitPlain)
    await stage.permit(submit)
    await stage.next(said.PollSession)
    await stage.app.stop()
    await stage.start_scheduler()
    assert (await stage.next(said.PollSession)).session == session
    await stage.hands.emit(said.Unknown(task="t1", attempt=1, n=1, detail="reset"))
    event = await stage.status("submitting")
    while event.stage != "unknown":
        event = await stage.status("submitting")


async def test_what_a_run_left_unsaid_is_said_before_anything_newer(stage, caplog):
    await stage.create()
    async with asyncio.timeout(10):
        while (event := await stage.events.get()).stage != "no_session":
            pass
    await stage.app.stop()
    left = event.model_copy(update={"revision": event.revision + 1})
    with closing(sqlite3.connect(stage.data / "gateway.db")) as db, db:
        db.execute("delete from outbox")  # what was said is not said once more
        db.execute(
            "insert into outbox (stream, subject, message_id, body)"
            " values ('EVT', ?, ?, ?)",
            (left.subject, left.id, left.body()),
        )
        db.execute(
            "update tasks set revision = ?, due_at = '2020-01-01T00:00:00.000000Z',"
            " terms = json_set(terms, '$.deadline', '2020-01-01T00:00:00Z')",
            (left.revision,),
        )
    caplog.clear()
    await stage.start_scheduler()
    told = [(await asyncio.wait_for(stage.events.get(), 10)) for _ in range(2)]
    assert [(event.revision, event.what) for event in told] == [
        (left.revision, "progressed"),
        (left.revision + 1, "failed"),
    ]
    assert [r for r in caplog.records if r.levelname == "ERROR"] == []


async def test_a_session_whose_result_is_being_stored_is_not_removed(stage):
    session = await stage.session()
    await stage.create()
    await stage.permit(await stage.next(said.SubmitPlain))
    items = (Item(id="i", urls=("http://x/v",)),)
    await stage.hands.emit(said.Generated(task="t1", attempt=1, items=items))
    await stage.next(said.StoreResults)
    with pytest.raises(asked.RequestRefusedError) as no:
        await stage.hands.ask(pool.RemoveSession(id=session))
    assert no.value.refusal.type == "session-busy"


async def test_a_page_ends_where_it_would_outgrow_a_message(stage):
    many = {f"{n:02}" * 32: "的" * 512 for n in range(16)}
    for n in range(40):
        await stage.create(f"t{n:02}", metadata=many)
    await stage.taken(40)
    page = await stage.hands.ask(asked.ListTasks(limit=200))
    rest = await stage.hands.ask(asked.ListTasks(limit=200, cursor=page.cursor))
    assert 0 < len(page.tasks) < 40
    assert page.tasks[-1].id > rest.tasks[0].id


@pytest.mark.parametrize(
    "cursor", ["x", "_", "9999-99-99_a", "0001-01-01T00:00+14:00_"]
)
async def test_a_cursor_that_is_not_ours_is_refused(stage, cursor):
    with pytest.raises(asked.RequestRefusedError) as no:
        await stage.hands.ask(asked.ListTasks(cursor=cursor))
    assert (no.value.refusal.status, no.value.refusal.field) == (422, "cursor")


async def test_unknown_tasks_are_not_found_and_stats_of_nothing_are_zeros(stage):
    with pytest.raises(asked.RequestRefusedError) as no:
        await stage.read("nope")
    assert no.value.refusal.status == 404
    stats = await stage.hands.ask(asked.ReadStats())
    assert set(stats.model_dump().values()) == {0}


async def test_pages_of_tasks_go_on_where_they_ended(stage):
    for n in range(5):
        await stage.create(f"t{n}")
    await stage.status("queued")

    async def page(cursor):
        return await stage.hands.ask(asked.ListTasks(limit=2, cursor=cursor))

    await stage.taken(5)
    seen, cursor = [], None
    while True:
        found = await page(cursor)
        seen += [t.id for t in found.tasks]
        cursor = found.cursor
        if cursor is None:
            break
    assert seen == ["t4", "t3", "t2", "t1", "t0"]
