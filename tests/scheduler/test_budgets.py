"""What an owner may have at work, what its tasks cost it, and what was used."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts import requests as asked
from contracts import tasks as said
from contracts.counting import CREDITS, read
from contracts.keys import CreateKey, DeleteKey, SetKey, hash_of, new_key, prefix_of
from contracts.usage import ReadUsage
from contracts.values import Item, Terms
from scheduler.domain.budget import bought
from scheduler.domain.rows import Attempt

ITEMS = (Item(id="i", urls=("http://127.0.0.1/v.mp4",)),)
NOW = datetime.now(UTC)
COUNTED = Terms(credits=30, max_attempts=2)


async def key_of(stage, **more):
    secret = new_key()
    told = {"hash": hash_of(secret), "prefix": prefix_of(secret)}
    return await stage.hands.ask(CreateKey(name="farm", **told, **more))


async def spent(stage, key):
    return await read(stage.hands.jetstream, CREDITS, key.id, datetime.now(UTC))


async def is_spent(stage, key, wanted):
    async def is_so():
        return await spent(stage, key) == wanted

    await stage.until(is_so)


async def generated(stage, submit):
    done = said.Generated(task=submit.task, attempt=submit.attempt, items=ITEMS)
    await stage.hands.emit(done)
    await stage.status("downloading")


async def cancelled(stage, task="t1"):
    await stage.hands.ask(asked.CancelTask(task=task))


async def test_more_tasks_than_an_owner_may_have_at_work_wait_in_the_queue(stage):
    key = await key_of(stage, concurrent=1)
    await stage.session()
    await stage.create("t1", owner=key.owner)
    submit = await stage.next(said.SubmitPlain)
    await stage.create("t2", owner=key.owner)
    await stage.create("t3")
    assert (await stage.next(said.SubmitPlain)).task == "t3"

    async def is_held():
        return (await stage.read("t2")).stage == "owner_limit"

    await stage.until(is_held)
    await cancelled(stage, submit.task)
    assert (await stage.next(said.SubmitPlain)).task == "t2"


async def test_a_raised_limit_lets_a_waiting_task_go_at_once(stage):
    key = await key_of(stage, concurrent=1)
    await stage.session()
    for task in ("t1", "t2"):
        await stage.create(task, owner=key.owner)
    await stage.next(said.SubmitPlain)
    await stage.hands.ask(SetKey(id=key.id, concurrent=2))
    assert (await stage.next(said.SubmitPlain)).task == "t2"


async def test_what_was_not_charged_is_given_back(stage):
    key = await key_of(stage)
    await stage.session()
    await stage.create("t1", owner=key.owner, terms=COUNTED)
    submit = await stage.next(said.SubmitPlain)
    await cancelled(stage)
    await is_spent(stage, key, -30)  # nothing had been counted, by a gateway

    await stage.create("t2", owner=key.owner, terms=COUNTED)
    submit = await stage.next(said.SubmitPlain)
    assert (await stage.permit(submit)).granted
    one = {"task": "t2", "attempt": submit.attempt}
    await stage.hands.emit(said.Submitted(**one, n=1, upstream_id="7"))
    await stage.status("polling")
    await generated(stage, submit)
    await stage.create("t3", terms=COUNTED)
    await stage.create("t4", owner=key.owner)
    for task in ("t3", "t4"):
        await cancelled(stage, task)
    await stage.status("cancelled")
    assert await spent(stage, key) == -30


@pytest.mark.parametrize(
    ("attempt", "paid"),
    [
        ({"charged": True}, True),
        ({"charged": None}, True),
        ({"charged": False}, False),
        ({"charged": None, "permitted_at": None}, False),
        ({"charged": True, "adopted": True}, False),
    ],
)
def test_what_nobody_knows_was_bought_and_what_was_taken_over_was_not(attempt, paid):
    row = {"permitted_at": NOW} | attempt
    made = Attempt(task="t", n=1, session="s", submit_id="x", reserved_at=NOW, **row)
    assert bought(made) is paid


async def test_usage_tells_each_key_and_day_also_after_it_was_deleted(stage):
    key = await key_of(stage)
    await stage.session()
    await stage.create("t1", owner=key.owner, terms=COUNTED)
    await stage.create("t2", owner=key.owner, terms=COUNTED)
    await stage.create("t3")
    await stage.taken(3)
    await cancelled(stage, "t2")
    await stage.hands.ask(DeleteKey(id=key.id))
    today = datetime.now(UTC).date()
    asked_for = {"first": today - timedelta(days=1), "last": today}
    found = (await stage.hands.ask(ReadUsage(**asked_for))).used
    mine = next(each for each in found if each.owner == key.owner)
    assert (mine.key, mine.name) == (key.id, "farm")
    assert (mine.tasks, mine.cancelled, mine.succeeded) == (2, 1, 0)
    assert mine.credits == 30  # of the one that may still be bought
    assert sum(each.tasks for each in found if each.owner is None) == 1
    only = ReadUsage(**asked_for, owner=key.owner)
    assert (await stage.hands.ask(only)).used == (mine,)
    before = ReadUsage(first=today - timedelta(days=9), last=today - timedelta(days=8))
    assert (await stage.hands.ask(before)).used == ()
    assert mine.day == today
