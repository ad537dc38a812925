"""The uploader against the simulated site: all references of a job, or none."""

import io
import wave
from hashlib import sha256

import pytest
from PIL import Image

from blobs import open_store
from contracts.errors import ErrorCode
from contracts.tasks import FileRef, Uploaded, UploadFailed, UploadReferences
from runtime.settings import SettingsError
from uploader.app import create_app
from uploader.settings import Settings
from workers_support import read_settings, running

TASK = "0190a000"


def png(colour="red"):
    out = io.BytesIO()
    Image.new("RGB", (320, 240), colour).save(out, "PNG")
    return out.getvalue()


def wav(seconds=3):
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000 * seconds))
    return out.getvalue()


@pytest.fixture
def store(tmp_path):
    return open_store(f"file:{tmp_path / 'data' / 'blobs'}")


@pytest.fixture
def given(store):
    """Store a reference as the gateway does; return what it knows of it."""

    async def give(name, data, kind="image", **more):
        async def chunks():
            yield data

        key = f"{TASK}/{name}"
        await store.put(key, chunks())
        known = {"size": len(data), "sha256": sha256(data).hexdigest()}
        known |= {"key": key, "name": name, "kind": kind, "mime": "x"}
        return FileRef(**(known | more))

    return give


def upload(*files, session="one"):
    return UploadReferences(task=TASK, attempt=1, session=session, files=files)


@pytest.fixture
async def uploader(nats, scheduler, site, tmp_path):
    settings = read_settings(Settings, nats, tmp_path, jimeng_upstream=site.origin)
    async with running(create_app(settings)) as app:
        yield app


async def test_references_are_told_in_the_order_of_the_files(
    uploader, scheduler, site, given
):
    sound = await given("a.wav", wav(), "audio")
    first, last = await given("b.png", png()), await given("c.png", png("blue"))
    event = await scheduler.wants(upload(sound, first, last))
    assert isinstance(event, Uploaded)
    kinds = [(each["kind"], each["name"]) for each in event.materials]
    assert kinds == [("audio", "a.wav"), ("image", "b.png"), ("image", "c.png")]
    assert event.materials[0]["vid"]
    assert event.materials[0]["duration_ms"] == 3000
    assert event.materials[1]["uri"] != event.materials[2]["uri"]
    assert event.materials[1]["width"] == 320
    paths = [n.path for n in site.world.traffic.recent if n.kind == "upload"]
    assert "v-" in paths[2]  # the sound came last


async def test_one_refused_reference_fails_the_whole_job(
    uploader, scheduler, site, given
):
    files = [await given(f"{n}.png", png()) for n in range(3)]
    wrong = await given("x.png", b"<html>no picture</html>")
    event = await scheduler.wants(upload(*files, wrong))
    assert isinstance(event, UploadFailed)
    assert event.code is ErrorCode.REFERENCE_INVALID
    assert event.detail.startswith("x.png: ")
    assert site.seen("upload") == 0


async def test_a_reference_that_is_gone_or_changed_fails_the_job(
    uploader, scheduler, given, store
):
    gone = await given("gone.png", png())
    await store.delete(gone.key)
    changed = await given("changed.png", png(), size=7)
    for file in (gone, changed):
        event = await scheduler.wants(upload(file))
        assert isinstance(event, UploadFailed)
        assert event.code is ErrorCode.REFERENCE_INVALID
        assert file.name in event.detail


@pytest.mark.parametrize("ret", ["1015", "1018"])
async def test_a_refused_account_is_told_by_the_sites_code(
    uploader, scheduler, site, given, ret
):
    site.fault("upload_token", "ret", ret=ret)
    event = await scheduler.wants(upload(await given("a.png", png())))
    assert isinstance(event, UploadFailed)
    assert (event.upstream_code, event.code) == (ret, None)
    assert ret in event.answer


async def test_a_site_in_trouble_is_tried_again(uploader, scheduler, site, given):
    site.fault("upload_token", "html_502", times=1)
    event = await scheduler.wants(upload(await given("a.png", png())))
    assert isinstance(event, Uploaded)
    assert site.seen("upload_token") == 2


async def test_a_removed_session_sends_the_job_elsewhere(uploader, scheduler, given):
    event = await scheduler.wants(upload(await given("a.png", png()), session="gone"))
    assert isinstance(event, UploadFailed)
    assert event.code is ErrorCode.SITE_UNREACHABLE


def test_another_store_than_a_folder_is_refused_by_name(nats, tmp_path):
    settings = read_settings(Settings, nats, tmp_path, storage_url="s3:bucket")
    with pytest.raises(SettingsError, match="STORAGE_URL: must be file:"):
        create_app(settings)
