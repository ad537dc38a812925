"""The uploader against the simulated site: all references of a job, or none."""

import io
import wave
from hashlib import sha256

import pytest
from PIL import Image

from blobs import open_store
from contracts.errors import ErrorCode
from contracts.tasks import Uploaded, UploadFailed, UploadReferences
from contracts.values import FileRef, Job
from fetch_support import PUBLIC, FakeNetwork, answering
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


def bomb():
    """Make a picture of a few KB that has 49 megapixels."""
    out = io.BytesIO()
    Image.new("1", (7000, 7000)).save(out, "PNG")
    return out.getvalue()


def served(content, *headers, status=200, told=None):
    """Answer with a file, as a stranger's server does."""
    lines = [f"HTTP/1.1 {status} x", *headers]
    if not any("length" in each.lower() for each in headers):
        lines.append(f"Content-Length: {told or len(content)}")
    return answering("\r\n".join([*lines, "\r\n"]).encode() + content)


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
def network():
    """Give the internet of a test: one host, whose answer is the test's to set."""
    return FakeNetwork({"inside.example": ["10.0.0.1"]})


@pytest.fixture
async def uploader(nats, scheduler, site, tmp_path, network):
    settings = read_settings(Settings, nats, tmp_path, jimeng_upstream=site.origin)
    async with running(create_app(settings, network)) as app:
        yield app


def linked(name="moon.png", url="https://files.example/moon.png?sig=SECRET"):
    """Name a reference by its URL, as the gateway does."""
    key = f"{TASK}/{name}"
    return FileRef(
        key=key, name=name, kind="image", mime="", size=0, sha256="", url=url
    )


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


def job(*files, prompt="@1 and @2"):
    model = "jimeng-video-seedance-2.0"
    return Job(model=model, prompt=prompt, duration=4, ratio="9:16", files=files)


async def test_a_url_keeps_its_place_and_is_what_its_bytes_are(
    uploader, scheduler, network, given, store
):
    network.script = served(wav(), "Content-Type: image/png")
    files = await given("a.png", png()), linked("x"), await given("b.png", png("blue"))
    command = upload(*files).model_copy(update={"job": job(*files)})
    event = await scheduler.wants(command)
    assert isinstance(event, Uploaded)
    assert [each["kind"] for each in event.materials] == ["image", "audio", "image"]
    assert event.materials[1]["duration_ms"] == 3000
    # Another attempt needs the URL no more.
    again = command.model_copy(update={"attempt": 2})
    assert isinstance(await scheduler.wants(again), Uploaded)
    assert network.dialled == [(PUBLIC, 443)]
    assert await store.exists(f"{TASK}/x")


@pytest.mark.parametrize(
    "case",
    [
        ("http://127.0.0.1/", None, "invalid", "not public"),
        ("http://inside.example/", None, "invalid", "not public"),
        ("http://files.example:22/", None, "invalid", "only port 80"),
        ("http://gone.example/", None, "unreachable", "no such host"),
        (None, served(b"", status=404), "unreachable", "answers 404"),
        (None, served(b"<html>sign in</html>"), "invalid", "not a file the site takes"),
        (None, served(png(), "Content-Encoding: gzip"), "invalid", "compressed"),
        (None, served(b"", "Content-Length: 999999999"), "invalid", "than 200 MiB"),
        (None, served(bomb()), "invalid", "more than 40 megapixels"),
        (None, served(png()[:-40]), "invalid", "damaged png"),
        (None, served(wav()), "invalid", "at least one image or video"),
    ],
)
async def test_one_url_that_gives_no_reference_fails_the_whole_job_at_once(
    uploader, scheduler, network, store, case
):
    url, network.script, code, words = case
    file = linked(url=url) if url else linked()
    command = upload(file).model_copy(update={"job": job(file, prompt="@1")})
    event = await scheduler.wants(command)
    assert isinstance(event, UploadFailed)
    assert event.code == f"reference_{code}"
    assert words in event.detail
    assert event.detail.startswith("moon.png: ") or "references are" in event.detail
    assert "SECRET" not in event.detail
    assert len(network.dialled) == (url is None)
    assert await store.keys(TASK) == ([file.key] if "at least" in words else [])


async def test_a_url_in_trouble_is_tried_again(uploader, scheduler, network):
    answers = iter([served(b"", status=503), served(png()[:50], told=900)])

    async def script(request):
        async for piece in next(answers, served(png()))(request):
            yield piece

    network.script = script
    assert isinstance(await scheduler.wants(upload(linked())), Uploaded)
    assert len(network.dialled) == 3


async def test_a_url_that_stays_in_trouble_fails_the_job(
    nats, scheduler, network, tmp_path
):
    network.script = served(b"", status=503)
    settings = read_settings(Settings, nats, tmp_path, reference_patience_secs=0.4)
    async with running(create_app(settings, network)):
        event = await scheduler.wants(upload(linked()))
    assert isinstance(event, UploadFailed)
    assert event.code is ErrorCode.REFERENCE_UNREACHABLE
    assert "answers 503" in event.detail
    assert len(network.dialled) == 2
    assert await scheduler.dead() == 0


def test_another_store_than_a_folder_is_refused_by_name(nats, tmp_path):
    settings = read_settings(Settings, nats, tmp_path, storage_url="s3:bucket")
    with pytest.raises(SettingsError, match="STORAGE_URL: must be file:"):
        create_app(settings)
