"""Runs ffmpeg as a child that ends with its caller, and reads what it says."""

import asyncio
import contextlib
import re
import shutil
from pathlib import Path

import imageio_ffmpeg

from simulator.records import Json

_DURATION = re.compile(r"Duration: (\d+):(\d+):([\d.]+)")
_VIDEO = re.compile(r"Video: (\w+).*?, (\d{2,5})x(\d{2,5})")
_FPS = re.compile(r"([\d.]+) fps")
_BITRATE = re.compile(r"bitrate: (\d+) kb/s")


class FfmpegError(Exception):
    """ffmpeg ended with an error; the text is its last words."""


def find(path: str | None = None) -> str:
    """The ffmpeg to use: the one named, the system's, or the one in the wheel."""
    return path or shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()


async def run(executable: str, *arguments: str | Path) -> str:
    """Run to the end and return what was said; cancelling kills the child."""
    code, said = await _run(executable, *arguments)
    if code:
        raise FfmpegError(said[-2000:])
    return said


async def probe(executable: str, path: Path) -> Json | None:
    """Duration, size and codec of a media file, or None when it is not one."""
    _, said = await _run(executable, "-protocol_whitelist", "file", "-i", path)
    if not (length := _DURATION.search(said)):
        return None
    hours, minutes, seconds = (float(part) for part in length.groups())
    found: Json = {"duration": hours * 3600 + minutes * 60 + seconds}
    found["audio"] = "Audio:" in said
    if video := _VIDEO.search(said):
        found |= {"codec": video[1], "width": int(video[2]), "height": int(video[3])}
    if fps := _FPS.search(said):
        found["fps"] = float(fps[1])
    if bitrate := _BITRATE.search(said):
        found["bitrate"] = int(bitrate[1]) * 1000
    return found


async def _run(executable: str, *arguments: str | Path) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        executable,
        *("-hide_banner", "-nostdin", "-y"),
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, said.decode(errors="replace")
