"""A picture of a film, made by ffmpeg in a child that is let at nothing but the file.

The film comes from a stranger: it is read as a film by the only demuxer that may, no
other file or address it may name is opened, and memory and time are limited.
"""

import asyncio
import os
import resource
import shutil
from contextlib import suppress
from functools import cache
from pathlib import Path

from media.probing import MAX_PIXELS

WIDEST = 720
LARGEST_BYTES = 4 * 1024 * 1024
SECONDS = 20.0
CPU_SECONDS = 15
MEMORY_BYTES = 2 * 1024**3
WORDS_BYTES = 64 * 1024


class PosterError(Exception):
    """There is no picture; the text says why, in ffmpeg's words where it has some."""


@cache
def find_ffmpeg(given: str = "") -> str:
    """Return the ffmpeg to use: the given, the system's, the wheel's; empty: none.

    The wheel's is started to see whether it runs here.
    """
    if found := given or shutil.which("ffmpeg"):
        return found
    with suppress(ImportError, RuntimeError):
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    return ""


async def poster(film: Path, duration_ms: int, *, given: str = "") -> bytes:
    """Return a JPEG of a frame of an MP4 or QuickTime film. Raises PosterError.

    `given` is the ffmpeg to use instead of the one that is found.
    """
    if not (ffmpeg := await asyncio.to_thread(find_ffmpeg, given)):
        raise PosterError("there is no ffmpeg")
    # Films often begin in black.
    at = min(1.0, duration_ms / 4000)
    try:
        async with asyncio.timeout(SECONDS):
            return await _run(ffmpeg, *_arguments(film, at))
    except TimeoutError:
        raise PosterError(f"not made within {SECONDS:g} s") from None
    except OSError as error:
        raise PosterError(f"ffmpeg cannot be run: {error.strerror}") from None


def _arguments(film: Path, at: float) -> list[str]:
    """Return the command line; what limits the reading stands before the input."""
    return [
        *("-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1"),
        *("-protocol_whitelist", "file", "-format_whitelist", "mov"),
        *("-max_pixels", str(MAX_PIXELS), "-ss", f"{at:.3f}"),
        *("-f", "mov", "-i", f"file:{film.absolute()}"),
        *("-map", "0:v:0", "-an", "-sn", "-dn", "-frames:v", "1"),
        *("-vf", f"scale=w='min({WIDEST},iw)':h=-2", "-pix_fmt", "yuvj420p"),
        *("-f", "image2pipe", "-c:v", "mjpeg", "-q:v", "4", "pipe:1"),
    ]


async def _run(ffmpeg: str, *arguments: str) -> bytes:
    """Run it to the end with a bare environment, and kill it where it is cut off."""
    child = await asyncio.create_subprocess_exec(
        ffmpeg,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={},
        start_new_session=True,
    )
    try:
        _limit(child.pid)
        picture, words = await asyncio.gather(
            _read(child.stdout, LARGEST_BYTES), _read(child.stderr, WORDS_BYTES)
        )
        code = await child.wait()
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if code or not picture.startswith(b"\xff\xd8\xff"):
        said = words.decode(errors="replace").strip().rpartition("\n")[2]
        raise PosterError(said[:300] or f"ffmpeg ended with {code} and no picture")
    return picture


async def _read(stream: asyncio.StreamReader | None, limit: int) -> bytes:
    if stream is None:
        return b""
    read = bytearray()
    while data := await stream.read(limit):
        read += data
        if len(read) > limit:
            raise PosterError(f"more than {limit} bytes came out of ffmpeg")
    return bytes(read)


def _limit(pid: int) -> None:
    """Bound a child's time and memory, where the system can (Linux)."""
    if not hasattr(resource, "prlimit"):
        return
    with suppress(OSError):  # it has ended already
        resource.prlimit(pid, resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        os.setpriority(os.PRIO_PROCESS, pid, 10)  # nobody waits for a picture
