"""Create, read, list, cancel: their shapes, and a create before it is known."""

import asyncio
import base64
import json
import os
import signal
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from contracts.message import now
from contracts.requests import ListTasks
from gateway_http.parts import Patience
from gateway_http.views import duration_text

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGA"
    "hKmMIQAAAABJRU5ErkJggg=="
)
SEED_FIELDS = {
    "id": str,
    "status": str,
    "model": str,
    "prompt": str,
    "duration": int,
    "ratio": str,
    "session_pool_id": str,
    "history_record_id": str,
    "queue_position": int,
    "queue_total": int,
    "queue_eta": str,
    "video_url": str,
    "error_message": str,
    "error_kind": str,
    "created_at": str,
    "updated_at": str,
    "started_at": str,
    "finished_at": str,
}


async def create(gateway, **fields):
    answer = await gateway.http.post(
        "/api/v1/tasks", json={"prompt": "a fox in the snow", **fields}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_create_answers_201_with_the_earlier_defaults(
    gateway, scheduler, until
):
    body = await create(gateway)

    task = body["task"]
    assert body["task_id"] == task["id"]
    assert (task["duration"], task["ratio"]) == (4, "9:16")
    assert task["model"] == "jimeng-video-seedance-2.0"
    assert (task["status"], task["stage"]) == ("queued", "waiting")
    assert task["video_url"] is None
    await until(lambda: scheduler.created)
    assert scheduler.created[0].job.resolution == "720p"


async def test_a_task_has_the_earlier_18_fields_with_their_types(
    gateway, scheduler, until
):
    task = (await create(gateway))["task_id"]
    await until(lambda: scheduler.tasks)
    result = gateway.store(f"{task}/result-0.mp4", b"film")
    scheduler.change(
        task,
        status="succeeded",
        session="s1",
        upstream_id="u1",
        queue_position=3,
        queue_total=9,
        queue_eta_seconds=200,
        error_message="none really",
        error_kind="unknown",
        results=(result,),
        started_at=now(),
        finished_at=now(),
    )

    found = (await gateway.http.get(f"/api/v1/tasks/{task}")).json()["task"]

    assert list(found)[:18] == list(SEED_FIELDS)
    assert {name: type(found[name]) for name in SEED_FIELDS} == SEED_FIELDS
    assert found["video_url"] == f"{gateway.url}/api/v1/tasks/{task}/video"
    assert (found["queue_eta"], found["queue_eta_seconds"]) == ("3m20s", 200)
    moment = datetime.fromisoformat(found["created_at"])
    assert moment.utcoffset() == timedelta(0)
    assert found["created_at"].endswith("Z")
    assert "key" not in found["results"][0]


async def test_defaults_are_fitted_to_the_model_and_choices_never_changed(gateway):
    fitted = await create(gateway, model="jimeng-video-3.0-pro")
    refused = await gateway.http.post(
        "/api/v1/tasks",
        json={"prompt": "x", "model": "jimeng-video-3.0-pro", "duration": 4},
    )

    assert fitted["task"]["duration"] == 5
    assert fitted["task"]["resolution"] == "1080p"
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "duration"


async def test_a_form_takes_urls_by_their_older_names_too(gateway):
    urls = [f"https://files.example/{n}.png" for n in "ab"]
    for name in ("files", "file_paths", "filePaths"):
        answer = await gateway.http.post(
            "/api/v1/tasks",
            files=[
                ("prompt", (None, "@1 meets @2")),
                *((name, (None, u)) for u in urls),
            ],
        )
        assert answer.status_code == 201, answer.text
        assert [f["url"] for f in answer.json()["task"]["files"]] == urls


async def test_files_come_as_json_and_as_a_form(gateway, scheduler, until):
    inline = {
        "data": "data:image/png;base64," + base64.b64encode(PNG).decode(),
        "filename": "../../etc/fox\n.png",
        "mime_type": "image/png",
    }
    first = await create(gateway, prompt="@1 runs", files=[inline])
    answer = await gateway.http.post(
        "/api/v1/tasks",
        data={"prompt": "@1 meets @2", "metadata": '{"shot": "12"}', "priority": "7"},
        files=[("files", ("a.png", PNG)), ("files", ("b.png", PNG))],
    )

    assert answer.status_code == 201, answer.text
    second = answer.json()
    assert [f["name"] for f in first["task"]["files"]] == ["fox.png"]
    assert [f["name"] for f in second["task"]["files"]] == ["a.png", "b.png"]
    assert second["task"]["metadata"] == {"shot": "12"}
    assert second["task"]["priority"] == 7
    await until(lambda: len(scheduler.created) == 2)
    job = next(c.job for c in scheduler.created if c.task == second["task_id"])
    assert [(f.kind, f.mime, f.size, f.width) for f in job.files] == [
        ("image", "image/png", len(PNG), 1)
    ] * 2
    assert gateway.files() == sorted(
        f.key for c in scheduler.created for f in c.job.files
    )


LINKS = [
    # as given, its name, the kind it is taken for
    ({"url": "https://files.example/a/fox.png?sig=SECRET"}, "fox.png", "image"),
    ({"url": "https://files.example/%E7%8B%90.MP4"}, "狐.MP4", "video"),
    ("http://8.8.8.8/rain.wav#t=1", "rain.wav", "audio"),
    ({"url": "https://files.example/", "filename": "../b.mov"}, "b.mov", "video"),
    ({"url": "https://files.example/", "mime_type": "video/mp4"}, "file-5", "video"),
    ({"url": "https://files.example/get.php?f=a.mp4"}, "get.php", "image"),
]


async def test_urls_keep_their_place_and_are_shown_without_their_query(
    gateway, scheduler, until
):
    given = [link for link, _, _ in LINKS]
    picture = {"data": base64.b64encode(PNG).decode()}
    answer = await create(
        gateway, prompt="@1 @图7 @image_file_3", files=[*given, picture]
    )

    shown = answer["task"]["files"]
    told = [(f["name"], f["kind"]) for f in shown[:-1]]
    assert told == [(name, kind) for _, name, kind in LINKS]
    assert shown[0]["url"] == "https://files.example/a/fox.png?…"
    assert (shown[0]["mime"], shown[0]["size"], shown[0]["sha256"]) == (None,) * 3
    assert (shown[-1]["url"], shown[-1]["size"]) == (None, len(PNG))
    assert "SECRET" not in json.dumps(answer)
    await until(lambda: scheduler.created)
    job = scheduler.created[0].job
    assert job.files[0].url == "https://files.example/a/fox.png?sig=SECRET"
    assert "SECRET" not in repr(job)
    keys = [file.key for file in job.files]
    assert keys == [f"{answer['task_id']}/reference-{n}" for n in range(1, 8)]
    assert gateway.files() == keys[-1:]


async def test_urls_come_in_a_form_too_and_by_their_older_names(
    gateway, scheduler, until
):
    url = "https://files.example/b.png"
    form = await gateway.http.post(
        "/api/v1/tasks",
        data={"prompt": "@1 @2 @3"},
        files=[
            ("files", (None, url)),
            ("files", ("a.png", PNG)),
            ("files", (None, url)),
        ],
    )
    older = await create(gateway, prompt="@2", filePaths=[url, url])
    oldest = await create(gateway, prompt="@1", file_paths=[url])

    assert form.status_code == 201, form.text
    names = [
        [file["name"] for file in task["task"]["files"]]
        for task in (form.json(), older, oldest)
    ]
    assert names == [["b.png", "a.png", "b.png"], ["b.png", "b.png"], ["b.png"]]


async def test_a_create_that_still_waits_is_shown_as_queued(
    nats, make_bus, run_gateway, all_beat
):
    await nats.provision()
    await all_beat()
    async with run_gateway() as gateway:
        task = (await create(gateway, metadata={"a": "b"}))["task_id"]

        # No scheduler runs at all: what waits is known nevertheless.
        found = await gateway.http.get(f"/api/v1/tasks/{task}")

        assert found.status_code == 200
        assert found.json()["task"]["status"] == "queued"
        assert found.json()["task"]["metadata"] == {"a": "b"}


async def test_a_read_between_both_places_asks_the_scheduler_again(
    gateway, scheduler, until
):
    task = (await create(gateway))["task_id"]
    await until(lambda: scheduler.tasks)
    scheduler.hide_once.add(task)  # taken in between the first question and CMD's no

    found = await gateway.http.get(f"/api/v1/tasks/{task}")

    assert found.status_code == 200
    assert len([r for r in scheduler.asked if r.task == task]) == 2


@pytest.mark.parametrize("path", ["", "/video"])
async def test_an_unknown_task_is_404_only_by_the_scheduler_s_own_no(
    nats, gateway, scheduler, path
):
    for name in ("0197-none", "a.b.>", "*", "%00", "x" * 64):
        answer = await gateway.http.get(f"/api/v1/tasks/{name}{path}")
        assert answer.status_code == 404, name
        assert answer.headers["content-type"] == "application/problem+json"


async def test_without_a_scheduler_an_unknown_task_is_503_not_404(
    nats, run_gateway, all_beat
):
    await nats.provision()
    async with run_gateway() as gateway:
        for method, path in [
            ("GET", "/api/v1/tasks/none"),
            ("GET", "/api/v1/tasks/none/video"),
            ("POST", "/api/v1/tasks/none/cancel"),
            ("GET", "/api/v1/tasks"),
            ("GET", "/api/v1/stats"),
            ("GET", "/api/v1/sessions"),
        ]:
            answer = await gateway.http.request(method, path)
            assert answer.status_code == 503, path
            assert answer.json()["type"] == "unavailable"
            assert answer.headers["retry-after"]


async def test_a_list_is_filtered_limited_and_goes_on_by_cursor(
    gateway, scheduler, until
):
    for _ in range(3):
        await create(gateway)
    await until(lambda: len(scheduler.tasks) == 3)

    page = (await gateway.http.get("/api/v1/tasks?limit=2&status=queued")).json()
    empty = (await gateway.http.get("/api/v1/tasks?status=failed")).json()

    assert len(page["tasks"]) == 2
    assert page["next_cursor"] == page["tasks"][-1]["id"]
    assert (empty["tasks"], empty["next_cursor"], empty["total"]) == ([], None, 0)
    asked = [r for r in scheduler.asked if isinstance(r, ListTasks)]
    assert (asked[0].limit, asked[0].statuses, asked[1].limit) == (2, ("queued",), 50)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=running", "status.0"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("cursor=" + "x" * 501, "cursor"),
    ],
)
async def test_a_list_names_the_query_that_is_wrong(gateway, query, field):
    answer = await gateway.http.get(f"/api/v1/tasks?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_a_cancel_tells_whether_the_site_charges_and_is_refused_at_the_end(
    gateway, scheduler, until
):
    task = (await create(gateway))["task_id"]
    await until(lambda: scheduler.tasks)

    first = await gateway.http.post(f"/api/v1/tasks/{task}/cancel")
    again = await gateway.http.post(f"/api/v1/tasks/{task}/cancel")
    scheduler.change(task, status="succeeded", stage=None)
    ended = await gateway.http.post(f"/api/v1/tasks/{task}/cancel")
    none = await gateway.http.post("/api/v1/tasks/none/cancel")

    assert first.status_code == 200
    assert first.json()["ok"] is True
    assert first.json()["task"]["status"] == "cancelled"
    assert first.json()["upstream_charged"] == "unknown"
    assert (again.status_code, again.json()["task"]) == (200, first.json()["task"])
    assert (ended.status_code, ended.json()["task_status"]) == (409, "succeeded")
    assert (none.status_code, none.json()["type"]) == (404, "task_not_found")


async def test_a_cancel_waits_for_a_create_the_scheduler_has_still_to_take_in(
    nats, make_bus, run_gateway, all_beat, stand_in
):
    await nats.provision()
    await all_beat()
    late = stand_in(make_bus("scheduler"))
    await late.bus.start()  # answers, and takes no creates yet
    async with run_gateway() as gateway:
        task = (await create(gateway))["task_id"]
        cancel = asyncio.create_task(gateway.http.post(f"/api/v1/tasks/{task}/cancel"))
        taker = stand_in(make_bus("scheduler"))
        taker.tasks = late.tasks
        taker.take_creates()
        await taker.bus.start()

        answer = await cancel

    assert answer.status_code == 200, answer.text


async def test_a_seedance_task_without_a_browser_is_refused_with_what_to_do(
    scheduler, all_beat, run_gateway
):
    await all_beat(browser=False)
    async with run_gateway() as gateway:
        answer = await gateway.http.post(
            "/api/v1/tasks", data={"prompt": "@1"}, files={"files": ("a.png", PNG)}
        )
        plain = await create(gateway, model="jimeng-video-3.0")

        assert answer.status_code == 503
        assert answer.json()["type"] == "browser_missing"
        assert "CHROMIUM_PATH" in answer.json()["detail"]
        assert gateway.files() == []
        assert plain["task"]["status"] == "queued"


async def test_no_201_without_nats_and_no_ghost_afterwards(
    nats, scheduler, all_beat, run_gateway, until
):
    await all_beat()
    async with run_gateway(Patience(accept=0.6)) as gateway:
        nats.kill()
        answer = await gateway.http.post(
            "/api/v1/tasks", data={"prompt": "@1"}, files={"files": ("a.png", PNG)}
        )

        problem = answer.json()
        assert answer.status_code == 503, answer.text
        assert problem["type"] == "not_accepted"
        assert problem["task_id"] in problem["detail"]
        assert gateway.files() == []
        nats.start()
        task = await until(lambda: accepted(gateway))
        await until(lambda: task in scheduler.tasks)
        assert [c.task for c in scheduler.created] == [task]


async def test_a_create_whose_ack_is_lost_is_named_and_keeps_its_files(
    nats, scheduler, all_beat, run_gateway, until
):
    await all_beat()
    async with run_gateway(Patience(accept=0.6)) as gateway:
        with frozen(nats):
            answer = await gateway.http.post(
                "/api/v1/tasks", data={"prompt": "@1"}, files={"files": ("a.png", PNG)}
            )
        problem = answer.json()
        await until(lambda: problem["task_id"] in scheduler.tasks)

        assert (answer.status_code, problem["type"]) == (503, "acceptance_unknown")
        (created,) = scheduler.created
        assert gateway.files() == [created.job.files[0].key]


@contextmanager
def frozen(nats):
    """Let the server take bytes in and answer none of them."""
    os.kill(nats._process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(nats._process.pid, signal.SIGCONT)


async def accepted(gateway):
    """Create one task; None while NATS is not back."""
    answer = await gateway.http.post("/api/v1/tasks", json={"prompt": "after"})
    return answer.json()["task_id"] if answer.status_code == 201 else None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, None), (0, "0s"), (40, "40s"), (200, "3m20s"), (3900, "1h5m"), (-1, "0s")],
)
def test_a_waiting_time_is_written_for_people(seconds, text):
    assert duration_text(seconds) == text
