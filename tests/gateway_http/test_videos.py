"""The stored file: whole, in parts, unchanged, not there yet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.message import now
from contracts.requests import Task
from contracts.values import Job
from gateway_http.ranges import Slice, UnsatisfiableError, unchanged, wanted

FILM = bytes(range(256)) * 2_000  # more than one chunk of the store
SIZE = len(FILM)


@pytest.fixture
async def video(gateway, scheduler):
    """Give the path of a succeeded task's video, and its ETag."""
    result = gateway.store("done/result-0.mp4", FILM)
    job = Job(model="m", prompt="p", duration=4, ratio="9:16")
    for name, status in (("done", "succeeded"), ("busy", "polling"), ("bad", "failed")):
        scheduler.tasks[name] = Task(
            id=name,
            status=status,
            job=job,
            revision=1,
            created_at=now(),
            updated_at=now(),
            results=(result,) if status == "succeeded" else (),
        )
    return "/api/v1/tasks/done/video", f'"{result.sha256}"'


async def test_the_whole_file_comes_with_what_players_and_caches_need(gateway, video):
    path, etag = video
    answer = await gateway.http.get(path)
    head = await gateway.http.head(path)

    assert (answer.status_code, answer.content) == (200, FILM)
    assert answer.headers["etag"] == etag
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"] == 'inline; filename="done.mp4"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "etag", "content-type", "accept-ranges"):
        assert head.headers[name] == answer.headers[name]


RANGES = [
    ("bytes=0-0", 0, 1),
    ("bytes=0-", 0, SIZE),
    ("bytes=100-299999", 100, 300_000),
    (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
    ("bytes=-5", SIZE - 5, SIZE),
    (f"bytes=-{SIZE * 2}", 0, SIZE),
    (f"bytes=5-{SIZE * 2}", 5, SIZE),
    ("Bytes=1-2", 1, 3),
]


async def test_a_range_is_answered_with_206_and_exactly_these_bytes(gateway, video):
    for asked, start, stop in RANGES:
        answer = await gateway.http.get(video[0], headers={"range": asked})
        assert answer.status_code == 206, asked
        assert answer.content == FILM[start:stop]
        told = f"bytes {start}-{stop - 1}/{SIZE}"
        assert answer.headers["content-range"] == told
        head = await gateway.http.head(video[0], headers={"range": asked})
        assert head.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize(
    "asked", [f"bytes={SIZE}-", "bytes=-0", "bytes=" + "9" * 40 + "-"]
)
async def test_a_range_beyond_the_end_is_416_and_tells_the_size(gateway, video, asked):
    answer = await gateway.http.get(video[0], headers={"range": asked})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{SIZE}"
    assert answer.json()["type"] == "range_not_satisfiable"


@pytest.mark.parametrize(
    "asked",
    ["bytes=5-1", "bytes=", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,4-5", "x"],
)
def test_what_is_no_single_range_means_the_whole(asked):
    assert wanted({"range": asked}, SIZE, '"e"') is None


def test_a_range_of_another_version_means_the_whole():
    asked = {"range": "bytes=0-9"}
    assert wanted({**asked, "if-range": '"e"'}, SIZE, '"e"') == Slice(0, 10)
    assert wanted({**asked, "if-range": '"other"'}, SIZE, '"e"') is None
    date = {**asked, "if-range": "Sat, 01 Jan 2026 00:00:00 GMT"}
    assert wanted(date, SIZE, '"e"') is None


def test_no_range_of_an_empty_file_can_be_had():
    with pytest.raises(UnsatisfiableError):
        wanted({"range": "bytes=0-"}, 0, '"e"')


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (None, False),
        ('"e"', True),
        ('W/"e"', True),
        ('"a", "e"', True),
        ("*", True),
        ('"a"', False),
    ],
)
def test_a_known_version_is_recognised(given, same):
    assert unchanged({"if-none-match": given} if given else {}, '"e"') is same


async def test_a_known_version_is_not_sent_again(gateway, video):
    path, etag = video
    answer = await gateway.http.get(path, headers={"if-none-match": etag})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag


@pytest.mark.parametrize(("task", "status"), [("busy", "polling"), ("bad", "failed")])
async def test_a_video_that_is_not_there_is_409_with_the_status(
    gateway, video, task, status
):
    answer = await gateway.http.get(f"/api/v1/tasks/{task}/video")

    assert answer.status_code == 409
    assert answer.json()["task_status"] == status


async def test_a_file_that_was_removed_is_said_to_be_gone(gateway, video):
    (gateway.blobs / "done/result-0.mp4").unlink()

    assert (await gateway.http.get(video[0])).status_code == 410


async def test_a_result_that_does_not_exist_is_404(gateway, video):
    assert (await gateway.http.get(video[0] + "?index=1")).status_code == 404


@pytest.fixture
def poster(gateway, scheduler, video):
    """Give the done task a poster; return its path."""
    gateway.store("done/poster-0.jpg", b"\xff\xd8\xffpicture")
    (result,) = scheduler.tasks["done"].results
    with_poster = result.model_copy(update={"poster": "done/poster-0.jpg"})
    scheduler.change("done", results=(with_poster,))
    return "/api/v1/tasks/done/poster"


async def test_a_poster_is_served_and_named_by_its_task(gateway, poster):
    answer = await gateway.http.get(poster)
    again = await gateway.http.get(
        poster, headers={"if-none-match": answer.headers["etag"]}
    )
    task = (await gateway.http.get("/api/v1/tasks/done")).json()["task"]

    assert (answer.status_code, answer.content) == (200, b"\xff\xd8\xffpicture")
    assert answer.headers["content-type"] == "image/jpeg"
    assert again.status_code == 304
    assert task["poster_url"] == task["results"][0]["poster_url"]
    assert task["poster_url"] == gateway.url + poster


async def test_a_result_without_a_poster_says_so(gateway, scheduler, video, poster):
    gone = gateway.blobs / "done" / "poster-0.jpg"
    gone.unlink()
    (result,) = scheduler.tasks["done"].results
    answers = [await gateway.http.get(poster)]
    scheduler.change("done", results=(result.model_copy(update={"poster": None}),))
    answers.append(await gateway.http.get(poster))
    answers.append(await gateway.http.get("/api/v1/tasks/busy/poster"))
    task = (await gateway.http.get("/api/v1/tasks/done")).json()["task"]

    assert [a.status_code for a in answers] == [404] * 3
    assert [a.json()["type"] for a in answers] == ["no_poster"] * 3
    assert "no poster of this result" in answers[1].json()["detail"]
    assert task["poster_url"] is None


async def test_files_deleted_for_their_age_are_410_and_no_link_is_shown(
    gateway, scheduler, video, poster
):
    scheduler.change("done", files_deleted_at=now())
    answers = [await gateway.http.get(path) for path in (video[0], poster)]
    task = (await gateway.http.get("/api/v1/tasks/done")).json()["task"]

    for answer in answers:
        assert (answer.status_code, answer.json()["type"]) == (410, "files_deleted")
        assert "RETENTION_DAYS" in answer.json()["detail"]
    assert (task["video_url"], task["poster_url"], task["results"]) == (None, None, [])
    assert task["files_deleted_at"]


ends = st.integers(0, SIZE * 2) | st.just(10**30)


@given(
    asked=st.text(max_size=40)
    | st.builds("bytes={}-{}".format, ends, ends | st.just("")),
    size=st.integers(0, SIZE),
)
def test_whatever_range_is_asked_for_is_some_of_the_file_or_none(asked, size):
    try:
        part = wanted({"range": asked}, size, '"e"')
    except UnsatisfiableError:
        return
    if part:
        assert 0 <= part.start < part.stop <= size
