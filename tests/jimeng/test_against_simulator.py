"""The client against the simulated site, which checks every byte it is sent."""

import asyncio
import io
import json
import math
import struct
import wave
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from PIL import Image

from asgi_support import serving
from jimeng import (
    MODELS,
    Account,
    ErrorKind,
    Finished,
    Jimeng,
    Refused,
    Rejected,
    Running,
    SessionEffect,
    Unknown,
    UploadFailed,
    Upstream,
    draft,
    fit,
)
from simulator import DEMO_SESSIONS, Credits, Knobs, Settings, create_app, ffmpeg
from simulator.settings import Account as SiteAccount
from simulator.world import World

PLAIN = "jimeng-video-3.0"
LITE = "seedance-2.0-lite"  # takes references and needs no page
OPEN = Knobs(require_abogus=[])


class Visit:
    """A client, and the world it visits."""

    def __init__(self, client, world):
        self.client, self.world = client, world

    async def submit(self, materials=(), **fields):
        kinds = [each.kind for each in materials]
        job = fit(**{"prompt": "a cat", "model": PLAIN, "files": kinds} | fields)
        self.submit_id = submit_id = str(uuid4())
        submission = draft(
            job,
            materials,
            submit_id=submit_id,
            account=self.client.account,
            now=datetime.now(UTC),
            ids=lambda: str(uuid4()),
        )
        return submit_id, await self.client.submit(submission)

    async def outcome(self, submit_id):
        """What the site says once time has passed and the rendering is done."""
        job = self.world.jobs[
            self.world.by_submit[self.world.accounts[self.session].uid, submit_id]
        ]
        await self.world.studio.rendered(job)
        self.world.advance(60)
        await self.client.history([submit_id])  # success may come empty at first
        return (await self.client.history([submit_id]))[submit_id].outcome

    @property
    def session(self):
        return self.client.account.sessionid.get_secret_value()


@asynccontextmanager
async def visiting(folder, text=DEMO_SESSIONS[0], **fields):
    settings = Settings(data=folder, **fields)
    world = World(settings)
    async with (
        serving(create_app(settings, world)) as origin,
        Jimeng(Account.parse(text), Upstream(origin)) as client,
    ):
        yield Visit(client, world)


@pytest.fixture
async def visit(tmp_path):
    """A site that renders nothing."""
    async with visiting(tmp_path, renders=0) as visit:
        yield visit


def png(colour=(230, 20, 40)):
    out = io.BytesIO()
    Image.new("RGB", (640, 480), colour).save(out, "PNG")
    return out.getvalue()


def wav(seconds=3):
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        tone = (int(9000 * math.sin(n / 8)) for n in range(8000 * seconds))
        sound.writeframes(b"".join(struct.pack("<h", each) for each in tone))
    return out.getvalue()


@pytest.fixture(scope="module")
def mp4(tmp_path_factory):
    path = tmp_path_factory.mktemp("media") / "a.mp4"
    source = ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=24:duration=2"]
    coded = ["-pix_fmt", "yuv420p", "-c:v", "libx264", str(path)]
    asyncio.run(ffmpeg.run(ffmpeg.find(), "-v", "error", *source, *coded))
    return path


async def test_an_account_is_alive_and_has_credits(visit):
    live = await visit.client.live()
    assert live.alive
    assert live.user_id == visit.world.accounts[visit.session].uid
    assert (await visit.client.credits()).total == 10_000


async def test_an_international_account_is_known_by_its_credits(tmp_path):
    account = SiteAccount(sessionid="ab" * 16, uid="77", region="hk")
    text = "hk-" + "ab" * 16
    async with visiting(tmp_path, text, renders=0, accounts=[account]) as visit:
        assert (await visit.client.live()).alive
        assert (await visit.client.upload_image(png())).uri
        submit_id, accepted = await visit.submit()
        assert accepted.node.submit_id == submit_id


async def test_a_session_the_site_does_not_know_is_dead(tmp_path):
    async with visiting(tmp_path, "ab" * 16, renders=0) as visit:
        assert not (await visit.client.live()).alive
        with pytest.raises(Refused) as caught:
            await visit.client.credits()
    assert caught.value.effect.session is SessionEffect.EXPIRE


async def test_a_video_is_followed_from_submit_to_its_bytes(tmp_path):
    async with visiting(tmp_path) as visit:
        submit_id, accepted = await visit.submit(duration=5, ratio="16:9")
        assert accepted.node.submit_id == submit_id
        assert await visit.client.history([submit_id]) == {}
        visit.world.advance(1)
        nodes = await visit.client.history([submit_id, str(uuid4())])
        assert set(nodes) == {submit_id}
        progress = nodes[submit_id].outcome.progress
        assert progress.queue_position <= progress.queue_total
        assert progress.interval_seconds

        outcome = await visit.outcome(submit_id)
        assert isinstance(outcome, Finished)
        (item,) = outcome.items
        assert item.links[0].width
        assert item.links[0].duration_ms == pytest.approx(5000, abs=100)
        better = await visit.client.best_url(item.id)
        async with visit.client.stream(better) as response:
            best = await response.aread()
        async with visit.client.stream(item.links[0].url) as response:
            preview = await response.aread()
    assert best[4:8] == preview[4:8] == b"ftyp"
    assert len(best) > len(preview)


async def test_first_and_last_frame_are_taken(visit):
    first = await visit.client.upload_image(png(), name="a.png")
    last = await visit.client.upload_image(png((0, 0, 9)), name="b.png")
    assert (first.width, first.height, first.format) == (640, 480, "png")
    assert first.uri != last.uri
    for materials in ([first], [first, last]):
        submit_id, _ = await visit.submit(materials)
        visit.world.advance(5)
        node = (await visit.client.history([submit_id]))[submit_id]
        assert isinstance(node.outcome, Running)
        job = visit.world.jobs[node.history_id]
        assert [ref.key for ref in job.order.references] == [m.uri for m in materials]


async def test_image_video_and_audio_are_references(visit, mp4):
    image = await visit.client.upload_image(png())
    video = await visit.client.upload("video", mp4)
    audio = await visit.client.upload("audio", wav(), name="a.wav", duration_ms=3000)
    assert (video.width, video.height) == (320, 240)
    assert video.duration_ms == pytest.approx(2000, abs=100)
    assert audio.duration_ms == pytest.approx(3000, abs=100)
    prompt = "@1 dances like @video_file_1 to @audio_file_1"
    _, accepted = await visit.submit([image, video, audio], model=LITE, prompt=prompt)
    order = visit.world.jobs[accepted.history_id].order
    assert order.mode == "omni"
    assert order.prompt == "@1 dances like @2 to @3"


def names_of(kind):
    return sorted({model.name for model in MODELS.values() if model.kind == kind})


@asynccontextmanager
async def rich(folder, region):
    """An account that may order any number of jobs in a region."""
    account = SiteAccount(
        sessionid="ab" * 16,
        uid="77",
        region=region,
        concurrency=99,
        credits=Credits(vip=10**6),
    )
    text = ("" if region == "cn" else f"{region}-") + "ab" * 16
    fields = {"renders": 0, "knobs": OPEN, "accounts": [account]}
    async with visiting(folder, text, **fields) as visit:
        yield visit


@pytest.mark.parametrize("name", names_of("video"))
async def test_every_model_is_taken_with_every_resolution(tmp_path, name):
    model = MODELS[name]
    async with rich(tmp_path, model.regions[0]) as visit:
        frame = await visit.client.upload_image(png())
        for resolution in model.resolutions:
            submitted = [[frame] * n for n in range(model.frames + 1)]
            for materials in submitted:
                _, accepted = await visit.submit(
                    materials,
                    model=name,
                    resolution=resolution,
                    function_mode="first_last_frames",
                )
                order = visit.world.jobs[accepted.history_id].order
                assert (order.model, order.resolution) == (model.key, resolution)
            if model.omni:
                await visit.submit([frame], model=name, resolution=resolution)


@pytest.mark.parametrize("name", names_of("image"))
async def test_every_image_model_is_taken_in_every_size_of_its_own(tmp_path, name):
    model = MODELS[name]
    async with rich(tmp_path, model.regions[-1]) as visit:
        image = await visit.client.upload_image(png())
        for resolution in model.resolutions:
            for ratio in model.ratios:
                about = {"model": name, "resolution": resolution, "ratio": ratio}
                _, accepted = await visit.submit(**about)
                order = visit.world.jobs[accepted.history_id].order
                assert (order.kind, order.model) == ("image", model.key)
                assert (order.ratio, order.resolution) == (ratio, resolution)
        for many in {1, model.references} - {0} if model.references else ():
            _, accepted = await visit.submit([image] * many, model=name)
            order = visit.world.jobs[accepted.history_id].order
            assert (order.mode, len(order.references)) == ("blend", many)
            assert order.prompt == "a cat"


async def test_an_image_job_ends_with_a_link_to_each_picture(tmp_path):
    async with visiting(tmp_path) as visit:
        source = await visit.client.upload_image(png())
        asked = {"model": "jimeng-5.0", "resolution": "1k", "ratio": "16:9"}
        submit_id, _ = await visit.submit([source], **asked)
        running = await visit.client.history([submit_id], images=True)
        assert all(isinstance(n.outcome, Running) for n in running.values())
        outcome = await visit.outcome(submit_id)
        assert isinstance(outcome, Finished)
        sizes = []
        for item in outcome.items:
            async with visit.client.stream(item.links[0].url) as response:
                data = await response.aread()
            with Image.open(io.BytesIO(data)) as picture:
                sizes.append(picture.size)
        assert sizes == [(1024, 576)] * 4


async def test_of_a_job_whose_pictures_were_partly_refused_the_others_come(tmp_path):
    async with visiting(tmp_path, knobs=Knobs(instant=True)) as visit:
        asked = {"model": "jimeng-5.0", "resolution": "1k"}
        some, _ = await visit.submit(prompt="[[pictures:3]] a cat", **asked)
        none, _ = await visit.submit(prompt="[[pictures:0]] a cat", **asked)
        assert len((await visit.outcome(some)).items) == 3
        nothing = await visit.outcome(none)
        assert isinstance(nothing, Rejected)
        assert (nothing.code, nothing.effect.kind) == ("2039", ErrorKind.CONTENT_RISK)


async def test_a_video_among_the_references_is_billed_as_such(tmp_path, mp4):
    async with visiting(tmp_path, renders=0, knobs=OPEN) as visit:
        video = await visit.client.upload("video", mp4)
        for model in ("seedance-2.0", "seedance-2.0-fast", LITE):
            await visit.submit([video], model=model)


async def test_a_seedance_submit_outside_the_page_is_refused_and_cools(visit):
    with pytest.raises(Refused) as caught:
        await visit.submit(model="seedance-2.0")
    assert caught.value.code == "1019"
    assert caught.value.effect.session is SessionEffect.COOL


async def test_the_same_submission_twice_is_one_job(visit):
    job = fit(prompt="x", model=PLAIN)
    submission = draft(
        job,
        [],
        submit_id=str(uuid4()),
        account=visit.client.account,
        now=datetime.now(UTC),
        ids=lambda: str(uuid4()),
    )
    first = await visit.client.submit(submission)
    second = await visit.client.submit(submission)
    assert first.history_id == second.history_id


async def test_an_answer_lost_on_its_way_is_found_by_the_submit_id(visit):
    with pytest.raises(Unknown):
        await visit.submit(prompt="[[lost]] a cat")
    visit.world.advance(5)
    assert visit.submit_id in await visit.client.history([visit.submit_id])


async def test_a_submit_reset_before_the_site_acted_stays_absent(visit):
    with pytest.raises(Unknown):
        await visit.submit(prompt="[[reset]] a cat")
    visit.world.advance(60)
    assert visit.world.jobs == {}
    assert await visit.client.history([visit.submit_id]) == {}


@pytest.mark.parametrize(
    ("code", "session"),
    [("1006", "exhaust"), ("1018", "block"), ("4013", "cool"), ("1310", "lower")],
)
async def test_a_refusal_is_read(visit, code, session):
    with pytest.raises(Refused) as caught:
        await visit.submit(prompt=f"[[submit:{code}]] a cat")
    assert caught.value.code == code
    assert caught.value.effect.session.startswith(session)
    assert json.loads(caught.value.answer)["ret"] == code


@pytest.mark.parametrize("code", ["2038", "4011", "outputvideorisk"])
async def test_a_failed_video_says_why(visit, code):
    submit_id, _ = await visit.submit(prompt=f"[[fail:{code}]] a cat")
    outcome = await visit.outcome(submit_id)
    assert isinstance(outcome, Rejected)
    assert outcome.effect.kind is ErrorKind.CONTENT_RISK


async def test_a_file_that_is_no_image_fails(visit):
    with pytest.raises(UploadFailed):
        await visit.client.upload_image(b"no image", name="a.png")
    with pytest.raises(UploadFailed):
        await visit.client.upload_media("video", b"no video", name="a.mp4")
