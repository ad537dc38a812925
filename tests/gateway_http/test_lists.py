"""Lists, details and deletes: filters read strictly, how far a task is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.message import now
from contracts.requests import AttemptView, ListTasks, Task
from contracts.values import Job
from gateway_http.links import Links
from gateway_http.views import progress_of, task_view

JOB = Job(model="jimeng-video-3.0", prompt="p", duration=5, ratio="16:9")
MOMENT = datetime(2026, 11, 21, 4, tzinfo=UTC)


def task(name="t1", **more):
    fields = {"status": "queued", "stage": "waiting", "revision": 1} | more
    return Task(id=name, job=JOB, created_at=now(), updated_at=now(), **fields)


async def test_every_filter_reaches_the_scheduler_as_it_is_meant(gateway, scheduler):
    query = {
        "status": ["failed", "cancelled"],
        "kind": "video",
        "model": "Seedance-2.0",
        "key": "7",
        "created_from": "2026-11-21T12:00:00+08:00",
        "created_before": "2026-11-21T05:00:00Z",
        "finished_from": "2026-11-21t04:00:00z",
        "finished_before": "2026-11-21T04:00:00.5Z",
        "text": "狐狸 100%",
        "retried": "false",
        "limit": "7",
    }
    answer = await gateway.http.get("/api/v1/tasks", params=query)

    assert answer.status_code == 200, answer.text
    [wish] = [r for r in scheduler.asked if isinstance(r, ListTasks)]
    assert wish.statuses == ("failed", "cancelled")
    assert "jimeng-video-seedance-2.0" in wish.models
    assert (wish.kind, wish.owner, wish.text) == ("video", "key:7", "狐狸 100%")
    assert wish.created_from == wish.finished_from == MOMENT
    assert wish.created_before == MOMENT + timedelta(hours=1)
    assert wish.finished_before == MOMENT + timedelta(seconds=0.5)
    assert (wish.retried, wish.limit, wish.counted) == (False, 7, True)


async def test_a_first_page_has_the_totals_and_later_ones_go_on(gateway, scheduler):
    scheduler.tasks = {f"t{n}": task(f"t{n}") for n in range(3)}
    first = (await gateway.http.get("/api/v1/tasks?limit=2")).json()
    cursor = first["next_cursor"]
    second = (await gateway.http.get(f"/api/v1/tasks?limit=2&cursor={cursor}")).json()

    assert first["total"] == first["counts"]["total"] == 3
    assert [t["id"] for t in first["tasks"] + second["tasks"]] == ["t0", "t1", "t2"]
    assert (second["next_cursor"], second["total"], second["counts"]) == (None,) * 3


WRONG = {
    "staus=failed": "staus",
    "status=done": "status.0",
    "status=": "status.0",
    "kind=film": "kind",
    "model=gpt": "model",
    "limit=0": "limit",
    "limit=201": "limit",
    "limit=1_0": "limit",
    "limit=1.0": "limit",
    "limit=%2B5": "limit",
    "limit=٣": "limit",
    "limit=5&limit=6": "limit",
    "created_from=2026-11-21": "created_from",
    "created_from=1790000000": "created_from",
    "created_before=2026-02-30T00:00:00Z": "created_before",
    "finished_from=0001-01-01T00:00:00%2B23:59": "finished_from",
    "retried=1": "retried",
    "retried=yes": "retried",
    "text=": "text",
    "text=%00": "text",
    "key=1&owner=key:1": "",
    "cursor=" + "x" * 501: "cursor",
}


@pytest.mark.parametrize("query", WRONG)
async def test_a_query_is_read_strictly(gateway, query):
    answer = await gateway.http.get(f"/api/v1/tasks?{query}")

    assert answer.status_code == 422, answer.text
    assert WRONG[query] in {e["field"] for e in answer.json()["errors"]}


async def test_an_ended_task_is_deleted_and_others_say_how_they_stand(
    gateway, scheduler
):
    scheduler.tasks = {"t1": task(status="failed"), "t2": task("t2", status="polling")}
    done = await gateway.http.delete("/api/v1/tasks/t1")
    running = await gateway.http.delete("/api/v1/tasks/t2")
    unknown = await gateway.http.delete("/api/v1/tasks/none")

    assert (done.status_code, done.json()["status"]) == (200, "failed")
    assert running.status_code == 409
    assert running.json()["type"] == "task_running"
    assert running.json()["task_status"] == "polling"
    assert unknown.status_code == 404


async def test_a_detail_says_when_the_site_will_get_to_it_and_what_each_try_came_to(
    gateway, scheduler
):
    scheduler.tasks["t1"] = task(
        status="polling",
        stage="upstream_queue",
        owner="key:1",
        queue_position=25,
        queue_total=100,
        queue_eta_seconds=90,
        told_at=MOMENT,
        attempts=(
            AttemptView(
                n=1,
                session="s1",
                session_label="mine",
                state="ended",
                error_code="content_refused",
                error_kind="content_risk",
                upstream_code="2038",
                reason="no (2038)",
                reserved_at=MOMENT,
                permitted_at=MOMENT,
            ),
        ),
    )
    found = (await gateway.http.get("/api/v1/tasks/t1")).json()["task"]

    assert found["queue_eta_at"] == "2026-11-21T04:01:30.000Z"
    assert (found["progress"], found["owner"]) == (40, "key:1")
    [tried] = found["attempts"]
    assert (tried["session_label"], tried["upstream_code"]) == ("mine", "2038")
    assert tried["error_kind"] == "content_risk"
    assert tried["permitted_at"] == "2026-11-21T04:00:00.000Z"


def test_a_queued_task_shows_its_place_and_the_number_in_the_queue():
    found = task_view(task(queue_ahead=0, queue_length=3), Links("http://x"))

    assert (found.gateway_position, found.gateway_total) == (1, 3)
    assert task_view(task(), Links("http://x")).gateway_position is None


def test_progress_only_grows_over_a_task_s_life():
    queue = {"status": "polling", "stage": "upstream_queue"}
    life = [
        task(),
        task(status="submitting", stage="sending"),
        task(**queue),
        task(**queue, queue_position=91_854, queue_total=91_854),
        task(**queue, queue_position=10, queue_total=91_854),
        task(status="polling", stage="generating"),
        task(status="downloading", stage="storing"),
        task(status="succeeded", stage=None),
    ]
    told = [progress_of(each) for each in life]

    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 100)
    assert progress_of(task(status="failed", stage=None)) is None


numbers = st.none() | st.integers(-(10**12), 10**12)


@given(position=numbers, total=numbers, eta=numbers)
def test_whatever_the_site_says_a_task_can_be_shown(position, total, eta):
    shown = task_view(
        task(
            status="polling",
            stage="upstream_queue",
            queue_position=position,
            queue_total=total,
            queue_eta_seconds=eta,
            told_at=MOMENT,
        ),
        Links("http://x"),
    )

    assert 0 <= shown.progress <= 100
    assert shown.model_dump_json()
