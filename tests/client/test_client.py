"""The Python client against a gateway that serves."""

import asyncio
from datetime import UTC, timedelta
from hashlib import sha256

import pytest

from contracts.message import now
from contracts.requests import RetryTask
from contracts.values import ResultRef
from jimeng_client import Client, GatewayError

FILM = b"a film " * 50_000


@pytest.fixture
def client(gateway):
    """Give a client; its calls wait, so tests make them in a thread."""
    with Client(gateway.url) as client:
        yield client


async def call(method, *arguments, **options):
    return await asyncio.to_thread(method, *arguments, **options)


def succeeded(gateway, task):
    result = gateway.store(f"{task.id}/result-0.mp4", FILM)
    return task.model_copy(update={"status": "succeeded", "results": (result,)})


async def test_a_task_is_created_read_listed_and_cancelled(client, scheduler, until):
    task = await call(client.create, "a fox", duration=5, metadata={"shot": "12"})
    await until(lambda: scheduler.tasks)
    found = await call(client.get, task.id)
    page = await call(client.list, status="queued", limit=5)
    done = await call(client.cancel, task.id)

    assert (found.id, found.duration, found.metadata) == (task.id, 5, {"shot": "12"})
    assert found.created_at.tzinfo is UTC or found.created_at.utcoffset() is not None
    assert [t.id for t in page.tasks] == [task.id]
    assert (done.task.status, done.upstream_charged) == ("cancelled", "unknown")


async def test_a_task_is_retried_anew_or_as_it_was(client, scheduler, until):
    moment = (now() + timedelta(hours=1)).replace(microsecond=0)
    old = await call(client.create, "a fox", deadline=moment, max_attempts=2)
    await until(lambda: scheduler.tasks)
    with pytest.raises(GatewayError) as no:
        await call(client.retry, old.id)
    scheduler.change(old.id, status="failed", stage=None, upstream_charged=False)
    same = await call(client.retry, old.id)
    other = await call(client.retry, old.id, again=True, prompt="a hare")

    assert (old.deadline, old.max_attempts) == (moment, 2)
    assert (no.value.status, no.value.type) == (409, "task_running")
    assert (same.retry_of, same.prompt, same.deadline) == (old.id, "a fox", None)
    assert (other.retry_of, other.prompt) == (old.id, "a hare")
    first, second = [a for a in scheduler.asked if isinstance(a, RetryTask)]
    assert (first.again, second.again) == (False, True)


async def test_a_hold_is_ended(client, scheduler, until):
    task = await call(client.create, "a fox")
    await until(lambda: scheduler.tasks)
    scheduler.change(task.id, status="submitting", stage="held")
    assert (await call(client.get, task.id)).stage == "held"
    done = await call(client.resolve, task.id, "fail")
    assert done.status == "failed"


async def test_files_are_sent_as_a_form(client, scheduler, tmp_path, until):
    picture = tmp_path / "füchse.bmp"
    head = b"BM" + (58).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = (40).to_bytes(4, "little") + (1).to_bytes(4, "little") * 2
    picture.write_bytes(head + info + b"\1\0\x18\0" + bytes(24) + b"\0\0\xff\0")

    task = await call(
        client.create, "@1", files=[picture], metadata={"k": "v"}, priority=9
    )

    assert [f.name for f in task.files] == ["füchse.bmp"]
    assert (task.metadata, task.priority) == ({"k": "v"}, 9)


async def test_a_download_is_whole_and_verified_or_not_there(
    client, gateway, scheduler, tmp_path, until
):
    task = await call(client.create, "a fox")
    await until(lambda: scheduler.tasks)
    scheduler.tasks[task.id] = succeeded(gateway, scheduler.tasks[task.id])
    saved = await call(client.download, task.id, tmp_path / "a.mp4")
    wrong = ResultRef(
        index=0,
        key=f"{task.id}/result-0.mp4",
        mime="video/mp4",
        size=len(FILM),
        sha256=sha256(b"another").hexdigest(),
    )
    scheduler.change(task.id, results=(wrong,))

    with pytest.raises(GatewayError, match="not what the gateway stored"):
        await call(client.download, task.id, tmp_path / "b.mp4")

    assert saved.read_bytes() == FILM
    assert [p.name for p in tmp_path.glob("*.mp4*")] == ["a.mp4"]


async def test_a_no_is_one_error_with_its_fields(client, scheduler):
    with pytest.raises(GatewayError) as invalid:
        await call(client.create, "a fox", duration=99)
    with pytest.raises(GatewayError) as unknown:
        await call(client.get, "none")
    task = await call(client.create, "a fox")
    with pytest.raises(GatewayError) as early:
        await call(client.download, task, "nowhere.mp4")

    no = invalid.value
    assert (no.status, no.type) == (422, "invalid_request")
    assert no.errors[0].field == "duration"
    assert no.detail.startswith("duration: ")
    assert (unknown.value.status, unknown.value.type) == (404, "task_not_found")
    assert early.value.type == "not_succeeded"


@pytest.mark.parametrize("url", ["", "127.0.0.1:5100", "ftp://host", "http://"])
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(GatewayError, match="not a gateway's URL"):
        Client(url)


def test_nobody_there_is_said_with_how_to_start_one():
    with Client("http://127.0.0.1:9/") as client, pytest.raises(GatewayError) as no:
        client.get("x")

    assert no.value.unreachable
    assert str(no.value) == (
        "No gateway at http://127.0.0.1:9: start one with `jimeng up`"
    )


async def test_accounts_are_added_tested_switched_and_removed(client, scheduler):
    added = await call(client.sessions_add, "a" * 32, label="mine", max_active=3)
    with pytest.raises(GatewayError) as twice:
        await call(client.sessions_add, "a" * 32)
    tested = await call(client.sessions_test, added.session.id)
    changed = await call(client.sessions_set, added.session.id, daily_cap=7)
    other = await call(client.sessions_replace, added.session.id, "b" * 32)
    drained = await call(client.sessions_drain, added.session.id)
    off = await call(client.sessions_enable, added.session.id, enabled=False)
    listed = await call(client.sessions_list)
    await call(client.sessions_remove, added.session.id)

    assert (added.ok, added.session.max_active) == (True, 3)
    assert added.session.credits.total == 160
    assert (twice.value.status, twice.value.type) == (409, "duplicate_session")
    assert tested.ok
    assert (changed.daily_cap, drained.state) == (7, "draining")
    assert (other.ok, other.session.session_id) == (True, "bbbb...bbbb")
    assert off.enabled is False
    assert [s.label for s in listed] == ["mine"]
    assert scheduler.sessions == {}
