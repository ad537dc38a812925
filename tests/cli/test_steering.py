"""`jimeng cancel`, `retry` and `resolve`, and what `jimeng task` shows of them."""

import json
from datetime import timedelta

from contracts.message import now
from contracts.requests import RetryTask


async def create(gateway, scheduler, until, **fields):
    plain = {"prompt": "a fox", "model": "jimeng-video-3.0"}  # needs no browser's beat
    answer = await gateway.http.post("/api/v1/tasks", json=plain | fields)
    task = answer.json()["task_id"]
    await until(lambda: task in scheduler.tasks)
    return task


async def test_a_task_is_cancelled_and_made_anew(jimeng, gateway, scheduler, until):
    moment = (now() + timedelta(hours=1)).isoformat()
    task = await create(gateway, scheduler, until, deadline=moment)

    early = await jimeng("retry", task)
    stopped = await jimeng("cancel", task)
    same = await jimeng("retry", task)
    other = await jimeng("retry", task, "--again", "--prompt", "a hare", "--json")

    assert early.status == 1
    assert "only an ended one can be retried" in early.err
    assert stopped.status == 0, stopped.err
    assert "Status:   cancelled" in stopped.out
    assert "Deadline:" in stopped.out
    assert "whether the site charges for it is not known" in stopped.err
    assert f"Retry of: {task}" in same.out
    assert "Follow it with: jimeng task" in same.err
    assert other.status == 0, other.err
    assert json.loads(other.out)["retry_of"] == task
    asked = [a for a in scheduler.asked if isinstance(a, RetryTask)]
    assert [a.again for a in asked] == [False, True]
    assert asked[1].job.prompt == "a hare"


async def test_a_held_task_says_how_to_go_on_and_does(
    jimeng, gateway, scheduler, until
):
    task = await create(gateway, scheduler, until)
    scheduler.change(task, status="submitting", stage="held", attempt=2)

    shown = await jimeng("task", task)
    wrong = await jimeng("resolve", task, "again")
    sent = await jimeng("resolve", task, "resend")
    free = await jimeng("resolve", task, "fail")

    assert "held: an operator must decide" in shown.out
    assert "Tries:    2 of at most 8" in shown.out
    assert f"jimeng resolve {task} resend" in shown.err
    assert wrong.status == 2
    assert sent.status == 0, sent.err
    assert "preparing" in sent.out
    assert (free.status, "not held" in free.err) == (1, True)


async def test_an_ended_task_says_what_it_may_have_cost(
    jimeng, gateway, scheduler, until
):
    task = await create(gateway, scheduler, until)
    for charged, words in ((True, "yes"), (False, "no"), (None, "not known")):
        scheduler.change(task, status="failed", attempt=1, upstream_charged=charged)
        shown = await jimeng("task", task)
        assert f"Charged:  {words}" in shown.out
