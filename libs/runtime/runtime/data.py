"""The data folder: ours to write, locked, and belonging to one upstream."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from runtime.durable import make_folder, write_whole
from runtime.settings import SettingsError

REAL_SITE = "the real site"
SIMULATOR = "simulator"


class DataFolder:
    """A held data folder. Two systems on one folder would lose each other's messages.

    Raises SettingsError, in one line that says what to do, when the folder cannot be
    written, is held by another process, or belongs to another upstream.
    """

    def __init__(self, path: Path, upstream: str, *, alone: bool) -> None:
        self.path = path
        self._upstream = upstream or REAL_SITE
        self._how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        self._lock: int | None = None

    def __enter__(self) -> Self:
        try:
            make_folder(self.path)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SettingsError(
                f"DATA_DIR {self.path} cannot be written ({error.strerror}): "
                f"choose another with --data or DATA_DIR, or fix its permissions"
            ) from None
        try:
            self._acquire(self._lock)
            self._claim()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _acquire(self, lock: int) -> None:
        try:
            fcntl.flock(lock, self._how | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"DATA_DIR {self.path} is in use by another jimeng: stop it first, "
                f"or choose another folder with --data"
            ) from None

    def _claim(self) -> None:
        """Write whose folder this is at first use; refuse another upstream later."""
        file = self.path / "upstream"
        if not file.exists():
            write_whole(file, self._upstream + "\n")
        owner = file.read_text().strip()
        if owner != self._upstream:
            raise SettingsError(
                f"DATA_DIR {self.path} belongs to {owner}, not to {self._upstream}: "
                f"tasks of one must not reach the other; choose another with --data"
            )
