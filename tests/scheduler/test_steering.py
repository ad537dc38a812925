"""What people ask for and what time does: retry, resolve, deadlines, late steps."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from contracts import requests as asked
from contracts import tasks as said
from contracts import workers
from contracts.errors import ErrorCode
from contracts.tasks import CreateTask
from contracts.values import FileRef, Item, Job, Terms
from scheduler_support import Stage

IMAGE = FileRef(
    key="t1/1", name="a.png", kind="image", mime="image/png", size=1, sha256=""
)
ITEMS = (Item(id="i", urls=("http://127.0.0.1/v.mp4",)),)
SETTLED = {"settle_secs": 90, "poll_min_secs": 60, "poll_interval_secs": 60}
QUIET = {"reconcile_secs": 600}  # only its own timer wakes the writer


@pytest.fixture
def staged(nats, make_bus, until, tmp_path):
    """Run a stage with settings of its own."""

    @asynccontextmanager
    async def staged(**settings):
        async with Stage(nats, make_bus, until, tmp_path, **settings) as stage:
            yield stage

    return staged


async def cancelled(stage, task="t1"):
    return await stage.hands.ask(asked.CancelTask(task=task))


async def retry(stage, new="t2", **more):
    return await stage.hands.ask(asked.RetryTask(task="t1", new_task=new, **more))


async def refused(stage, request):
    with pytest.raises(asked.RequestRefusedError) as no:
        await stage.hands.ask(request)
    return no.value.refusal.status, no.value.refusal.type


async def held(stage):
    """Lead a task to the site, which never shows it, until it is held."""
    await stage.session()
    await stage.create()
    submit = await stage.next(said.SubmitPlain)
    assert (await stage.permit(submit)).granted
    for n in (1, 2, 3):
        await stage.hands.emit(said.Absent(task="t1", attempt=1, n=n))

    async def is_held():
        return (await stage.read()).stage == "held"

    await stage.until(is_held)
    return submit


async def test_a_retry_asked_twice_is_one_task(stage):
    await stage.create(priority=7, metadata={"shot": "1"})
    await stage.taken(1)
    await cancelled(stage)
    first, second = await retry(stage), await retry(stage)

    assert first.id == second.id == "t2"
    assert (first.retry_of, first.status) == ("t1", "queued")
    assert (first.priority, first.metadata) == (7, {"shot": "1"})
    await stage.taken(2)


async def test_a_retry_takes_terms_of_its_own_and_no_old_deadline(stage):
    soon = datetime.now(UTC) + timedelta(hours=1)
    await stage.create(terms=Terms(max_attempts=3, deadline=soon))
    await stage.taken(1)
    await cancelled(stage)
    same = await retry(stage)
    other = await retry(
        stage, "t3", terms=Terms(deadline=soon), priority=9, metadata={"a": "b"}
    )

    assert same.terms == Terms(max_attempts=3)
    assert other.terms == Terms(deadline=soon)
    assert (other.priority, other.metadata) == (9, {"a": "b"})


async def test_only_what_has_ended_is_retried_and_only_what_is_held_resolved(stage):
    await stage.create()
    await stage.taken(1)
    wish = asked.RetryTask(task="t1", new_task="t2")
    assert await refused(stage, wish) == (409, "task-running")
    no_task = asked.RetryTask(task="none", new_task="t2")
    assert (await refused(stage, no_task))[0] == 404
    end = asked.ResolveTask(task="t1", action="fail")
    assert await refused(stage, end) == (409, "task-not-held")
    assert (await refused(stage, end.model_copy(update={"task": "x"})))[0] == 404


async def test_a_retry_takes_over_a_job_that_still_runs(stage):
    session = await stage.session()
    submit = await stage.runs()
    assert (await cancelled(stage)).upstream_charged == "unknown"
    await retry(stage)

    old, new = await stage.read(), await stage.read("t2")
    assert [(a.state, a.reason) for a in old.attempts] == [
        ("ended", "taken over by t2")
    ]
    assert (new.status, new.session) == ("polling", session)
    due = await stage.hands.ask(workers.AskDue(session=session))
    assert [(a.task, a.submit_id) for a in due.attempts] == [("t2", submit.submit_id)]
    assert (await stage.look(session)).active == 1
    await stage.hands.emit(said.Generated(task="t2", attempt=1, items=ITEMS))
    store = await stage.next(said.StoreResults)
    assert (store.task, store.submit_id) == ("t2", submit.submit_id)


async def test_a_second_retry_waits_for_the_end_of_the_first(stage):
    await stage.session()
    await stage.runs()
    await cancelled(stage)
    await retry(stage)
    wish = asked.RetryTask(task="t1", new_task="t3")
    assert await refused(stage, wish) == (409, "retry-running")
    assert (await refused(stage, asked.ReadTask(task="t3")))[0] == 404
    no = said.GenerationFailed(task="t2", attempt=1, upstream_code="2038", detail="no")
    await stage.hands.emit(no)  # the retry buys anew, as it was asked to
    await stage.next(said.SubmitPlain)
    assert (await retry(stage, "t3")).retry_of == "t1"


async def test_a_retry_again_buys_while_the_first_is_followed(stage):
    session = await stage.session()
    submit = await stage.runs()
    await cancelled(stage)
    await retry(stage, again=True)

    other = await stage.next(said.SubmitPlain)
    assert other.task == "t2"
    assert other.submit_id != submit.submit_id
    assert (await stage.look(session)).active == 2


async def test_a_held_task_is_sent_again_as_the_same(staged):
    async with staged(unknown_submit="hold", **SETTLED) as stage:
        submit = await held(stage)
        done = await stage.hands.ask(asked.ResolveTask(task="t1", action="resend"))
        assert (done.status, done.stage) == ("submitting", "preparing")
        again = await stage.next(said.SubmitPlain)
        assert (again.send, again.submit_id) == (2, submit.submit_id)
        assert (await stage.permit(again, "two")).granted
        assert (await stage.read()).attempts[0].sends == 2


async def test_a_hold_is_ended_once_however_often_that_is_asked(staged):
    async with staged(unknown_submit="hold", **SETTLED) as stage:
        await held(stage)
        resend = asked.ResolveTask(task="t1", action="resend")
        first, again = [await stage.hands.ask(resend) for _ in range(2)]
        assert first == again
        fail = asked.ResolveTask(task="t1", action="fail")
        assert await refused(stage, fail) == (409, "task-not-held")
        assert (await stage.permit(await stage.next(said.SubmitPlain), "two")).granted
        late = await stage.hands.ask(resend)
        assert (late.stage, late.attempts[0].sends) == ("sending", 2)
        for n in (4, 5, 6):
            await stage.hands.emit(said.Absent(task="t1", attempt=1, n=n))

        async def is_held():
            return (await stage.read()).stage == "held"

        await stage.until(is_held)
        ended, again = [await stage.hands.ask(fail) for _ in range(2)]
        assert ended == again
        assert ended.status == "failed"
        assert await refused(stage, resend) == (409, "task-not-held")


async def test_a_held_task_is_given_up_and_its_slot_comes_back(staged):
    async with staged(unknown_submit="hold", **SETTLED) as stage:
        submit = await held(stage)
        assert (await stage.look(submit.session)).active == 1
        done = await stage.hands.ask(asked.ResolveTask(task="t1", action="fail"))
        assert (done.status, done.error_code) == ("failed", ErrorCode.SUBMIT_UNKNOWN)
        assert done.upstream_charged is None
        assert (await stage.look(submit.session)).active == 0
        # It may be there after all: a retry looks before it buys.
        assert (await retry(stage)).stage == "unknown"


async def test_a_task_fails_at_its_deadline_though_nothing_else_happens(staged):
    async with staged(**QUIET) as stage:
        soon = datetime.now(UTC) + timedelta(seconds=1)
        await stage.create(terms=Terms(deadline=soon))
        event = await stage.status("failed")
        assert event.error_code is ErrorCode.DEADLINE_EXCEEDED
        assert datetime.now(UTC) >= soon


async def test_what_only_has_a_session_counts_for_the_cap_of_the_pool(staged):
    async with staged(concurrency=1) as stage:
        await stage.session()
        await stage.create()
        await stage.next(said.SubmitPlain)
        await stage.create("t2")
        await stage.taken(2)
        assert (await stage.read("t2")).status == "queued"
        await cancelled(stage)
        assert (await stage.next(said.SubmitPlain)).task == "t2"


async def with_references(stage):
    job = Job(
        model="jimeng-video-3.0",
        prompt="@1",
        duration=5,
        ratio="16:9",
        files=(IMAGE,),
    )
    command = CreateTask(task="t1", job=job, created_at=datetime.now(UTC))
    await stage.hands.send(command, "create:t1")


async def test_a_step_that_nobody_ended_is_issued_again_after_its_time(staged):
    async with staged(upload_deadline_secs=1, **QUIET) as stage:
        await stage.session()
        await with_references(stage)
        first = await stage.next(said.UploadReferences)
        assert await stage.next(said.UploadReferences) == first
        one = {"task": "t1", "attempt": 1}
        await stage.hands.emit(said.Uploaded(**one, materials=({"uri": "u"},)))
        assert (await stage.next(said.SubmitPlain)).materials == ({"uri": "u"},)


async def test_a_command_that_was_lost_is_issued_again_after_its_time(staged):
    deaf = {said.UploadReferences}
    async with staged(deaf=deaf, upload_deadline_secs=2, **QUIET) as stage:
        await stage.session()
        await with_references(stage)
        pattern = said.UploadReferences.pattern()
        stream = stage.hands.jetstream

        async def there():
            found = await stream.stream_info("CMD", subjects_filter=pattern)
            return found.state.subjects

        await stage.until(there)
        await stream.purge_stream("CMD", subject=pattern)
        assert not await there()
        hands = stage.make_bus("uploader")
        hands.consume(said.UploadReferences, concurrency=1)(stage.commands.put)
        await hands.start()
        assert (await stage.next(said.UploadReferences)).task == "t1"


async def test_to_another_owner_a_task_is_not_there(stage):
    await stage.create(owner="key:1")
    async with asyncio.timeout(10):
        await stage.events.get()  # it is taken in
    about = {"task": "t1", "seen_by": "key:2"}
    for wish in (
        asked.ReadTask(**about),
        asked.CancelTask(**about),
        asked.ResolveTask(**about, action="fail"),
        asked.RetryTask(**about, new_task="t2"),
    ):
        with pytest.raises(asked.RequestRefusedError) as no:
            await stage.hands.ask(wish)
        assert no.value.refusal.status == 404
    for owner, count in (("key:2", 0), ("key:1", 1), (None, 1)):
        page = await stage.hands.ask(asked.ListTasks(seen_by=owner))
        counted = await stage.hands.ask(asked.ReadStats(seen_by=owner))
        assert (len(page.tasks), counted.total) == (count, count)
