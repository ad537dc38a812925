"""Follows one file: from where it was left, through truncation and rotation."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from log_streamer.domain import split

CHUNK = 64 * 1024


@dataclass(frozen=True)
class Place:
    """How far a file was read: which one, and up to which byte."""

    inode: int
    offset: int


@dataclass(frozen=True)
class Line:
    """One line, and the place after it."""

    raw: bytes
    begin: int
    after: Place


class File:
    """A file that grows, may not be there yet, and may be replaced."""

    def __init__(self, path: Path, place: Place | None) -> None:
        self._path = path
        self._left = place
        self._open: BinaryIO | None = None
        self._inode = 0
        self._offset = 0
        self._pending = b""

    def read(self) -> list[Line]:
        """Return the lines that have come since; at most one chunk of them."""
        if self._open is None and not self._begin():
            return []
        lines = self._take()
        if not lines and self._replaced():
            self.close()
        return lines

    def close(self) -> None:
        """Let go of the file."""
        if self._open:
            self._open.close()
        self._open, self._pending = None, b""

    def _begin(self) -> bool:
        try:
            self._open = self._path.open("rb", buffering=0)
        except FileNotFoundError:
            return False
        found = os.fstat(self._open.fileno())
        self._inode, self._offset = found.st_ino, 0
        left, self._left = self._left, None
        if left and left.inode == found.st_ino and left.offset <= found.st_size:
            self._offset = left.offset
            self._open.seek(left.offset)
        return True

    def _take(self) -> list[Line]:
        if self._open is None:
            return []
        self._pending += self._open.read(CHUNK) or b""
        whole, self._pending = split(self._pending)
        return [self._line(raw) for raw in whole]

    def _line(self, raw: bytes) -> Line:
        begin, self._offset = self._offset, self._offset + len(raw)
        return Line(raw, begin, Place(self._inode, self._offset))

    def _replaced(self) -> bool:
        """Whether there is another file by that name, or this one was cut."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        return found.st_ino != self._inode or found.st_size < self._offset
