"""What a reference must be, and what the site's no to one means."""

import pytest

from contracts.errors import ErrorCode
from contracts.tasks import FileRef, UploadReferences
from jimeng import BadAnswer, NoAnswer, Refused, Unreachable, UploadFailed, effect_of
from jimeng.answers import UNKNOWN_EFFECT
from media import Probed
from uploader import domain

COMMAND = UploadReferences(task="t", attempt=2, session="s", files=())
PNG = Probed("image", "image/png", "png", "PNG", 10, 10)


def file(kind="image", size=5):
    return FileRef(key="t/a", name="a.png", kind=kind, mime="x", size=size, sha256="")


@pytest.mark.parametrize(
    ("ref", "size", "wrong"),
    [
        (file(), 5, None),
        (file(), 6, "a.png has 6 bytes, not 5"),
        (file("video"), 5, "a.png is of kind image, not video"),
    ],
)
def test_a_stored_file_is_what_was_accepted(ref, size, wrong):
    assert domain.mismatch(ref, size, PNG) == wrong


def test_images_go_first_and_kinds_keep_their_order():
    kinds = ("audio", "image", "video", "image")
    assert domain.order(tuple(map(file, kinds))) == [1, 3, 0, 2]
    assert domain.order(()) == []


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
