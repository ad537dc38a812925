"""A picture of a film: made by a child that opens nothing but the film."""

import asyncio
import io
import os
import subprocess
from contextlib import suppress
from pathlib import Path

import imageio_ffmpeg
import pytest
from PIL import Image

from media import PosterError, poster

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def film(path, *more, seconds=2, size="1280x720", colour="red"):
    source = f"color=c=black:s={size}:d=0.3[a];color=c={colour}:s={size}:d={seconds}[b]"
    subprocess.run(
        [
            *(FFMPEG, "-loglevel", "error", "-y", "-filter_complex"),
            f"{source};[a][b]concat=n=2:v=1",
            *("-c:v", "libx264", "-preset", "ultrafast", *more, str(path)),
        ],
        check=True,
    )
    return path


async def test_a_poster_is_a_small_jpeg_of_a_frame_that_is_not_the_first(tmp_path):
    made = await poster(film(tmp_path / "a.mp4"), 2300)
    with Image.open(io.BytesIO(made)) as image:
        assert (image.format, image.size) == ("JPEG", (720, 406))
        red, green, blue = image.convert("RGB").getpixel((360, 200))
    assert red > 200
    assert green < 60 > blue


async def test_a_small_film_is_not_made_larger(tmp_path):
    made = await poster(film(tmp_path / "a.mp4", size="320x568"), 2300)
    with Image.open(io.BytesIO(made)) as image:
        assert image.size == (320, 568)


async def test_what_names_other_files_is_not_followed(tmp_path):
    secret = film(tmp_path / "secret.ts", "-f", "mpegts")
    for name, text in {
        "list.mp4": f"#EXTM3U\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile '{secret}'\n",
        "honest.mp4": None,
    }.items():
        path = tmp_path / name
        path.write_bytes(secret.read_bytes()) if text is None else path.write_text(text)
        with pytest.raises(PosterError):
            await poster(path, 2300)


async def test_a_broken_film_has_no_poster_and_says_why(tmp_path):
    whole = film(tmp_path / "a.mp4").read_bytes()
    broken = tmp_path / "b.mp4"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PosterError, match=r"moov|Invalid|no picture"):
        await poster(broken, 2300)


async def test_without_ffmpeg_there_is_no_poster(tmp_path):
    with pytest.raises(PosterError, match="cannot be run"):
        await poster(film(tmp_path / "a.mp4"), 2300, given=str(tmp_path / "none"))


async def test_the_child_knows_nothing_of_our_environment_and_ends_with_its_caller(
    tmp_path, monkeypatch, until
):
    monkeypatch.setenv("SECRET_KEY", "canary")
    pid, told = tmp_path / "pid", tmp_path / "environment"
    stand_in = tmp_path / "ffmpeg"
    stand_in.write_text(
        f"#!/bin/sh\nexport -p > {told}\necho $$ > {pid}\nexec /bin/sleep 60\n"
    )
    stand_in.chmod(0o700)
    making = asyncio.create_task(poster(tmp_path / "a.mp4", 2300, given=str(stand_in)))
    await until(lambda: pid.exists() and pid.read_text().strip())
    child = Path(f"/proc/{pid.read_text().strip()}")
    await until(lambda: "15 " in _limit_of(child, "Max cpu time"))
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert _limit_of(child, "Max cpu time") == ""
    assert "canary" not in told.read_text()
    assert os.environ["SECRET_KEY"] == "canary"


def _limit_of(child, name):
    """Return a limit of a process; empty where it is no more."""
    with suppress(FileNotFoundError, ProcessLookupError):
        lines = (child / "limits").read_text().splitlines()
        return next((line for line in lines if line.startswith(name)), "")
    return ""
