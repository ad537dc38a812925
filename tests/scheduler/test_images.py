"""Image tasks in the scheduler: sent plainly, followed and stored as images."""

from datetime import UTC, datetime

import pytest

from contracts import requests as asked
from contracts import tasks as said
from contracts.values import Item, Job, ResultRef
from contracts.workers import AskDue
from scheduler_support import Stage

JOB = Job(model="jimeng-5.0", prompt="a fox", duration=0, ratio="1:1", resolution="2k")
FILM = Job(model="jimeng-video-3.0", prompt="a fox", duration=5, ratio="16:9")


@pytest.fixture
async def stage(nats, make_bus, until, tmp_path):
    async with Stage(nats, make_bus, until, tmp_path) as stage:
        await stage.session()
        yield stage


async def sent(stage, job=JOB, task="t1", kind="image"):
    """Lead a task to the site."""
    at = datetime.now(UTC)
    command = said.CreateTask(task=task, job=job, kind=kind, created_at=at)
    await stage.hands.send(command, f"create:{task}")
    submit = await stage.next(said.SubmitPlain)
    assert (await stage.permit(submit)).granted
    await stage.hands.emit(
        said.Submitted(task=task, attempt=submit.attempt, n=1, upstream_id="71")
    )
    return submit


def result(index):
    key = f"t1/result-{index}.jpg"
    return ResultRef(index=index, key=key, mime="image/jpeg", size=1, sha256="00")


async def test_an_image_task_is_sent_followed_and_stored_as_one(stage):
    submit = await sent(stage)
    assert submit.job == JOB
    due = (await stage.hands.ask(AskDue(session=submit.session))).attempts
    assert [attempt.kind for attempt in due] == ["image"]
    items = tuple(Item(id=f"i{n}", urls=(f"http://x/{n}",)) for n in range(4))
    await stage.hands.emit(said.Generated(task="t1", attempt=1, items=items))
    store = await stage.next(said.StoreResults)
    assert (store.kind, store.items) == ("image", items)
    results = tuple(map(result, range(4)))
    await stage.hands.emit(said.Stored(task="t1", attempt=1, results=results))
    event = await stage.status("succeeded")
    assert (event.kind, event.results) == ("image", results)
    task = await stage.read()
    assert (task.kind, task.results) == ("image", results)


async def test_a_film_and_pictures_of_one_session_are_told_apart(stage):
    film = await sent(stage, FILM, "t1", "video")
    await sent(stage, JOB, "t2")

    due = await stage.hands.ask(AskDue(session=film.session))
    kinds = {attempt.task: attempt.kind for attempt in due.attempts}
    assert kinds == {"t1": "video", "t2": "image"}


async def test_a_retry_makes_what_its_model_makes(stage):
    submit = await sent(stage)
    await stage.ends(submit)
    await stage.status("failed")
    same = await stage.hands.ask(asked.RetryTask(task="t1", new_task="t2", again=True))
    other = asked.RetryTask(task="t1", new_task="t3", job=FILM, again=True)
    assert same.kind == "image"
    assert (await stage.hands.ask(other)).kind == "video"
