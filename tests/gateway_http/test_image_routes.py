"""`/v1/images/…`: what OpenAI's clients and the Jimeng family send, and get."""

import asyncio
import base64
import io
import json

import pytest
from PIL import Image

from contracts.errors import ErrorCode
from contracts.message import now
from contracts.tasks import TaskChanged
from gateway_http.parts import Patience

GENERATIONS, EDITS, COMPOSITIONS = (
    f"/v1/images/{name}" for name in ("generations", "edits", "compositions")
)
REQUEST, SERVER = "invalid_request_error", "server_error"
PICTURES = [bytes([n]) * (200_000 + n) for n in range(4)]


def png(colour="red"):
    body = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(body, "PNG")
    return body.getvalue()


class Maker:
    """Ends the tasks that are created, as the whole system does."""

    def __init__(self, gateway, scheduler):
        self.gateway, self.scheduler = gateway, scheduler
        self.answers = asyncio.Queue()

    @property
    def created(self):
        return self.scheduler.created

    async def next(self, until):
        """Return the next task that is created."""
        seen = len(self.created)
        await until(lambda: len(self.created) > seen)
        return self.created[seen]

    def stored(self, task):
        return tuple(
            self.gateway.store(f"{task}/result-{n}.jpg", body).model_copy(
                update={"index": n, "mime": "image/jpeg"}
            )
            for n, body in enumerate(PICTURES)
        )

    async def end(self, task, status="succeeded", **fields):
        """Let a task end, and say so."""
        if status == "succeeded":
            fields["results"] = self.stored(task)
        ended = self.scheduler.change(
            task, status=status, stage=None, revision=9, finished_at=now(), **fields
        )
        event = TaskChanged(
            task=task, what=status, revision=9, status=status, kind=ended.kind
        )
        await self.scheduler.bus.emit(event)


@pytest.fixture
def maker(gateway, scheduler):
    return Maker(gateway, scheduler)


@pytest.fixture
def ask(gateway, maker, until):
    """Ask for images; the task that comes of it ends as told."""

    async def ask(path=GENERATIONS, *, status="succeeded", headers=None, **sent):
        given = sent if "files" in sent or "data" in sent else {"json": sent}
        asking = asyncio.create_task(gateway.http.post(path, headers=headers, **given))
        seen = len(maker.created)
        ended = sent.pop("ended", {})
        await until(lambda: len(maker.created) > seen or asking.done())
        if not asking.done():
            await maker.end(maker.created[-1].task, status, **ended)
        return await asking

    return ask


async def test_four_images_come_when_the_task_has_ended(ask, maker, gateway):
    answer = await ask(prompt="a fox")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    (command,) = maker.created
    assert (command.kind, command.job.model) == ("image", "jimeng-5.0")
    assert (command.job.ratio, command.job.resolution) == ("1:1", "2k")
    assert body["task_id"] == command.task
    assert body["created"] == pytest.approx(now().timestamp(), abs=60)
    assert [each["revised_prompt"] for each in body["data"]] == ["a fox"] * 4
    for each, picture in zip(body["data"], PICTURES, strict=True):
        found = await gateway.http.get(each["url"])
        assert (found.content, found.headers["content-type"]) == (picture, "image/jpeg")


async def test_the_wait_is_not_spent_with_asking(ask, scheduler):
    assert (await ask(prompt="a fox")).status_code == 200
    reads = [each for each in scheduler.asked if type(each).__name__ == "ReadTask"]
    assert len(reads) <= 4


@pytest.mark.parametrize(
    ("sent", "shape"),
    [
        ({"size": "2560x1440"}, ("16:9", "2k")),
        ({"size": "768X1024"}, ("3:4", "1k")),
        ({"size": "auto"}, ("1:1", "2k")),
        ({"ratio": "21:9", "resolution": "4k"}, ("21:9", "4k")),
        ({"size": "1024x1024", "ratio": "9:16"}, ("9:16", "1k")),
    ],
)
async def test_a_size_stands_for_ratio_and_resolution(ask, maker, sent, shape):
    assert (await ask(prompt="a fox", **sent)).status_code == 200
    (command,) = maker.created
    assert (command.job.ratio, command.job.resolution) == shape


async def test_n_shows_fewer_and_what_means_nothing_here_is_let_be(ask, maker):
    sent = {"n": 2, "user": "u-1", "quality": "hd", "style": "vivid"}
    answer = await ask(prompt="a fox", **sent)
    assert len(answer.json()["data"]) == 2
    assert maker.created[0].metadata == {"user": "u-1"}


async def test_base64_is_the_very_file(ask):
    answer = await ask(prompt='a "fox" 狐', response_format="b64_json", n=3)
    assert answer.headers["content-type"] == "application/json"
    data = answer.json()["data"]
    assert [base64.b64decode(each["b64_json"]) for each in data] == PICTURES[:3]
    assert {each["revised_prompt"] for each in data} == {'a "fox" 狐'}


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({}, (400, "prompt", "missing_required_parameter")),
        ({"prompt": " "}, (400, "prompt", "invalid_value")),
        ({"size": "999x999"}, (400, "size", "invalid_size")),
        ({"size": "1x1x1"}, (400, "size", "invalid_size")),
        ({"model": "dall-e-3"}, (404, "model", "model_not_found")),
        ({"model": "seedance-2.0"}, (404, "model", "model_not_found")),
        ({"model": "dreamina_seedance_40"}, (404, "model", "model_not_found")),
        ({"n": 5}, (400, "n", "invalid_value")),
        ({"n": True}, (400, "n", "invalid_value")),
        ({"ratio": "5:4"}, (400, "ratio", "invalid_value")),
        ({"duration": 5}, (400, "duration", "invalid_value")),
        ({"stream": True}, (400, "stream", "unknown_parameter")),
        ({"image": "nothing"}, (400, "image", "invalid_value")),
        ({"response_format": "png"}, (400, "response_format", "invalid_value")),
    ],
    ids=str,
)
async def test_what_is_wrong_is_told_in_openais_words(gateway, scheduler, sent, told):
    sent = {"prompt": "x"} | sent if sent else {}
    answer = await gateway.http.post(GENERATIONS, json=sent)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == told
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert scheduler.created == []


async def test_the_24_sizes_are_told_to_who_asks_for_another(gateway):
    answer = await gateway.http.post(GENERATIONS, json={"prompt": "x", "size": "1x1"})
    message = answer.json()["error"]["message"]
    assert message.count("x") >= 24
    assert "6048x2592" in message


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("CONTENT_REFUSED", (400, REQUEST, "content_policy_violation")),
        ("REFERENCE_REJECTED", (400, REQUEST, "reference_rejected")),
        ("CREDITS_EXHAUSTED", (429, "rate_limit_error", "credits_exhausted")),
        ("LOGIN_EXPIRED", (503, SERVER, "login_expired")),
        ("ACCOUNT_REFUSED", (503, SERVER, "account_refused")),
        ("POLL_TIMEOUT", (504, SERVER, "poll_timeout")),
        ("GENERATION_FAILED", (500, SERVER, "generation_failed")),
        ("DOWNLOAD_FAILED", (500, SERVER, "download_failed")),
    ],
)
async def test_a_failed_task_is_told_with_what_failed(
    gateway, maker, until, code, told
):
    asking = asyncio.create_task(gateway.http.post(GENERATIONS, json={"prompt": "x"}))
    await until(lambda: maker.created)
    task = maker.created[0].task
    fields = {
        "error_code": ErrorCode[code],
        "error_message": "why",
        "upstream_code": "2038",
    }
    await maker.end(task, "failed", **fields)
    answer = await asking
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == told
    assert (error["message"], error["task_id"]) == ("why", task)
    assert error["upstream_code"] == "2038"
    assert answer.headers["x-should-retry"] == "false"


async def test_a_cancelled_task_is_told_as_such(ask):
    answer = await ask(prompt="x", status="cancelled")
    assert (answer.status_code, answer.json()["error"]["code"]) == (
        409,
        "task_cancelled",
    )


async def test_who_prefers_it_is_answered_at_once(gateway, scheduler, until):
    answer = await gateway.http.post(
        GENERATIONS, json={"prompt": "x"}, headers={"prefer": "respond-async"}
    )
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.headers["location"] == body["task"]["poll_url"]
    assert (body["data"], body["task"]["id"]) == ([], body["task_id"])
    await until(lambda: scheduler.tasks)
    found = await gateway.http.get(body["task"]["poll_url"])
    assert found.json()["task"]["kind"] == "image"


async def test_a_task_that_takes_longer_is_named_and_goes_on(
    scheduler, all_beat, run_gateway, until
):
    await all_beat()
    async with run_gateway(Patience(accept=2, check=2, wait=0.3)) as gateway:
        answer = await gateway.http.post(GENERATIONS, json={"prompt": "x"})
        assert answer.status_code == 504
        error = answer.json()["error"]
        assert (error["code"], error["type"]) == ("timeout", "server_error")
        assert answer.headers["x-should-retry"] == "false"
        found = await gateway.http.get(error["poll_url"])
        assert found.json()["task"]["id"] == error["task_id"]
        assert error["task_id"] in error["message"]


async def test_the_same_request_sent_again_waits_for_the_same_task(ask, maker, gateway):
    about = {"Idempotency-Key": "one"}
    first = await ask(prompt="x", headers=about)
    again = await gateway.http.post(GENERATIONS, json={"prompt": "x"}, headers=about)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len({each.task for each in maker.created}) == 1


async def test_who_hangs_up_is_not_waited_for(gateway, maker, until):
    body = json.dumps({"prompt": "x"}).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.app.port)
    host = f"127.0.0.1:{gateway.app.port}"
    head = f"POST {GENERATIONS} HTTP/1.1\r\nHost: {host}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await until(lambda: maker.created)

    def waiting():
        return [t for t in asyncio.all_tasks() if t.get_coro().__name__ == "ended"]

    await until(waiting)
    writer.close()
    await until(lambda: not waiting())


IMAGES_SENT = {
    "a URL": {"json": {"prompt": "x", "image": "https://a.example/a.png"}},
    "URLs": {"json": {"prompt": "x", "images": ["https://a.example/a.png"]}},
    "objects": {"json": {"prompt": "x", "images": [{"url": "https://a.example/a"}]}},
    "older names": {"json": {"prompt": "x", "file_paths": ["https://a.example/a"]}},
    "a data URI": {
        "json": {
            "prompt": "x",
            "image": "data:image/png;base64," + base64.b64encode(png()).decode(),
        }
    },
    "a part": {"data": {"prompt": "x"}, "files": [("image", ("a.png", png()))]},
    "parts": {"data": {"prompt": "x"}, "files": [("image[]", ("a.png", png()))]},
    "any name": {"data": {"prompt": "x"}, "files": [("image_file_1", ("a", png()))]},
    "a form's URL": {
        "data": {"prompt": "x"},
        "files": [("images", (None, "https://a.example/a.png"))],
    },
}


@pytest.mark.parametrize("sent", IMAGES_SENT.values(), ids=IMAGES_SENT)
async def test_images_come_in_every_form_that_clients_have(gateway, maker, until, sent):
    asking = asyncio.create_task(gateway.http.post(EDITS, **sent))
    await until(lambda: maker.created or asking.done())
    assert maker.created, asking.result().text
    (command,) = maker.created
    assert [file.kind for file in command.job.files] == ["image"]
    await maker.end(command.task)
    answer = await asking
    assert (answer.status_code, len(answer.json()["data"])) == (200, 4)


async def test_a_large_image_inside_json_is_the_very_file(gateway, maker, until):
    body = io.BytesIO()
    Image.effect_noise((900, 900), 90).save(body, "PNG")
    text = "data:image/png;base64," + base64.b64encode(body.getvalue()).decode()
    sent = {"prompt": "x", "images": [{"url": text}, text]}
    asking = asyncio.create_task(gateway.http.post(COMPOSITIONS, json=sent))
    await until(lambda: maker.created or asking.done())
    (command,) = maker.created
    assert {file.size for file in command.job.files} == {len(body.getvalue())}
    await maker.end(command.task)
    assert (await asking).status_code == 200


async def test_a_composition_tells_of_its_images(gateway, maker, until):
    files = [("images", ("a.png", png())), ("images", ("b.png", png("blue")))]
    fields = {"prompt": "x", "n": "1", "model": "jimeng-4.0"}
    sent = gateway.http.post(COMPOSITIONS, data=fields, files=files)
    asking = asyncio.create_task(sent)
    await until(lambda: maker.created or asking.done())
    await maker.end(maker.created[0].task)
    body = (await asking).json()
    assert (body["input_images"], len(body["data"])) == (2, 1)
    assert body["composition_type"] == "multi_image_synthesis"


@pytest.mark.parametrize("path", [EDITS, COMPOSITIONS])
async def test_an_edit_needs_an_image(gateway, path):
    answer = await gateway.http.post(path, json={"prompt": "x"})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "image")
    assert error["code"] == "missing_required_parameter"


async def test_what_is_no_image_is_refused_and_leaves_nothing(gateway, scheduler):
    files = [("image", ("a.png", b"<html>no</html>"))]
    answer = await gateway.http.post(EDITS, data={"prompt": "x"}, files=files)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "image")
    assert (gateway.files(), scheduler.created) == ([], [])


@pytest.mark.parametrize("count", [10, 11])
async def test_ten_images_are_the_most(gateway, scheduler, count):
    sent = {"prompt": "x", "images": [f"https://a.example/{n}" for n in range(count)]}
    headers = {"prefer": "respond-async"}
    answer = await gateway.http.post(COMPOSITIONS, json=sent, headers=headers)
    assert answer.status_code == (202 if count == 10 else 400)
