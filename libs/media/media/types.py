"""Types by their first bytes, never by a name. What the site takes, and no more."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["image", "video", "audio"]
HEAD_BYTES = 32


@dataclass(frozen=True, slots=True)
class Type:
    """A type we take; `reader` is what its decoder calls it."""

    kind: Kind
    mime: str
    extension: str
    reader: str


_MP4 = Type("video", "video/mp4", "mp4", "MPEG-4")
_MOV = Type("video", "video/quicktime", "mov", "MPEG-4")
_M4V = Type("video", "video/x-m4v", "m4v", "MPEG-4")
_MP3 = Type("audio", "audio/mpeg", "mp3", "MPEG Audio")
_WAV = Type("audio", "audio/wav", "wav", "Wave")
_TIFF = Type("image", "image/tiff", "tiff", "TIFF")
_GIF = Type("image", "image/gif", "gif", "GIF")

_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": Type("image", "image/png", "png", "PNG"),
    b"\xff\xd8\xff": Type("image", "image/jpeg", "jpg", "JPEG"),
    b"GIF87a": _GIF,
    b"GIF89a": _GIF,
    b"BM": Type("image", "image/bmp", "bmp", "BMP"),
    b"II*\x00": _TIFF,
    b"MM\x00*": _TIFF,
    b"ID3": _MP3,
}
_RIFFS = {
    b"WEBP": Type("image", "image/webp", "webp", "WEBP"),
    b"WAVE": _WAV,
}
# The major brand of an ISO file (ISO/IEC 14496-12 §4.3). Sound alone (M4A), still
# pictures (HEIC, AVIF) and the phones' 3GP are not among what the site takes.
_BRANDS = {b"qt  ": _MOV} | dict.fromkeys((b"M4V ", b"M4VH", b"M4VP"), _M4V)
_FILM_BRANDS = (b"iso", b"mp4", b"avc1", b"MSNV", b"dash", b"F4V ", b"mmp4")
_ATOMS = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}  # QuickTime before ISO


def type_of(head: bytes) -> Type | None:
    """Tell the type of a file by its first 32 bytes; None: not one we take."""
    for beginning, found in _BEGINNINGS.items():
        if head.startswith(beginning):
            return found
    if head[:4] == b"RIFF":
        return _RIFFS.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _branded(head[8:12])
    if head[4:8] in _ATOMS:
        return _MOV
    return _MP3 if _is_mp3_frame(head) else None


def _branded(brand: bytes) -> Type | None:
    return _BRANDS.get(brand, _MP4 if brand.startswith(_FILM_BRANDS) else None)


def _is_mp3_frame(head: bytes) -> bool:
    """Eleven set bits, then layer III (ISO/IEC 11172-3 §2.4.2.3)."""
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2  # noqa: PLR2004
