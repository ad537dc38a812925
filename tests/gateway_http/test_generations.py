"""`/v1/videos/generations`: the Jimeng family's form, over the same tasks."""

import asyncio
import base64
import io
from time import time

import httpx
import pytest
from PIL import Image

from contracts.errors import ErrorCode
from contracts.values import FileRef
from gateway_http.family.forms import arranged
from gateway_http.prefer import LONGEST_SECONDS, Wait, wanted
from gateway_http.problems import Problem
from site_support import FILM

PATH = "/v1/videos/generations"
FOX = {"prompt": "a fox in the snow", "model": "jimeng-video-3.0"}
ASYNC = Wait(0, "respond-async", at_once=True)


def png(colour="orange"):
    body = io.BytesIO()
    Image.new("RGB", (320, 320), colour).save(body, "PNG")
    return body.getvalue()


@pytest.fixture
def ask(gateway, scheduler, until):
    """Post a request that waits; give its task, and what will be answered."""

    async def post(body=FOX, prefer="wait=60", path=PATH, **more):
        before = len(scheduler.created)
        headers = {"prefer": prefer} if prefer else {}
        more = more or {"json": body}
        asked = asyncio.create_task(gateway.http.post(path, headers=headers, **more))
        await until(lambda: asked.done() or len(scheduler.created) > before)
        if asked.done():
            raise AssertionError(asked.result().text)
        return scheduler.created[-1].task, asked

    return post


async def test_a_video_is_accepted_as_the_earlier_gateway_accepts_it(
    gateway, scheduler, until
):
    for path in (PATH, "/v1/video/generations"):
        answer = await gateway.http.post(path, json=FOX)
        body = answer.json()
        task = body["task"]["id"]
        assert answer.status_code == 202
        assert body == {
            "code": 0,
            "message": "Task queued",
            "data": [{"task_id": task, "status": "queued"}],
            "task": {
                "id": task,
                "status": "queued",
                "poll_url": f"/api/v1/tasks/{task}",
            },
        }
        polled = await gateway.http.get(body["task"]["poll_url"])
        assert polled.json()["task"]["prompt"] == FOX["prompt"]
    await until(lambda: len(scheduler.created) == 2)


async def test_who_prefers_to_wait_is_answered_with_the_video(gateway, site, ask):
    task, asked = await ask()
    await site.change(task, status="polling", stage="generating")
    await site.finish(task)
    answer = await asked

    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=60"
    [film] = answer.json()["data"]
    assert film["revised_prompt"] == FOX["prompt"]
    assert abs(answer.json()["created"] - time()) < 60
    assert (await gateway.http.get(film["url"])).content == FILM


async def test_the_video_itself_comes_in_base64(site, ask):
    task, asked = await ask(FOX | {"response_format": "b64_json"})
    await site.finish(task)
    answer = await asked

    [film] = answer.json()["data"]
    assert base64.b64decode(film["b64_json"], validate=True) == FILM
    assert film["revised_prompt"] == FOX["prompt"]
    assert answer.headers["content-type"] == "application/json"


async def test_a_wait_that_is_over_names_the_task_which_goes_on(gateway, scheduler):
    answer = await gateway.http.post(PATH, json=FOX, headers={"prefer": "wait=1"})

    assert answer.status_code == 202
    assert answer.json()["task"]["id"] in scheduler.tasks


async def test_a_setting_makes_clients_wait_that_say_nothing(
    scheduler, all_beat, run_gateway
):
    await all_beat()
    async with run_gateway(video_wait_secs=1) as gateway:
        answer = await gateway.http.post(PATH, json=FOX)
        at_once = await gateway.http.post(
            PATH, json=FOX, headers={"prefer": "respond-async"}
        )

    body = answer.json()
    [task, _] = scheduler.created
    assert (answer.status_code, body["code"], body["data"]) == (200, -2008, None)
    assert task.task in body["message"]
    assert body["task"]["poll_url"] == f"/api/v1/tasks/{task.task}"
    assert at_once.status_code == 202
    assert at_once.headers["preference-applied"] == "respond-async"


async def test_what_ended_before_anybody_waited_is_answered_at_once(
    gateway, scheduler, site, until
):
    headers = {"idempotency-key": "one"}
    first = await gateway.http.post(PATH, json=FOX, headers=headers)
    task = first.json()["task"]["id"]
    await until(lambda: task in scheduler.tasks)
    await site.finish(task)
    again = await gateway.http.post(
        PATH, json=FOX, headers=headers | {"prefer": "wait=60"}
    )

    assert again.status_code == 200
    assert again.headers["idempotency-replayed"] == "true"
    assert task in again.json()["data"][0]["url"]
    assert {each.task for each in scheduler.created} == {task}


async def test_a_gateway_that_stops_lets_go_of_who_waits(
    scheduler, all_beat, run_gateway, until
):
    await all_beat()
    async with run_gateway() as gateway:
        headers = {"prefer": "wait=60"}
        asked = asyncio.create_task(gateway.http.post(PATH, json=FOX, headers=headers))
        await until(lambda: scheduler.asked)  # it has looked how the task stands
        await gateway.app.stop()
        answer = await asked

    assert answer.status_code == 202
    assert answer.json()["task"]["id"] in scheduler.tasks


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (ErrorCode.CONTENT_REFUSED, -2006),
        (ErrorCode.CREDITS_EXHAUSTED, -2009),
        (ErrorCode.REFERENCE_UNREACHABLE, -2003),
        (ErrorCode.GENERATION_FAILED, -2008),
    ],
)
async def test_a_failed_video_is_told_by_the_familys_code(site, ask, code, told):
    task, asked = await ask()
    await site.fail(task, code)
    answer = await asked

    body = answer.json()
    assert (answer.status_code, body["code"], body["data"]) == (200, told, None)
    assert body["message"] == f"task {task} failed: the site refused (2038)"
    assert (body["error_code"], body["task"]["status"]) == (code, "failed")


async def test_who_leaves_takes_nothing_back_and_leaves_nothing(
    gateway, scheduler, ask
):
    task, asked = await ask()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked

    assert scheduler.tasks[task].status == "queued"
    assert (await gateway.http.get(f"/api/v1/tasks/{task}")).status_code == 200


REFUSED = [
    ({}, -2000, "prompt"),
    ({"prompt": " "}, -2000, "prompt"),
    (FOX | {"model": "sora-9"}, -2000, "unknown model"),
    (FOX | {"duration": 7}, -2000, "duration"),
    (FOX | {"ratio": "2:1"}, -2000, "ratio"),
    (FOX | {"response_format": "mp4"}, -2000, "response_format"),
    (FOX | {"size": "1280x720"}, -1000, "不支持的参数: size"),
    (FOX | {"width": 1280}, -1000, "不支持的参数: width"),
    (FOX | {"file_paths": [5]}, -2000, "files.0"),
    (FOX | {"file_paths": ["/etc/passwd"]}, -2000, "files.0.data"),
    (FOX | {"file_paths": ["ftp://files.example/a.png"]}, -2000, "files.0"),
]


@pytest.mark.parametrize(("body", "code", "words"), REFUSED)
async def test_what_cannot_be_made_is_refused_as_the_family_refuses(
    gateway, scheduler, body, code, words
):
    answer = await gateway.http.post(PATH, json=body)

    told = answer.json()
    assert (answer.status_code, told["code"], told["data"]) == (200, code, None)
    assert words in told["message"]
    assert told["request_id"] == answer.headers["x-request-id"]
    assert scheduler.created == []
    assert gateway.files() == []


async def test_what_is_no_json_is_refused_by_the_familys_own_code(gateway):
    headers = {"content-type": "application/json"}
    answer = await gateway.http.post(PATH, content=b"{prompt", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (200, -1000)


async def test_what_the_family_has_no_word_for_keeps_its_status(gateway):
    headers = {"idempotency-key": "one"}
    await gateway.http.post(PATH, json=FOX, headers=headers)
    other = FOX | {"prompt": "a hare"}
    answer = await gateway.http.post(PATH, json=other, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, -2001)
    assert answer.json()["type"] == "idempotency_key_reused"


async def test_unknown_fields_are_ignored_and_empty_ones_are_not_given(
    gateway, scheduler, until
):
    body = FOX | {"sample_strength": 0.5, "ratio": "", "resolution": None, "n": 1}
    assert (await gateway.http.post(PATH, json=body)).status_code == 202
    form = {"prompt": "a fox", "sample_strength": "0.5", "ratio": ""}
    files = {"files": ("fox.png", png())}
    answer = await gateway.http.post(PATH, data=form, files=files)
    assert answer.status_code == 202, answer.text
    await until(lambda: len(scheduler.created) == 2)
    assert scheduler.created[0].job.ratio == "9:16"


async def posted(gateway, scheduler, until, **request):
    """Post a create; return the job it comes to."""
    before = len(scheduler.created)
    answer = await gateway.http.post(PATH, **request)
    assert answer.status_code == 202, answer.text
    await until(lambda: len(scheduler.created) > before)
    return scheduler.created[-1].job


async def test_files_come_by_any_name_in_their_order(gateway, scheduler, until):
    files = [("first", ("a.png", png())), ("the_last", ("b.png", png("blue")))]
    job = await posted(gateway, scheduler, until, data=FOX, files=files)

    assert [file.name for file in job.files] == ["a.png", "b.png"]


async def test_numbered_files_take_their_places(gateway, scheduler, until):
    form = {
        "model": "jimeng-video-seedance-2.0",
        "functionMode": "omni_reference",
        "prompt": "@image_file_1 then @image_file_2 then @图1 and @image2, @1",
        "duration": "5",
        "file_paths": "https://files.example/third.png",
    }
    files = [
        ("image_file_2", ("second.png", png())),
        ("image_file_1", ("first.png", png("blue"))),
    ]
    job = await posted(gateway, scheduler, until, data=form, files=files)

    names = [file.name for file in job.files]
    assert names == ["first.png", "second.png", "third.png"]
    assert (job.function_mode, job.duration) == ("omni_reference", 5)


async def test_urls_come_by_each_of_the_names(gateway, scheduler, until):
    body = {
        "prompt": "@image_file_1 dances like @video_file_1",
        "video_file_1": "https://files.example/dance",
        "image_file_1": "https://files.example/fox",
    }
    job = await posted(gateway, scheduler, until, json=body)
    kinds = {file.name: file.kind for file in job.files}
    assert kinds == {"dance": "video", "fox": "image"}
    assert all(file.url for file in job.files)

    both = {"filePaths": ["https://files.example/a.png"], "file_paths": ["http://b/c"]}
    job = await posted(gateway, scheduler, until, json={"prompt": "x"} | both)
    assert [file.name for file in job.files] == ["a.png"]


async def test_a_list_of_urls_may_hold_the_files_themselves(gateway, scheduler, until):
    picture = base64.b64encode(png()).decode()
    large = io.BytesIO()
    Image.effect_noise((640, 640), 90).save(large, "PNG")
    uri = "data:image/png;base64," + base64.b64encode(large.getvalue()).decode()
    assert len(uri) > 300_000  # such a text is set aside before the body is parsed
    body = {"prompt": "@1 and @2", "file_paths": [picture, uri]}
    job = await posted(gateway, scheduler, until, json=body)

    assert [(file.width, file.height) for file in job.files] == [(320, 320), (640, 640)]


def file(name, kind="image", url=""):
    return FileRef(key=name, name=name, kind=kind, mime="", size=1, sha256="", url=url)


@pytest.mark.parametrize(
    ("files", "order"),
    [
        ({"a": "files", "b": "files"}, "ab"),
        ({"a": "image_file_2", "b": "image_file_1"}, "ba"),
        ({"a": "", "b": "image_file_1", "c": ""}, "bac"),
        ({"a": "image_file_3", "b": "", "c": "image_file_1"}, "cba"),
        ({"a": "image_file", "b": "image_file_1"}, "ba"),
    ],
)
def test_a_number_is_a_place_among_files_of_its_kind(files, order):
    found = arranged([file(name) for name in files], list(files.values()))
    assert "".join(each.name for each in found) == order


def test_kinds_keep_their_places_among_each_other():
    files = [file("v", "video"), file("a"), file("b")]
    found = arranged(files, ["video_file_1", "image_file_2", "image_file_1"])
    assert [each.name for each in found] == ["v", "b", "a"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (["image_file_1", "image_file_3"], "image_file_2: is missing"),
        (["image_file_1", "image_file_1"], "image_file_1: is given twice"),
        (["video_file_1", ""], "video_file_1: has a file of another kind: image"),
    ],
)
def test_a_number_that_cannot_be_a_place_is_refused(fields, words):
    with pytest.raises(Problem, match=words):
        arranged([file("a"), file("b")], fields)


@pytest.mark.parametrize(
    ("given", "wait"),
    [
        ([], Wait(7)),
        (["wait=30"], Wait(30, "wait=30")),
        (["Wait = 30"], Wait(30, "wait=30")),
        (['wait="30"'], Wait(30, "wait=30")),
        (["respond-async, wait=10"], Wait(10, "wait=10", at_once=True)),
        (["respond-async"], ASYNC),
        (["respond-async", "handling=lenient"], ASYNC),
        (["wait=5", "wait=9"], Wait(5, "wait=5")),
        (["wait=5; foo=bar, wait=9"], Wait(5, "wait=5")),
        (['foo="a, wait=3", wait=4'], Wait(4, "wait=4")),
        (["wait=0"], Wait(0, "wait=0")),
        (["wait"], Wait(LONGEST_SECONDS, f"wait={LONGEST_SECONDS}")),
        (["wait=999999999"], Wait(LONGEST_SECONDS, f"wait={LONGEST_SECONDS}")),
        (["wait=soon"], Wait(7)),
        (["wait=-1"], Wait(7)),
        (["return=minimal"], Wait(7)),
        (["\x00,,;=wait=1"], Wait(7)),
    ],
)
def test_preferences_are_read_as_rfc_7240_writes_them(given, wait):
    assert wanted(given, 7) == wait


async def test_waiting_needs_no_more_than_the_right_to_create(door, until):
    creator, _ = await door.key(scopes=["video:create"])
    asked = asyncio.create_task(
        creator.post(PATH, json=FOX, headers={"prefer": "wait=1"})
    )
    answer = await asked
    assert answer.status_code == 202, answer.text
    reader, _ = await door.key(scopes=["task:read"])
    refused = await reader.post(PATH, json=FOX)
    assert (refused.status_code, refused.json()["type"]) == (403, "scope_missing")
    unknown = await door.nobody.post(PATH, json=FOX)
    assert unknown.status_code == 401


async def test_a_wait_that_breaks_off_gives_no_task_back(door):
    """The quota counts what was made, whatever becomes of the answer."""
    client, _ = await door.key(daily_quota=1)
    with pytest.raises(httpx.ReadTimeout):
        await client.post(PATH, json=FOX, headers={"prefer": "wait=30"}, timeout=0.5)
    again = await client.post(PATH, json=FOX)

    assert (again.status_code, again.json()["type"]) == (429, "quota_exceeded")


@pytest.mark.parametrize("path", [PATH, "/v1/images/generations"])
async def test_what_was_refused_or_made_before_is_not_counted(door, path):
    client, _ = await door.key(daily_quota=2)
    body = {"prompt": "a fox"}
    headers = {"prefer": "respond-async"}
    named = headers | {"idempotency-key": "one"}
    refused = await client.post(path, json={"prompt": ""})
    first = await client.post(path, json=body, headers=named)
    again = await client.post(path, json=body, headers=named)
    others = [await client.post(path, json=body, headers=headers) for _ in range(2)]

    assert refused.status_code in {200, 400}, refused.text
    assert first.status_code == again.status_code == 202, again.text
    assert again.headers["idempotency-replayed"] == "true"
    assert [each.status_code for each in others] == [202, 429]
