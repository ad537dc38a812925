"""What a file really is, told by its content, off the loop."""

import asyncio
import io
import random
import struct
import subprocess
import threading
import wave
import zlib
from contextlib import suppress

import imageio_ffmpeg
import pytest
from PIL import Image

from media import NotMediaError, probe, probing

FORMATS = {
    "PNG": ("image/png", "png"),
    "JPEG": ("image/jpeg", "jpg"),
    "WEBP": ("image/webp", "webp"),
    "GIF": ("image/gif", "gif"),
    "BMP": ("image/bmp", "bmp"),
    "TIFF": ("image/tiff", "tiff"),
}


def picture(kind, size=(48, 32)):
    out = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(out, kind)
    return out.getvalue()


def sound(seconds=1.5):
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(int(seconds * 16000)))
    return out.getvalue()


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """An mp4, a mov, an m4v, an mp3 and an m4a, by one run of ffmpeg."""
    folder = tmp_path_factory.mktemp("films")
    film = ["-map", "0", "-pix_fmt", "yuv420p", "-c:v", "mpeg4"]
    outputs = [
        *(*film, "a.mp4"),
        *(*film, "-movflags", "faststart", "a.mov"),
        *(*film, "-movflags", "faststart", "-f", "ipod", "a.m4v"),
        *("-map", "1", "a.mp3"),
        *("-map", "1", "a.m4a"),
    ]
    source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=12:duration=1"]
    tone = ["-f", "lavfi", "-i", "sine=duration=1"]
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run(
        [ffmpeg, "-v", "error", *source, *tone, *outputs], cwd=folder, check=True
    )
    return {path.suffix[1:]: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def look(tmp_path):
    async def looking(data):
        path = tmp_path / "upload.bin"
        path.write_bytes(data)
        return await probe(path)

    return looking


@pytest.mark.parametrize("kind", FORMATS)
async def test_an_image_is_told_by_its_content(look, kind):
    found = await look(picture(kind))
    assert (found.mime, found.extension) == FORMATS[kind]
    assert (found.kind, found.width, found.height) == ("image", 48, 32)
    assert found.duration_ms is None


@pytest.mark.parametrize("kind", FORMATS)
async def test_half_an_image_is_refused(look, kind):
    data = picture(kind, (200, 200))
    with pytest.raises(NotMediaError):
        await look(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("name", "mime"),
    [("mp4", "video/mp4"), ("mov", "video/quicktime"), ("m4v", "video/x-m4v")],
)
async def test_a_film_is_told_by_its_content(look, films, name, mime):
    found = await look(films[name])
    assert (found.kind, found.mime, found.extension) == ("video", mime, name)
    assert (found.width, found.height, found.duration_ms) == (64, 48, 1000)
    assert found.codec


@pytest.mark.parametrize("name", ["mp4", "mov", "m4v"])
async def test_half_a_film_is_refused(look, films, name):
    with pytest.raises(NotMediaError):
        await look(films[name][: len(films[name]) // 2])


async def test_sound_is_told_by_its_content(look, films):
    mp3 = await look(films["mp3"])
    assert (mp3.kind, mp3.mime, mp3.extension) == ("audio", "audio/mpeg", "mp3")
    assert 950 < mp3.duration_ms < 1100
    wav = await look(sound())
    assert (wav.kind, wav.mime, wav.duration_ms) == ("audio", "audio/wav", 1500)
    assert wav.width is None


async def test_half_a_sound_is_refused(look, films):
    for data in (films["mp3"], sound()):
        with pytest.raises(NotMediaError):
            await look(data[: len(data) // 2])


async def test_what_the_site_does_not_take_is_refused_with_what_it_takes(look, films):
    for data in (b"", b"hello", b"<html>", b"%PDF-1.7", films["m4a"], b"ID3"):
        with pytest.raises(NotMediaError):
            await look(data)
    with pytest.raises(NotMediaError, match="mp4, mov, m4v"):
        await look(b"<html>no such page</html>")


async def test_a_beginning_alone_deceives_nobody(look):
    for beginning in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"ID3", b"\xff\xfb"):
        with pytest.raises(NotMediaError):
            await look(beginning + b"<html>" * 100)
    with pytest.raises(NotMediaError):
        await look(b"\x00\x00\x00\x18ftypmp42" + b"<html>" * 100)


def bomb(side):
    """A PNG of a few bytes that says it is `side` pixels wide and high."""

    def chunk(name, data):
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("side", [6_400, 10_000, 50_000])
async def test_an_image_bomb_is_refused_unopened(look, side):
    with pytest.raises(NotMediaError, match="megapixels"):
        await look(bomb(side))


async def test_damaged_files_are_never_anything_else_than_refused(look, films):
    chance = random.Random(7)  # noqa: S311 - the same damage each time
    samples = [*films.values(), sound(), *(picture(kind) for kind in FORMATS)]
    for data in samples:
        for _ in range(6):
            damaged = bytearray(data)
            for _ in range(8):
                damaged[chance.randrange(min(len(data), 900))] = chance.randrange(256)
            with suppress(NotMediaError):
                await look(bytes(damaged))


async def test_files_are_looked_at_beside_the_loop(tmp_path, monkeypatch):
    seen = []

    def noting(path):
        seen.append(threading.current_thread().name)
        return inside(path)

    inside = probing._probe
    monkeypatch.setattr(probing, "_probe", noting)
    path = tmp_path / "a.png"
    path.write_bytes(picture("PNG"))
    await asyncio.gather(*(probe(path) for _ in range(3)))
    assert len(seen) == 3
    assert all(name.startswith("media") for name in seen)
