"""How much room the disks have: below MIN_FREE_DISK nothing new is begun.

What is under way may use the rest: the database, the streams, results that are paid.
"""

import os
from pathlib import Path

RETRY_SECONDS = 10.0  # how long what waits for room waits before it looks again
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


class NoRoomError(Exception):
    """A disk has less room than MIN_FREE_DISK; the text says so, and names no path."""


class Room:
    """The disks that some folders lie on, and how much of each is to stay free."""

    def __init__(self, least: int, *folders: Path) -> None:
        self._least = least
        self._folders = folders

    def check(self) -> None:
        """Raise NoRoomError where a disk has too little."""
        if lacking := self.lacking():
            raise NoRoomError(lacking)

    def lacking(self) -> str:
        """Say what is wrong, and what to do; empty: there is room."""
        free = min(map(_free, self._folders), default=self._least)
        if free >= self._least:
            return ""
        return (
            f"the disk has {_words(free)} left, less than MIN_FREE_DISK "
            f"({_words(self._least)}): free some, or let RETENTION_DAYS delete old "
            f"results; what is accepted waits and goes on by itself"
        )


def _free(folder: Path) -> int:
    """Return what we may still write where a folder is, or is going to be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _words(size: float) -> str:
    """Write a size as "1.5 GiB"."""
    unit = 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size, unit = size / _STEP, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size:.0f} B"
