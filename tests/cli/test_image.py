"""`jimeng image`, as a process, against a gateway that serves."""

import json
from hashlib import sha256

import pytest

from contracts.message import now
from contracts.values import ResultRef

PICTURES = [b"one " * 1000, b"two " * 1000]


@pytest.fixture
def succeed(tmp_path):
    """Give what makes a created task end with two pictures at once."""

    def change(task):
        results = []
        for index, body in enumerate(PICTURES):
            key = f"{task.id}/result-{index}.jpg"
            place = tmp_path / "data" / "blobs" / key
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(body)
            about = {"size": len(body), "sha256": sha256(body).hexdigest()}
            mime = ("image/jpeg", "image/webp")[index]
            results.append(ResultRef(index=index, key=key, mime=mime, **about))
        done = {"status": "succeeded", "finished_at": now()}
        return task.model_copy(update=done | {"results": tuple(results)})

    return change


async def test_the_pictures_lie_in_the_folder_and_their_names_are_printed(
    jimeng, scheduler, succeed, tmp_path
):
    scheduler.on_create = succeed
    options = ["--ratio", "16:9", "--resolution", "1k", "-o", "foxes"]
    ended = await jimeng("image", "a fox", *options)
    assert ended.status == 0, ended.err
    (command,) = scheduler.created
    assert (command.kind, command.job.model) == ("image", "jimeng-5.0")
    names = [f"foxes/{command.task}-{end}" for end in ("0.jpg", "1.webp")]
    assert ended.out.split() == names
    assert [(tmp_path / name).read_bytes() for name in names] == PICTURES
    assert "jimeng-5.0, 1k, 16:9" in ended.err


async def test_as_json_it_prints_the_task_and_its_files(jimeng, scheduler, succeed):
    scheduler.on_create = succeed
    ended = await jimeng("image", "a fox", "--json")
    told = json.loads(ended.out)
    assert (told["kind"], told["duration"]) == ("image", None)
    assert told["saved"] == [f"{told['id']}-0.jpg", f"{told['id']}-1.webp"]


async def test_what_is_asked_wrongly_buys_nothing(jimeng, scheduler, tmp_path):
    (tmp_path / "taken").write_text("a file")
    for options in (["-o", "taken"], ["-o", "no/such/folder"], ["--model", "seed"]):
        ended = await jimeng("image", "a fox", *options)
        assert ended.status in {1, 2}, ended.err
    ended = await jimeng("image", "a fox", "--resolution", "720p")
    assert "jimeng-5.0 allows 1k, 2k, 4k" in ended.err
    assert scheduler.created == []


async def test_an_image_task_is_shown_and_saved_later(
    jimeng, scheduler, succeed, tmp_path
):
    scheduler.on_create = succeed
    await jimeng("image", "a fox")
    task = scheduler.created[0].task
    shown = await jimeng("task", task)
    assert shown.out.count("Image:") == 2
    assert "Video:" not in shown.out
    (tmp_path / "later").mkdir()
    saved = await jimeng("task", task, "-o", "later")
    assert saved.status == 0, saved.err
    assert len(list((tmp_path / "later").iterdir())) == 2
