"""How long files are kept: a task says that they are gone before they are."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from contracts import requests as asked
from contracts import tasks as said
from contracts import workers
from contracts.values import FileRef, Job

AT_ONCE = 1e-9  # days


def reference(task):
    return FileRef(
        key=f"{task}/reference-1",
        name="a.png",
        kind="image",
        mime="image/png",
        size=1,
        sha256="0",
    )


async def cancelled(stage, task, *, with_file=True):
    """Create a task and cancel it."""
    files = (reference(task),) if with_file else ()
    job = Job(
        model="jimeng-video-3.0", prompt="a", duration=5, ratio="16:9", files=files
    )
    await stage.hands.send(
        said.CreateTask(task=task, job=job, created_at=datetime.now(UTC)), task
    )
    await stage.status("queued")
    await stage.hands.ask(asked.CancelTask(task=task))
    await stage.status("cancelled")


async def keep(stage, **more):
    """Start the scheduler anew, with other settings."""
    await stage.app.stop()
    await stage.start_scheduler(**more)


async def test_files_of_an_old_task_are_deleted_once_the_task_has_said_so(stage):
    await cancelled(stage, "t1")
    await cancelled(stage, "t2", with_file=False)
    before = await stage.read()
    await keep(stage, retention_days=AT_ONCE)
    while not (event := await stage.status("cancelled")).files_deleted_at:
        pass  # what was told before may be told again after a restart
    command = await stage.next(said.DeleteFiles)
    after = await stage.read()

    assert (event.task, event.what, event.results) == ("t1", "progressed", ())
    assert event.files_deleted_at == after.files_deleted_at is not None
    assert event.revision == after.revision == before.revision + 1
    assert after.status == "cancelled"
    assert command.task == "t1"
    assert (await stage.read("t2")).files_deleted_at is None  # it had none


async def test_a_broken_task_keeps_no_others_files(stage, caplog):
    await cancelled(stage, "t1")
    await cancelled(stage, "t2")
    with closing(sqlite3.connect(stage.data / "gateway.db")) as db, db:
        db.execute("update tasks set error_code = 'of tomorrow' where id = 't1'")
    await keep(stage, retention_days=AT_ONCE)
    assert (await stage.next(said.DeleteFiles)).task == "t2"
    assert "t1" in {getattr(r, "task", "") for r in caplog.records if r.exc_info}


async def test_files_stay_without_retention_and_while_they_are_young(stage):
    await cancelled(stage, "t1")
    await keep(stage, retention_days=1)
    await cancelled(stage, "t2")  # the scheduler has looked, and goes on
    assert (await stage.read()).files_deleted_at is None
    assert stage.commands.empty()


async def test_references_stay_until_the_last_retry_with_them_has_ended(stage):
    await cancelled(stage, "t1")
    # A retry of a retry: what it needs still lies under the first.
    await stage.hands.ask(asked.RetryTask(task="t1", new_task="t2"))
    await stage.hands.ask(asked.CancelTask(task="t2"))
    await stage.hands.ask(asked.RetryTask(task="t2", new_task="t3"))
    await cancelled(stage, "t9")
    await keep(stage, retention_days=AT_ONCE)
    assert (await stage.next(said.DeleteFiles)).task == "t9"
    assert (await stage.read("t1")).files_deleted_at is None
    assert (await stage.read("t2")).files_deleted_at is None

    await stage.hands.ask(asked.CancelTask(task="t3"))
    gone = [(await stage.next(said.DeleteFiles)).task for _ in range(3)]
    assert gone == ["t1", "t2", "t3"]  # the oldest first


async def test_a_retry_of_what_lost_its_references_is_refused(stage):
    await cancelled(stage, "t1")
    await keep(stage, retention_days=AT_ONCE)
    await stage.next(said.DeleteFiles)
    with pytest.raises(asked.RequestRefusedError) as no:
        await stage.hands.ask(asked.RetryTask(task="t1", new_task="t2"))
    refusal = no.value.refusal
    assert (refusal.status, refusal.type) == (410, "files-deleted")
    assert "create the task anew" in refusal.detail


async def pause_creates(stage, seconds):
    """Let no create be delivered for so long."""
    until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    wish = json.dumps({"pause_until": until}).encode()
    await stage.hands.client.request(
        "$JS.API.CONSUMER.PAUSE.CMD.scheduler-create", wish
    )


async def test_files_of_no_task_are_named_only_when_no_create_waits(stage):
    await cancelled(stage, "t1")
    await cancelled(stage, "t2")
    question = workers.AskOrphans(tasks=("t1", "t2", "t3", "t4"))
    assert (await stage.hands.ask(question)).tasks == ("t3", "t4")

    await pause_creates(stage, 60)
    job = Job(model="jimeng-video-3.0", prompt="a", duration=5, ratio="16:9")
    create = said.CreateTask(task="t4", job=job, created_at=datetime.now(UTC))
    await stage.hands.send(create, "t4")
    assert (await stage.hands.ask(question)).tasks == ()
    await pause_creates(stage, -1)
    await stage.status("queued")

    async def named():
        return (await stage.hands.ask(question)).tasks == ("t3",)

    await stage.until(named)


async def test_files_that_came_back_after_their_deletion_are_of_no_task(stage):
    await cancelled(stage, "t1")
    await keep(stage, retention_days=AT_ONCE)
    await stage.next(said.DeleteFiles)
    question = workers.AskOrphans(tasks=("t1",))
    assert (await stage.hands.ask(question)).tasks == ("t1",)
