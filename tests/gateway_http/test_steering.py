"""The terms of a task, its retry, and the end of a hold."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from contracts.message import now
from contracts.requests import ResolveTask, RetryTask
from contracts.values import Terms
from jimeng import expected_credits

FORM = {"content-type": "application/x-www-form-urlencoded"}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGA"
    "hKmMIQAAAABJRU5ErkJggg=="
)


async def create(gateway, scheduler, until, **fields):
    wish = {"prompt": "a fox", "model": "jimeng-video-3.0", **fields}
    answer = await gateway.http.post("/api/v1/tasks", json=wish)
    assert answer.status_code == 201, answer.text
    task = answer.json()["task"]
    await until(lambda: task["id"] in scheduler.tasks)
    return task


async def ended(gateway, scheduler, until, **fields):
    task = await create(gateway, scheduler, until, **fields)
    scheduler.change(task["id"], status="failed", stage=None)
    return task["id"]


def retries(scheduler):
    return [asked for asked in scheduler.asked if isinstance(asked, RetryTask)]


async def test_terms_are_taken_and_shown(gateway, scheduler, until):
    moment = (now() + timedelta(hours=2)).replace(microsecond=0)
    local = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    given = {"max_attempts": 3, "buy_again": 1, "deadline": local}
    task = await create(gateway, scheduler, until, **given)
    form = await gateway.http.post(
        "/api/v1/tasks",
        data={"prompt": "x", "max_attempts": "4", "deadline": local},
        files=[("files", ("a.png", PNG))],
    )

    found = (await gateway.http.get(f"/api/v1/tasks/{task['id']}")).json()["task"]

    assert form.status_code == 201, form.text
    assert form.json()["task"]["max_attempts"] == 4
    cost = expected_credits(task["model"], task["duration"])
    assert scheduler.created[0].terms == Terms(
        max_attempts=3, deadline=moment, buy_again=1, credits=cost
    )
    for shown in (task, found):
        assert (shown["max_attempts"], shown["buy_again"]) == (3, 1)
        assert datetime.fromisoformat(shown["deadline"]) == moment


async def test_terms_not_given_are_the_usual_ones(gateway, scheduler, until):
    task = await create(gateway, scheduler, until)
    assert (task["max_attempts"], task["buy_again"], task["deadline"]) == (8, 0, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_attempts", 0),
        ("max_attempts", 51),
        ("max_attempts", True),
        ("max_attempts", "many"),
        ("buy_again", -1),
        ("buy_again", 4),
        ("deadline", "2020-01-01T00:00:00Z"),
        ("deadline", "2099-01-01T00:00:00"),
        ("deadline", "2099-01-01"),
        ("deadline", "2099-02-30T00:00:00Z"),
        ("deadline", "9999-12-31T23:59:59-23:59"),
        ("deadline", "\uff12099-01-01T00:00:00Z"),
        ("deadline", 4102444800),
    ],
)
async def test_terms_that_cannot_be_kept_are_refused_by_name(gateway, field, value):
    answer = await gateway.http.post(
        "/api/v1/tasks", json={"prompt": "x", field: value}
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_retry_is_a_new_task_as_the_old_one_was(gateway, scheduler, until):
    moment = (now() + timedelta(hours=1)).isoformat()
    old = await ended(
        gateway,
        scheduler,
        until,
        metadata={"shot": "12"},
        priority=7,
        max_attempts=3,
        deadline=moment,
    )
    for body in ({}, {"json": {}}, {"json": {"again": False}}):
        answer = await gateway.http.post(f"/api/v1/tasks/{old}/retry", **body)
        assert answer.status_code == 201, answer.text
        told = answer.json()
        asked = retries(scheduler)[-1]
        assert told["task_id"] == told["task"]["id"] == asked.new_task != old
        assert told["task"]["retry_of"] == old
        assert (asked.task, asked.again, asked.job) == (old, False, None)
        assert (asked.priority, asked.metadata) == (7, {"shot": "12"})
        cost = expected_credits(told["task"]["model"], told["task"]["duration"])
        assert asked.terms == Terms(max_attempts=3, credits=cost)


async def test_a_retry_may_buy_anew_or_differ(gateway, scheduler, until):
    old = await ended(gateway, scheduler, until, ratio="16:9")
    place = f"/api/v1/tasks/{old}/retry"

    await gateway.http.post(place, json={"again": True})
    await gateway.http.post(place, json={"priority": 9})
    await gateway.http.post(place, json={"prompt": "a hare"})
    again, sooner, other = retries(scheduler)

    assert (again.again, again.job) == (True, None)
    assert (sooner.again, sooner.job, sooner.priority) == (False, None, 9)
    assert (other.job.prompt, other.job.ratio) == ("a hare", "16:9")


async def test_a_retry_keeps_the_files_or_brings_its_own(gateway, scheduler, until):
    inline = {"data": base64.b64encode(PNG).decode(), "filename": "fox.png"}
    old = await ended(gateway, scheduler, until, prompt="@1 runs", files=[inline])
    place = f"/api/v1/tasks/{old}/retry"

    await gateway.http.post(place, json={"prompt": "@1 sleeps"})
    new = inline | {"filename": "hare.png"}
    answer = await gateway.http.post(place, json={"files": [new]})
    kept, other = retries(scheduler)

    assert kept.job.files == scheduler.tasks[old].job.files
    scheduler.change(old, files_deleted_at=now())
    gone = await gateway.http.post(place, json={"again": True})
    assert (gone.status_code, gone.json()["type"]) == (409, "files_deleted")
    assert (await gateway.http.post(place, json={"files": [new]})).status_code == 201
    assert [f.name for f in other.job.files] == ["hare.png"]
    assert f"{answer.json()['task_id']}/reference-1" in gateway.files()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"again": "yes"}, "again"),
        ({"duration": 7}, "duration"),
        ({"deadline": "tomorrow"}, "deadline"),
        ({"prompt": ""}, "prompt"),
        ({"colour": "red"}, "colour"),
        ({"files": [{"data": "iVBO", "filename": "x"}]}, "files.0"),
    ],
)
async def test_a_retry_that_cannot_be_is_refused_by_name_and_leaves_nothing(
    gateway, scheduler, until, body, field
):
    old = await ended(gateway, scheduler, until)
    answer = await gateway.http.post(f"/api/v1/tasks/{old}/retry", json=body)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not retries(scheduler)
    assert gateway.files() == []


async def test_only_an_ended_task_is_retried(gateway, scheduler, until):
    task = (await create(gateway, scheduler, until))["id"]
    running = await gateway.http.post(f"/api/v1/tasks/{task}/retry")
    nobody = await gateway.http.post("/api/v1/tasks/nobody/retry")
    form = await gateway.http.post(
        f"/api/v1/tasks/{task}/retry", content=b"x=1", headers=FORM
    )

    assert (running.status_code, running.json()["type"]) == (409, "task_running")
    assert running.json()["task_status"] == "queued"
    assert nobody.status_code == 404
    assert form.status_code == 409


async def test_a_retrys_body_is_json_or_nothing(gateway, scheduler, until):
    old = await ended(gateway, scheduler, until)
    place = f"/api/v1/tasks/{old}/retry"
    form = await gateway.http.post(place, content=b"again=1", headers=FORM)
    broken = await gateway.http.post(
        place, content=b"{", headers={"content-type": "application/json"}
    )
    text = await gateway.http.post(place, json=["again"])
    assert (form.status_code, broken.status_code) == (415, 400)
    assert text.status_code == 422


async def test_a_hold_is_ended_both_ways(gateway, scheduler, until):
    for action, status in (("resend", "submitting"), ("fail", "failed")):
        task = (await create(gateway, scheduler, until))["id"]
        scheduler.change(task, status="submitting", stage="held")
        shown = (await gateway.http.get(f"/api/v1/tasks/{task}")).json()["task"]
        answer = await gateway.http.post(
            f"/api/v1/tasks/{task}/resolve", json={"action": action}
        )
        assert shown["stage"] == "held"
        assert answer.status_code == 200, answer.text
        assert answer.json()["task"]["status"] == status
        assert ResolveTask(task=task, action=action) in scheduler.asked


async def test_what_is_not_held_is_not_resolved(gateway, scheduler, until):
    task = (await create(gateway, scheduler, until))["id"]
    place = f"/api/v1/tasks/{task}/resolve"
    free = await gateway.http.post(place, json={"action": "fail"})
    wrong = await gateway.http.post(place, json={"action": "again"})
    nobody = await gateway.http.post(
        "/api/v1/tasks/nobody/resolve", json={"action": "fail"}
    )

    assert (free.status_code, free.json()["type"]) == (409, "task_not_held")
    assert free.json()["task_status"] == "queued"
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "action"
    assert nobody.status_code == 404


async def test_the_document_tells_of_all_this(gateway):
    document = (await gateway.http.get("/openapi.json")).json()
    paths = document["paths"]
    retry = paths["/api/v1/tasks/{task}/retry"]["post"]
    body = retry["requestBody"]["content"]["application/json"]["schema"]
    create = paths["/api/v1/tasks"]["post"]["requestBody"]["content"]
    terms = {"max_attempts", "deadline", "buy_again", "priority", "metadata"}

    assert terms | {"again", "prompt", "files"} <= set(body["properties"])
    assert "required" not in body
    for kind in create.values():
        assert terms <= set(kind["schema"]["properties"])
    assert create["application/json"]["schema"]["properties"]["deadline"]
    shown = set(document["components"]["schemas"]["TaskView"]["properties"])
    assert terms | {"upstream_charged", "stage", "retry_of"} <= shown
    assert "/api/v1/tasks/{task}/resolve" in paths
