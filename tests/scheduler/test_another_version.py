"""What another version of the scheduler left in its rows."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from contracts.requests import ReadTask, RequestRefusedError
from contracts.tasks import (
    CreateTask,
    Generated,
    PollSession,
    Stored,
    StoreResults,
    SubmitPlain,
)
from contracts.values import Item, Job
from scheduler.app import create_app
from scheduler.settings import SchedulerSettings
from scheduler_support import Stage
from workers_support import read_settings, running


@pytest.fixture
async def hands(nats, make_bus, tmp_path):
    """Give a bus to speak to a running scheduler."""
    await nats.provision()
    hands = make_bus("hands")
    await hands.start()
    async with running(create_app(read_settings(SchedulerSettings, nats, tmp_path))):
        yield hands


async def test_a_task_of_a_model_that_is_gone_holds_up_no_other(hands, until, caplog):
    for task, model in (("t1", "gone"), ("t2", "jimeng-video-3.0")):
        job = Job(model=model, prompt="a fox", duration=5, ratio="16:9")
        create = CreateTask(task=task, job=job, created_at=datetime.now(UTC))
        await hands.send(create, task)

    async def stages():
        try:
            return [(await hands.ask(ReadTask(task=t))).stage for t in ("t1", "t2")]
        except RequestRefusedError:  # not there yet
            return []

    async def looked_at():
        return await stages() == ["waiting", "no_session"]

    await until(looked_at)
    assert "t1" in {getattr(r, "task", "") for r in caplog.records}


async def test_a_result_whose_links_were_not_kept_is_stored_all_the_same(
    nats, make_bus, until, tmp_path
):
    async with Stage(nats, make_bus, until, tmp_path) as stage:
        await stage.session()
        one = {"task": "t1", "attempt": (await stage.runs()).attempt}
        items = (Item(id="i", urls=("http://127.0.0.1/v.mp4",)),)
        await stage.hands.emit(Generated(**one, items=items))
        await stage.next(StoreResults)
        await stage.app.stop()
        with closing(sqlite3.connect(stage.data / "gateway.db")) as db, db:
            db.execute("update attempts set items = '[]'")
            db.execute("update tasks set due_at = updated_at")  # as the upgrade does
        await stage.start_scheduler()
        while (command := await stage.next(StoreResults)).items:
            pass  # what was said before the stop may be said once more
        assert command.submit_id
        await stage.hands.emit(Stored(**one, results=()))
        await stage.status("succeeded")


async def test_a_session_that_cannot_be_read_stops_no_poll_of_another(
    nats, make_bus, until, tmp_path, caplog
):
    async with Stage(nats, make_bus, until, tmp_path) as stage:
        await stage.session()
        submit = await stage.runs()
        await stage.app.stop()
        with closing(sqlite3.connect(stage.data / "gateway.db")) as db, db:
            db.execute(
                "insert into sessions (id, label, state, closed_models, region, masked,"
                " has_proxy, max_active, created_at, updated_at)"
                " values ('s9', 'broken', 'active', '[{}]', 'cn', '0', 0, 1, '2', '2')"
            )
        while not stage.commands.empty():
            stage.commands.get_nowait()
        await stage.start_scheduler()
        assert (await stage.next(PollSession)).session == submit.session
    assert any("look_after_checks" in r.getMessage() for r in caplog.records)


async def test_a_late_step_of_a_model_that_is_gone_holds_up_no_other(
    nats, make_bus, until, tmp_path, caplog
):
    """It was submitting when another version took over."""
    async with Stage(nats, make_bus, until, tmp_path) as stage:
        await stage.session()
        await stage.create()
        await stage.next(SubmitPlain)
        await stage.app.stop()
        with closing(sqlite3.connect(stage.data / "gateway.db")) as db, db:
            db.execute("update tasks set job = json_set(job, '$.model', 'gone')")
            db.execute("update tasks set due_at = '2020-01-01T00:00:00.000000Z'")
        await stage.start_scheduler()
        await stage.create("t2")
        while (await stage.next(SubmitPlain)).task != "t2":
            pass  # what was said before the stop may be said once more
    assert "t1" in {getattr(r, "task", "") for r in caplog.records if r.exc_info}
