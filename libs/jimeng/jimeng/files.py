"""A file to upload, from memory or from disk, without ever holding it whole."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from jimeng.errors import UploadFailed
from jimeng.signing import checksum

CHUNK_BYTES = 1024 * 1024

Content = bytes | AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class File:
    """A file whose size and checksum are known."""

    name: str
    size: int
    crc32: str
    source: Path | bytes = field(repr=False)

    @asynccontextmanager
    async def content(self) -> AsyncIterator[Content]:
        """The bytes, as a request takes them; a file on disk is read piece by piece."""
        if isinstance(self.source, bytes):
            yield self.source
            return
        handle = await asyncio.to_thread(self.source.open, "rb")
        chunks = _chunks(handle)
        try:
            yield chunks
        finally:
            await chunks.aclose()
            await asyncio.to_thread(handle.close)


async def open_file(source: Path | str | bytes, name: str) -> File:
    """Look at a file: one pass over it in a thread. UploadFailed if it is not there."""
    kept = source if isinstance(source, bytes) else Path(source)
    shown = name or (kept.name if isinstance(kept, Path) else "file")
    try:
        size, crc32 = await asyncio.to_thread(_measure, kept)
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
        raise UploadFailed(shown, why, temporary=False) from error
    if not size:
        raise UploadFailed(shown, "is empty", temporary=False)
    return File(name=shown, size=size, crc32=crc32, source=kept)


def _measure(source: Path | bytes) -> tuple[int, str]:
    if isinstance(source, bytes):
        return len(source), checksum([source])
    with source.open("rb") as handle:
        crc32 = checksum(_pieces(handle))
        return handle.tell(), crc32


def _pieces(handle: BinaryIO) -> Iterator[bytes]:
    while piece := handle.read(CHUNK_BYTES):
        yield piece


async def _chunks(handle: BinaryIO) -> AsyncGenerator[bytes]:
    while piece := await asyncio.to_thread(handle.read, CHUNK_BYTES):
        yield piece
