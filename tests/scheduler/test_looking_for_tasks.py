"""Tasks are looked for by what they are, counted, and deleted for good."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import requests as asked
from contracts import tasks as said
from contracts.errors import ErrorCode
from contracts.requests import ListTasks
from contracts.tasks import CreateTask
from contracts.values import Belonging, FileRef, Item, Job, ResultRef
from scheduler.domain.rows import Task
from scheduler.store import listing, tasks
from scheduler_support import NOW

IMAGE = FileRef(
    key="t1/reference-1", name="a", kind="image", mime="image/png", size=1, sha256=""
)


def made(n, **more):
    """A task of the n-th minute."""
    job = Job(
        model=more.pop("model", "jimeng-video-3.0"),
        prompt=more.pop("prompt", f"fox {n}"),
        duration=5,
        ratio="16:9",
    )
    owner = more.pop("owner", None)
    kind = more.pop("kind", "video")
    retry_of = more.pop("retry_of", None)
    belonging = Belonging(kind=kind, owner=owner, retry_of=retry_of)
    return Task(f"t{n}", belonging, job, NOW + timedelta(minutes=n), **more)


async def keep(turn, *rows):
    for row in rows:
        await tasks.create(turn.db, row, turn.now)
        if row.finished_at:
            await tasks.save(turn.db, row, row)


async def found(turn, **wish):
    page, _ = await listing.page(turn.db, ListTasks(**wish))
    counts = await listing.counts(turn.db, ListTasks(**wish), wish.get("seen_by"))
    assert counts.total == len(page)
    return [task.id for task in reversed(page)]


async def test_a_task_is_found_by_each_thing_that_it_is(turn):
    later = NOW + timedelta(hours=1)
    await keep(
        turn,
        made(1, owner="key:a", prompt="A Fox in the SNOW"),
        made(2, owner="key:b", model="seedance-2.0"),
        made(3, kind="image", prompt="100% fox_like"),
    )
    # An ended one, as the statements leave it.
    await keep(turn, ended := made(4))
    await tasks.save(
        turn.db, ended, made(4, status="failed", finished_at=later, updated_at=later)
    )
    await keep(turn, made(5, retry_of="t4"))

    assert await found(turn) == ["t1", "t2", "t3", "t4", "t5"]
    assert await found(turn, owner="key:a") == ["t1"]
    assert await found(turn, seen_by="key:b") == ["t2"]
    assert await found(turn, seen_by="key:b", owner="key:a") == []
    assert await found(turn, models=("seedance-2.0", "other")) == ["t2"]
    assert await found(turn, kind="image") == ["t3"]
    assert await found(turn, status="failed") == ["t4"]
    assert await found(turn, statuses=("failed", "polling")) == ["t4"]
    assert await found(turn, text="fox in the snow") == ["t1"]
    assert await found(turn, text="0%") == ["t3"]
    assert await found(turn, text="x_l") == ["t3"]
    assert await found(turn, created_from=made(2).created_at) == [
        "t2",
        "t3",
        "t4",
        "t5",
    ]
    assert await found(turn, created_before=made(2).created_at) == ["t1"]
    assert await found(turn, finished_from=later) == ["t4"]
    assert await found(turn, finished_before=later) == []
    assert await found(turn, retried=True) == ["t4"]
    assert await found(turn, retried=False) == ["t1", "t2", "t3", "t5"]
    assert await found(turn, retried=False, status="failed") == []


async def test_counts_are_of_all_that_fit_not_of_one_page(turn):
    await keep(turn, *(made(n, owner="key:a") for n in range(5)), made(9))
    wish = ListTasks(owner="key:a", limit=2)
    page, cursor = await listing.page(turn.db, wish)
    counts = await listing.counts(turn.db, wish, None)

    assert [task.id for task in page] == ["t4", "t3"]
    assert (counts.total, counts.queued) == (5, 5)
    rest, none = await listing.page(
        turn.db, wish.model_copy(update={"cursor": cursor, "limit": 3})
    )
    assert [task.id for task in rest] == ["t2", "t1", "t0"]
    assert none is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(cursor=st.text(max_size=60), text=st.text(min_size=1, max_size=20))
async def test_no_cursor_and_no_text_breaks_a_list(turn, cursor, text):
    for wish in (ListTasks(cursor=cursor or None), ListTasks(text=text)):
        with suppress(ValueError):
            page, _ = await listing.page(turn.db, wish)
            assert page == []


async def ended(stage, task="t1", *, files=(), **more):
    job = Job(
        model="jimeng-video-3.0", prompt="a fox", duration=5, ratio="16:9", files=files
    )
    create = CreateTask(task=task, job=job, created_at=datetime.now(UTC), **more)
    await stage.hands.send(create, f"create:{task}")
    await stage.status("queued")
    await stage.hands.ask(asked.CancelTask(task=task))
    await stage.status("cancelled")
    return create


async def delete(stage, task="t1", **more):
    return await stage.hands.ask(asked.DeleteTask(task=task, **more))


async def refused(stage, request):
    with pytest.raises(asked.RequestRefusedError) as no:
        await stage.hands.ask(request)
    return no.value.refusal.status, no.value.refusal.type


async def test_a_deleted_task_is_nowhere_and_no_late_create_brings_it_back(stage):
    create = await ended(stage, owner="key:a", metadata={"shot": "1"})
    before = await stage.read()
    assert (await refused(stage, asked.DeleteTask(task="t1", seen_by="key:b")))[
        0
    ] == 404
    done = await delete(stage, seen_by="key:a")
    event = await stage.status("cancelled")

    assert done == asked.Deleted(task="t1", status="cancelled")
    assert event.deleted_at is not None
    assert (event.prompt, event.metadata) == ("", {})
    assert event.revision == before.revision + 1
    assert (await stage.next(said.DeleteFiles)).task == "t1"
    assert await delete(stage) == done  # an answer was lost
    for wish in (asked.ReadTask, asked.CancelTask, asked.ResolveTask):
        more = {"action": "fail"} if wish is asked.ResolveTask else {}
        assert (await refused(stage, wish(task="t1", **more)))[0] == 404
    retry = asked.RetryTask(task="t1", new_task="t2")
    assert (await refused(stage, retry))[0] == 404

    await stage.hands.send(create, "create:t1:late")
    await ended(stage, "t9")  # taken in after it
    page = await stage.hands.ask(ListTasks(counted=True))
    assert [task.id for task in page.tasks] == ["t9"]
    assert page.counts.total == (await stage.hands.ask(asked.ReadStats())).total == 1


async def test_only_what_has_ended_is_deleted(stage):
    await stage.create()
    await stage.taken(1)
    assert await refused(stage, asked.DeleteTask(task="t1")) == (409, "task-running")
    assert (await refused(stage, asked.DeleteTask(task="none")))[0] == 404


async def test_references_of_a_deleted_task_stay_while_a_retry_needs_them(stage):
    await ended(stage, files=(IMAGE,))
    await stage.hands.ask(asked.RetryTask(task="t1", new_task="t2"))
    await stage.status("queued")
    await delete(stage)
    await ended(stage, "t8")
    await delete(stage, "t8")
    assert (await stage.next(said.DeleteFiles)).task == "t8"

    assert (await stage.read("t2")).job.files == (IMAGE,)
    await stage.hands.ask(asked.CancelTask(task="t2"))
    assert (await stage.next(said.DeleteFiles)).task == "t1"


async def test_what_is_at_the_site_is_followed_though_its_task_is_deleted(stage):
    session = await stage.session()
    submit = await stage.runs()
    await stage.hands.ask(asked.CancelTask(task="t1"))
    await delete(stage)
    assert (await stage.look(session)).active == 1
    await stage.ends(submit)

    async def free():
        return (await stage.look(session)).active == 0

    await stage.until(free)


async def test_a_result_goes_with_its_task(stage):
    await stage.session()
    submit = await stage.runs()
    one = {"task": "t1", "attempt": submit.attempt}
    item = Item(id="i", urls=("http://127.0.0.1/v.mp4",))
    await stage.hands.emit(said.Generated(**one, items=(item,)))
    await stage.next(said.StoreResults)
    result = ResultRef(index=0, key="t1/r", mime="video/mp4", size=1, sha256="0")
    await stage.hands.emit(said.Stored(**one, results=(result,)))
    await stage.status("succeeded")
    assert (await delete(stage)).status == "succeeded"
    event = await stage.status("succeeded")
    assert (event.results, bool(event.deleted_at)) == ((), True)


async def test_a_first_retry_is_the_only_one(stage):
    await ended(stage)
    one = asked.RetryTask(task="t1", new_task="t2", first=True)
    assert (await stage.hands.ask(one)).id == "t2"
    assert (await stage.hands.ask(one)).id == "t2"  # an answer was lost
    other = one.model_copy(update={"new_task": "t3"})
    assert await refused(stage, other) == (409, "task-retried")
    page = await stage.hands.ask(ListTasks(retried=True))
    assert [task.id for task in page.tasks] == ["t1"]


async def test_an_attempt_says_by_which_code_it_ended_and_when_it_was_sent(stage):
    await stage.session()
    submit = await stage.runs()
    await stage.hands.emit(
        said.Progressed(
            task="t1",
            attempt=1,
            n=1,
            queue_position=5,
            queue_total=9,
            queue_eta_seconds=60,
        )
    )

    async def told():
        return (await stage.read()).told_at

    at = await stage.until(told)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    await stage.ends(submit)
    await stage.status("failed")
    [attempt] = (await stage.read()).attempts
    assert attempt.error_code is ErrorCode.CONTENT_REFUSED
    assert attempt.error_kind == "content_risk"
    assert attempt.upstream_code == "2038"
    assert attempt.reserved_at <= attempt.permitted_at <= attempt.ended_at


async def test_a_queued_task_knows_its_place_and_how_many_wait(stage):
    for n in range(3):
        await stage.create(f"t{n}")
        await stage.taken(n + 1)
    last = await stage.read("t2")

    assert (last.queue_ahead, last.queue_length) == (2, 3)
