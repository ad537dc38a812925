"""Image tasks over `/api/v1/tasks`: what may be asked for, and what comes back."""

import io

import pytest
from PIL import Image

from access_support import WISH
from contracts.message import now
from contracts.requests import Task
from contracts.values import Job


def png(colour="red"):
    body = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(body, "PNG")
    return body.getvalue()


async def post(gateway, **fields):
    return await gateway.http.post("/api/v1/tasks", json={"prompt": "a fox", **fields})


async def test_an_image_model_makes_an_image_task(gateway, scheduler, until):
    answer = await post(gateway, model="jimeng-5.0", ratio="16:9")
    assert answer.status_code == 201, answer.text
    task = answer.json()["task"]
    assert (task["kind"], task["duration"], task["resolution"]) == ("image", None, "2k")
    assert (task["ratio"], task["video_url"]) == ("16:9", None)
    await until(lambda: scheduler.created)
    (created,) = scheduler.created
    assert (created.kind, created.job.duration) == ("image", 0)


async def test_a_name_that_begins_like_an_image_models_makes_a_video(
    gateway, scheduler, until
):
    await post(gateway, model="jimeng-video-3.0", duration=5)
    await post(gateway)
    await until(lambda: len(scheduler.created) == 2)
    assert {each.kind for each in scheduler.created} == {"video"}


async def test_images_may_start_from_images(gateway, scheduler, until):
    files = [("files", ("a.png", png(), "image/png")) for _ in range(2)]
    fields = {"prompt": "a fox", "model": "jimeng-4.0"}
    answer = await gateway.http.post("/api/v1/tasks", data=fields, files=files)
    assert answer.status_code == 201, answer.text
    await until(lambda: scheduler.created)
    (created,) = scheduler.created
    assert [file.kind for file in created.job.files] == ["image", "image"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"duration": 5}, "duration"),
        ({"resolution": "720p"}, "resolution"),
        ({"ratio": "5:4"}, "ratio"),
        ({"function_mode": "omni_reference"}, "function_mode"),
        ({"model": "jimeng-9"}, "model"),
        ({"model": "jimeng-2.1", "files": ["https://a.example/a.png"]}, "files"),
        ({"files": ["https://a.example/a.mp4"]}, "files"),
    ],
)
async def test_what_an_image_model_does_not_take_is_named(gateway, fields, field):
    answer = await post(gateway, **{"model": "jimeng-5.0"} | fields)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/{field}"


@pytest.fixture
async def done(gateway, scheduler):
    """A succeeded image task of two pictures, of two types."""
    kept = [
        gateway.store("t/result-0.jpg", b"jpeg").model_copy(
            update={"mime": "image/jpeg", "width": 1024, "height": 576}
        ),
        gateway.store("t/result-1.webp", b"webp").model_copy(
            update={"mime": "image/webp", "index": 1}
        ),
    ]
    job = Job(model="jimeng-5.0", prompt="p", duration=0, ratio="16:9")
    scheduler.tasks["t"] = Task(
        id="t",
        kind="image",
        status="succeeded",
        job=job,
        revision=1,
        created_at=now(),
        updated_at=now(),
        results=tuple(kept),
    )
    return (await gateway.http.get("/api/v1/tasks/t")).json()["task"]


async def test_every_picture_has_a_url_of_its_own_and_there_is_no_video(gateway, done):
    assert (done["video_url"], done["poster_url"]) == (None, None)
    assert [r["mime"] for r in done["results"]] == ["image/jpeg", "image/webp"]
    assert [r["index"] for r in done["results"]] == [0, 1]
    for result, body, name in zip(
        done["results"], (b"jpeg", b"webp"), ("t.jpg", "t-1.webp"), strict=True
    ):
        answer = await gateway.http.get(result["url"])
        assert (answer.status_code, answer.content) == (200, body)
        assert answer.headers["content-type"] == result["mime"]
        assert f'filename="{name}"' in answer.headers["content-disposition"]
        assert "img-src 'self'" in answer.headers["content-security-policy"]


async def test_a_retry_with_another_kind_of_model_keeps_no_shape(
    gateway, scheduler, done
):
    path = "/api/v1/tasks/t/retry"
    answer = await gateway.http.post(path, json={"model": "jimeng-video-3.0"})
    assert answer.status_code == 201, answer.text
    video = scheduler.asked[-1].job
    assert (video.duration, video.ratio, video.resolution) == (5, "9:16", "720p")
    answer = await gateway.http.post(path, json={"model": "jimeng-4.0"})
    assert answer.status_code == 201, answer.text
    assert scheduler.asked[-1].job.ratio == "16:9"


async def test_images_and_videos_need_scopes_of_their_own(door):
    wishes = {"video:create": WISH, "image:create": WISH | {"model": "jimeng-5.0"}}
    for scope in wishes:
        client, _ = await door.key(scopes=[scope])
        for needed, wish in wishes.items():
            answer = await client.post("/api/v1/tasks", json=wish)
            assert answer.status_code == (201 if needed == scope else 403), answer.text
            if needed != scope:
                assert answer.json()["scope"] == needed
