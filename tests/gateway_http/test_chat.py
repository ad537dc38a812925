"""`/v1/chat/completions`: videos and images from a chat client."""

import asyncio
import base64
import io
import json

import pytest
from PIL import Image

from contracts.errors import ErrorCode
from gateway_http.family.chat import progress
from gateway_http.watching import with_silences

PATH = "/v1/chat/completions"
MODEL = "jimeng-video-3.0"


def said(content, model=MODEL, **more):
    before = {"role": "assistant", "content": "what shall I make?"}
    last = {"role": "user", "content": content}
    return {"model": model, "messages": [before, last], **more}


def picture():
    body = io.BytesIO()
    Image.new("RGB", (320, 320), "orange").save(body, "PNG")
    return "data:image/png;base64," + base64.b64encode(body.getvalue()).decode()


@pytest.fixture
def ask(gateway, scheduler, until):
    """Post a completion; give its task, and the answer to come."""

    async def post(body):
        before = len(scheduler.created)
        asked = asyncio.create_task(gateway.http.post(PATH, json=body))
        await until(lambda: asked.done() or len(scheduler.created) > before)
        if asked.done():
            raise AssertionError(asked.result().text)
        await until(lambda: scheduler.created[-1].task in scheduler.tasks)
        return scheduler.created[-1], asked

    return post


async def test_the_last_message_becomes_a_video(gateway, site, ask):
    made, asked = await ask(said("a fox in the snow", ratio="16:9", duration=10))
    await site.finish(made.task)
    answer = await asked

    body = answer.json()
    assert (answer.status_code, body["object"]) == (200, "chat.completion")
    assert (body["id"], body["model"]) == (f"chatcmpl-{made.task}", MODEL)
    [choice] = body["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    link = choice["message"]["content"].removeprefix("![video](").removesuffix(")\n")
    assert (await gateway.http.get(link)).is_success
    job = made.job
    assert (job.prompt, job.ratio, job.duration) == ("a fox in the snow", "16:9", 10)


async def test_a_model_of_images_makes_images_of_the_size_in_its_name(site, ask):
    made, asked = await ask(said("a fox", "jimeng-4.5:2560x1440"))
    assert (made.kind, made.job.ratio, made.job.resolution) == ("image", "16:9", "2k")
    await site.finish(made.task, "image/png")
    content = (await asked).json()["choices"][0]["message"]["content"]

    assert content.splitlines()[0].startswith("![image_0](http://")
    assert content.splitlines()[1].startswith("![image_1](http://")


async def test_pictures_of_the_message_are_references(ask, site):
    parts = [
        {"type": "text", "text": "@1 runs"},
        {"type": "image_url", "image_url": {"url": picture()}},
        {"type": "image_url", "image_url": "https://files.example/snow.png"},
        {"type": "text", "text": "into @2"},
    ]
    made, asked = await ask(said(parts, "jimeng-video-seedance-2.0"))
    await site.finish(made.task)
    await asked

    assert made.job.prompt == "@1 runs\ninto @2"
    assert [(f.width, f.name) for f in made.job.files][1] == (None, "snow.png")
    assert made.job.files[0].width == 320


async def test_a_failure_is_what_the_assistant_says(site, ask):
    made, asked = await ask(said("a fox"))
    await site.fail(made.task, ErrorCode.CONTENT_REFUSED, "not allowed")
    answer = await asked

    content = answer.json()["choices"][0]["message"]["content"]
    assert answer.status_code == 200
    assert content.startswith("生成视频失败: ")
    assert "not allowed (2038)" in content


async def test_a_stream_tells_how_far_it_is_and_ends_with_the_video(
    gateway, site, scheduler, until
):
    chunks = []
    body = said("a fox", stream=True)
    async with gateway.http.stream("POST", PATH, json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()

        async def upto(text):
            async for line in lines:
                if line:
                    chunks.append(line.removeprefix("data: "))
                if text in line:
                    return

        await upto(json.dumps("🎬")[1:-1])
        await until(lambda: scheduler.created)
        task = scheduler.created[0].task
        await until(lambda: task in scheduler.tasks)
        queue = {"queue_position": 7, "queue_total": 90, "queue_eta_seconds": 200}
        await site.change(task, status="polling", stage="upstream_queue", **queue)
        await upto("7/90")
        await site.finish(task)
        await upto("[DONE]")

    *told, stop, done = chunks
    told = [json.loads(each)["choices"][0] for each in told]
    contents = [each["delta"]["content"] for each in told]
    assert {each["finish_reason"] for each in told} == {None}
    assert any("7/90" in each and "3m20s" in each for each in contents)
    assert contents[-1].startswith("![video](")
    assert json.loads(stop)["choices"][0] == {
        "index": 0,
        "delta": {},
        "finish_reason": "stop",
    }
    assert done == "[DONE]"


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"model": MODEL}, -2000, "messages"),
        ({"model": MODEL, "messages": []}, -2000, "messages"),
        (said(None), -2000, "messages"),
        (said([7]), -2000, "messages"),
        (said([{"type": {}}]), -2000, "prompt"),
        (said(""), -2000, "prompt"),
        (said("x", "gpt-5"), -2000, "unknown model"),
        (said("x", "jimeng-4.5:1x1"), -2000, "size"),
        (said("x", stream="perhaps"), -2000, "stream"),
    ],
)
async def test_what_is_no_wish_is_refused(gateway, scheduler, body, code, words):
    answer = await gateway.http.post(PATH, json=body)

    assert (answer.status_code, answer.json()["code"]) == (200, code), answer.text
    assert words in answer.json()["message"]
    assert scheduler.created == []


async def test_who_does_not_wait_is_told_which_task_goes_on(gateway, scheduler, until):
    headers = {"prefer": "respond-async"}
    answer = await gateway.http.post(PATH, json=said("a fox"), headers=headers)
    await until(lambda: scheduler.created)

    content = answer.json()["choices"][0]["message"]["content"]
    assert f"GET /api/v1/tasks/{scheduler.created[0].task}" in content


async def test_a_silence_is_told_and_loses_nothing():
    go = asyncio.Event()

    async def tell():
        yield 1
        await go.wait()
        yield 2

    found = []
    async for each in with_silences(tell(), 0.01):
        found.append(each)
        if each is None:
            go.set()
    assert [each for each in found if each] == [1, 2]
    assert None in found


def test_where_a_task_stands_is_said_only_where_there_is_something_to_say():
    class Task:
        status, stage, queue_position = "polling", "upstream_queue", None

    assert progress(Task) == ""
    Task.stage = "generating"
    assert progress(Task)
    Task.status = "queued"
    assert progress(Task) == ""
