"""What a reference must be, and what the site's no to one means."""

from dataclasses import replace

import pytest

import fetch
from contracts.errors import ErrorCode
from contracts.tasks import UploadReferences
from contracts.values import FileRef, Job
from jimeng import BadAnswer, NoAnswer, Refused, Unreachable, UploadFailed, effect_of
from jimeng.answers import UNKNOWN_EFFECT
from media import Probed
from uploader import domain

URL = "https://files.example/a"
COMMAND = UploadReferences(task="t", attempt=2, session="s", files=())
PNG = Probed("image", "image/png", "png", "PNG", 10, 10)


MP4 = Probed("video", "video/mp4", "mp4", "AVC", 10, 10, 5000)
WAV = Probed("audio", "audio/wav", "wav", "PCM", duration_ms=3000)


def file(kind="image", size=5, url=""):
    return FileRef(
        key="t/a", name="a.png", kind=kind, mime="x", size=size, sha256="", url=url
    )


@pytest.mark.parametrize(
    ("ref", "size", "wrong"),
    [
        (file(), 5, None),
        (file(), 6, "a.png has 6 bytes, not 5"),
        (file("video"), 5, "a.png is of kind image, not video"),
        (file("video", 0, URL), 5, None),
    ],
)
def test_a_stored_file_is_what_was_accepted(ref, size, wrong):
    assert domain.mismatch(ref, size, PNG) == wrong


def test_images_go_first_and_kinds_keep_their_order():
    assert domain.order([WAV, PNG, MP4, PNG]) == [1, 3, 0, 2]
    assert domain.order([]) == []


def asked(prompt, *urls, **job):
    files = tuple(file(url=url) for url in urls)
    wanted = {"model": "jimeng-video-seedance-2.0", "duration": 4, "ratio": "9:16"}
    made = Job(prompt=prompt, files=files, **(wanted | job))
    return COMMAND.model_copy(update={"files": files, "job": made})


@pytest.mark.parametrize(
    ("command", "found", "wrong"),
    [
        (asked("@1 and @image_file_2", URL, URL), [PNG, PNG], None),
        (asked("@1 and @image_file_2", URL, URL), [PNG, MP4], "@image_file_2 refers"),
        (asked("@图1 with @2", URL, URL), [MP4, WAV], None),
        (asked("a", URL), [WAV], "need at least one image or video"),
        (asked("a", *[URL] * 4), [MP4] * 4, "takes 3 video files"),
        (asked("a", URL, URL), [MP4, replace(MP4, duration_ms=16_000)], "longer than"),
        (asked("a", URL, URL), [PNG, replace(WAV, duration_ms=500)], "not within"),
        (asked("a", URL, function_mode="first_frame"), [MP4], "the first frame"),
        (asked("@2", ""), [WAV], None),  # taken in with the task: checked then
        (COMMAND, [], None),
    ],
)
def test_what_was_fetched_is_held_against_the_job(command, found, wrong):
    told = domain.unfit(command, found)
    assert (told is None) is (wrong is None), told
    assert wrong is None or wrong in told


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (fetch.NotFoundError("no"), ErrorCode.REFERENCE_UNREACHABLE),
        (fetch.TroubleError("no"), ErrorCode.REFERENCE_UNREACHABLE),
        (fetch.ForbiddenURLError("no"), ErrorCode.REFERENCE_INVALID),
        (fetch.UselessError("no"), ErrorCode.REFERENCE_INVALID),
        (fetch.TooLargeError("no"), ErrorCode.REFERENCE_INVALID),
    ],
)
def test_a_url_without_a_file_has_a_code_of_its_own(error, code):
    assert domain.unfetched(COMMAND, error).code is code


def refused(code):
    return Refused(code, "no", effect_of(code) or UNKNOWN_EFFECT, '{"ret":"x"}')


@pytest.mark.parametrize(
    ("error", "code", "upstream_code"),
    [
        (refused("1015"), None, "1015"),
        (refused("1018"), None, "1018"),
        (refused("2003"), None, "2003"),
        (refused("4711"), ErrorCode.REFERENCE_REJECTED, "4711"),
        (UploadFailed("a", "b", temporary=False), ErrorCode.REFERENCE_REJECTED, None),
    ],
)
def test_a_no_fails_the_job_with_the_sites_code(error, code, upstream_code):
    event = domain.refused(COMMAND, error)
    assert (event.code, event.upstream_code) == (code, upstream_code)
    assert event.id == "t:2:uploader.failed:0"
    assert event.detail


@pytest.mark.parametrize(
    "error",
    [
        UploadFailed("a", "b"),
        Unreachable("no"),
        NoAnswer("no"),
        BadAnswer(502, "<html>"),
    ],
)
def test_what_may_work_later_is_no_failure(error):
    assert domain.refused(COMMAND, error) is None
