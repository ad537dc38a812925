"""The files: real MP4s that show what was ordered, behind links that expire."""

import base64
import io
import json
import subprocess

import pytest
from PIL import Image, ImageDraw

from simulator import DEMO_SESSIONS, Settings, canvas
from simulator.ffmpeg import probe
from simulator.records import Order

RED, GREEN = (230, 20, 40), (16, 192, 32)


def frame(ffmpeg, film, second):
    """One frame of a film, decoded by ffmpeg."""
    command = [ffmpeg, "-v", "error", "-ss", str(second), "-i", str(film)]
    command += ["-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-"]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return Image.open(io.BytesIO(out)).convert("RGB")


def pixels_near(picture, colour, reach=40):
    counts = picture.getcolors(picture.width * picture.height)
    return sum(
        count
        for count, seen in counts
        if all(abs(a - b) < reach for a, b in zip(seen, colour, strict=True))
    )


async def film(studio, body, path):
    node = await studio.finished(body)
    item = node["item_list"][0]["common_attr"]["id"]
    body = {"item_id_list": [item]}
    answer = await studio.post("/mweb/v1/get_local_item_list", body)
    best = answer["data"]["item_list"][0]["video"]["transcoded_video"]["origin"]
    path.write_bytes((await studio.http.get(best["video_url"])).content)
    return node, best


async def test_a_film_has_the_size_the_length_and_the_form_ordered(
    studio, kit, ffmpeg, tmp_path
):
    path = tmp_path / "film.mp4"
    body = kit.body_of(kit.text_input("一只猫 a cat"), ratio="9:16")
    node, best = await film(studio, body, path)
    found = await probe(ffmpeg, path)
    video = node["item_list"][0]["video"]
    data = path.read_bytes()
    assert found["duration"] == pytest.approx(5.0, abs=0.1)
    assert (found["width"], found["height"], found["fps"]) == (720, 1280, 24)
    assert (found["codec"], found["audio"]) == ("h264", False)
    assert data.index(b"moov") < data.index(b"mdat")
    assert best["size"] == len(data)
    assert best["size"] > 1.5 * video["transcoded_video"]["origin"]["size"]
    assert (video["duration"], video["duration_ms"]) == (6, 5000)
    assert video["transcoded_video"]["origin"]["duration"] == 0
    model = json.loads(video["video_model"])["video_list"]["video_1"]
    url = base64.b64decode(model["main_url"]).decode()
    assert url == video["transcoded_video"]["origin"]["video_url"]


@pytest.fixture
async def references(studio, kit, clip, sound):
    """A red image, a green video and a sound, uploaded."""
    image = await studio.upload_image(kit.png(RED))
    answers = [await studio.upload_media(data) for data in (clip, sound)]
    vids = [answer["Result"]["Results"][0]["Vid"] for answer in answers]
    video = kit.material("video", vids[0], 1000)
    return [kit.material("image", image), video, kit.material("audio", vids[1])]


async def test_a_film_moves_and_shows_the_prompt_and_the_references(
    studio, kit, ffmpeg, references, tmp_path
):
    studio.world.knobs.require_abogus = []
    metas = [kit.meta("image", 0), kit.meta("text", " 跳舞 dances")]
    wanted = kit.omni_input(references, metas, duration_ms=4000)
    fields = kit.OMNI | {"benefit": "dreamina_seedance_20_fast_with_video"}
    path = tmp_path / "film.mp4"
    await film(studio, kit.body_of(wanted, **fields), path)
    early, late = frame(ffmpeg, path, 0.5), frame(ffmpeg, path, 3)
    assert pixels_near(early, RED) > 5_000
    assert pixels_near(early, GREEN) > 5_000
    assert pixels_near(early, (255, 255, 255)) > 1_000
    assert early.tobytes() != late.tobytes()
    assert (await probe(ffmpeg, path))["audio"]


def drawn(text):
    picture = Image.new("RGB", (80, 80))
    canvas.write(ImageDraw.Draw(picture), (10, 10), text, 48)
    return picture


def test_chinese_is_drawn_in_glyphs_of_its_own_not_in_boxes():
    missing = drawn("\ue000").tobytes()  # private use: no font has it
    text = "猫狗跳舞月光下海边的龙かなé“”，。"  # noqa: RUF001
    pictures = {drawn(char).tobytes() for char in text}
    assert len(pictures) == len(text)
    assert missing not in pictures
    assert drawn(" ").getbbox() is None
    assert all(drawn(char).getbbox() for char in text)


def test_two_prompts_give_two_pictures_of_the_right_size():
    def of(prompt):
        return Order(
            kind="video",
            model="m",
            prompt=prompt,
            width=320,
            height=180,
            ratio="16:9",
            seconds=5,
        )

    pictures = [canvas.frame(of(prompt), []) for prompt in ("猫", "狗")]
    assert {picture.size for picture in pictures} == {(320, 180)}
    assert pictures[0].tobytes() != pictures[1].tobytes()


@pytest.mark.parametrize("text", ["a" * 500, "猫" * 500, "a cat and a dog " * 40])
def test_no_line_is_wider_than_the_picture(text):
    lines = canvas.wrap(text, 44, 600)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(len(line) <= 40 for line in lines)


async def test_an_image_job_gives_four_pictures_some_of_them_early(studio, kit):
    model = "high_aes_general_v50"
    body = kit.body_of(
        model=model, draft=kit.image_draft("猫"), extend={"root_model": model}
    )
    node = await studio.finished(body)
    large = [item["image"]["large_images"][0] for item in node["item_list"]]
    data = (await studio.http.get(large[3]["image_url"])).content
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (large[3]["width"], large[3]["height"]) == (1024, 576)
    assert len(large) == 4


async def test_a_film_that_cannot_be_made_is_a_failed_job(tmp_path, serve, kit):
    settings = Settings(data=tmp_path, ffmpeg="/bin/false")
    async with serve(settings) as (http, world):
        node = await kit.Visitor(http, world, DEMO_SESSIONS[0]).finished(kit.body_of())
        assert world.accounts[DEMO_SESSIONS[0]].credits.total == 10_000
    assert (node["status"], node["fail_code"]) == (30, "2002")


@pytest.fixture
async def url(studio, kit):
    wanted = kit.text_input(duration_ms=5000)
    node = await studio.finished(kit.body_of(wanted, ratio="1:1"))
    return node["item_list"][0]["video"]["transcoded_video"]["origin"]["video_url"]


async def test_links_take_ranges_and_expire_and_cannot_be_forged(studio, url):
    async def get(address=url, **headers):
        return await studio.http.get(address, headers=headers)

    whole = await get()
    part = await get(Range="bytes=100-199")
    rest = await get(Range=f"bytes={len(whole.content) - 10}-")
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    assert rest.content == whole.content[-10:]
    assert (await get(Range="bytes=99999999-")).status_code == 416
    assert "etag" in whole.headers
    studio.world.knobs.etag = False
    assert "etag" not in (await get()).headers
    assert (await get(url.replace("x-signature=", "x-signature=0"))).status_code == 403
    studio.world.advance(3700)
    assert (await get()).status_code == 403
