"""Looking into a file: images are decoded, films and sound are read to their end.

A file comes from a stranger. Whatever is wrong with it is NotMediaError, whose text
is for the person who sent it.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media.types import HEAD_BYTES, Kind, Type, type_of

MAX_PIXELS = 40_000_000  # 160 MB decoded; the site itself stops at 6000 x 6000
# Two at a time: what is being decoded lies in memory.
_POOL = ThreadPoolExecutor(2, thread_name_prefix="media")


class NotMediaError(Exception):
    """Not a file the site takes, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a file is. Images have no duration, sound has no width and height."""

    kind: Kind
    mime: str
    extension: str
    codec: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None


async def probe(path: Path) -> Probed:
    """Look into a file, in a thread. Raises NotMediaError, and OSError of the disk."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_POOL, _probe, path)


def _probe(path: Path) -> Probed:
    with path.open("rb") as file:
        found = type_of(file.read(HEAD_BYTES))
    if found is None:
        raise NotMediaError(
            "not a file the site takes: images png, jpeg, webp, gif, bmp, tiff; "
            "videos mp4, mov, m4v; audio mp3, wav"
        )
    return _image(path, found) if found.kind == "image" else _streams(path, found)


def _image(path: Path, found: Type) -> Probed:
    from PIL import Image

    try:
        with Image.open(path, formats=[found.reader]) as image:
            _check_size(*image.size)
            image.verify()
        with Image.open(path, formats=[found.reader]) as image:
            # A small rendition where the format has one: cheap, and reads to the end.
            width, height = image.size
            image.draft("RGB", (max(1, width // 8), max(1, height // 8)))
            image.load()
    except NotMediaError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large() from None
    except Exception as error:  # noqa: BLE001 - decoders raise anything
        raise NotMediaError(f"a damaged {found.extension} image: {error}") from None
    return Probed(found.kind, found.mime, found.extension, found.reader, width, height)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _too_large()


def _too_large() -> NotMediaError:
    return NotMediaError(f"an image of more than {MAX_PIXELS // 10**6} megapixels")


def _streams(path: Path, found: Type) -> Probed:
    tracks = _tracks(path, found)
    general = next(t for t in tracks if t["track_type"] == "General")
    if general.get("format") != found.reader:
        raise NotMediaError(f"not a {found.extension} file, though it begins like one")
    if general.get("istruncated") == "Yes":
        raise NotMediaError(f"a {found.extension} file whose end is missing")
    wanted = "Video" if found.kind == "video" else "Audio"
    track = next((t for t in tracks if t["track_type"] == wanted), None)
    duration = _number(general, "duration")
    if track is None or not duration:
        raise NotMediaError(f"a {found.extension} file without {found.kind} in it")
    return _described(found, track, duration)


def _tracks(path: Path, found: Type) -> list[dict[str, Any]]:
    from pymediainfo import MediaInfo

    try:
        return [track.to_data() for track in MediaInfo.parse(path).tracks]
    except (SyntaxError, RuntimeError) as error:  # its XML, or itself
        raise NotMediaError(f"a damaged {found.extension} file: {error}") from None


def _described(found: Type, track: dict[str, Any], duration: int) -> Probed:
    width, height = _number(track, "width"), _number(track, "height")
    if found.kind == "video" and not (width and height):
        raise NotMediaError(f"a {found.extension} file without pictures in it")
    return Probed(
        kind=found.kind,
        mime=found.mime,
        extension=found.extension,
        codec=str(track.get("format", "")),
        width=width,
        height=height,
        duration_ms=duration,
    )


def _number(track: dict[str, Any], name: str) -> int | None:
    """A number that comes as one, or as a string with decimals."""
    value = track.get(name)
    return None if value is None else round(float(value))
