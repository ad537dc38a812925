"""An unfinished file: a temporary name, and the steps that make it a blob.

Nothing here is asynchronous and everything may wait for the disk: call it in a thread.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from uuid import uuid4

from blobs.errors import BlobError, BusyError, StorageFullError
from boundary import boundary

CHUNK_BYTES = 256 * 1024
# EFBIG is the process's own limit; to the caller it is the same: no room for this file.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Written:
    """What was stored."""

    size: int
    sha256: str


class Part:
    """A file under a temporary name. Used by one writer, from one thread at a time.

    The lock keeps a step that outlived its cancelled caller apart from the clean-up.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.tag = ""
        self._file = -1
        self._hash = sha256()
        self._lock = Lock()

    def create(self) -> None:
        """Begin a new file."""
        with self._lock, _room():
            make_folder(self.path.parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o666)

    def resume(self) -> None:
        """Open a file that may have been begun before; raises BusyError.

        What it holds is kept only when it is known what it is (`tag`), and when it was
        written since the machine started: only then is it certain to be on this disk.
        """
        with self._lock, _room():
            make_folder(self.path.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o666)
            self._claim()
            self.tag = self._known_tag()
            if self.tag:
                self._measure()
            else:
                os.ftruncate(self._file, 0)

    def restart(self, tag: str) -> None:
        """Throw away what is there. `tag` says what comes now, for a later resume."""
        with self._lock, _room():
            # In this order: no tag may ever stand beside the bytes of another.
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            with boundary("write", self._tag_path.name):
                self._tag_path.write_text(f"{_boot()}\n{tag}" if tag else "")
            self.size, self.tag, self._hash = 0, tag, sha256()

    def write(self, data: bytes | bytearray) -> None:
        """Append; raises StorageFullError."""
        with self._lock, _room():
            rest = memoryview(data)
            with boundary("write", self.path.name):
                while rest:
                    rest = rest[os.write(self._file, rest) :]
            self._hash.update(data)
            self.size += len(data)

    def publish(self, target: Path) -> Written:
        """Make it the blob `target`: from now on it survives a power cut."""
        with self._lock, _room():
            with boundary("fsync", self.path.name):
                os.fsync(self._file)
            on_disk = os.fstat(self._file).st_size
            if on_disk != self.size:
                raise BlobError(f"{self.size} bytes written, {on_disk} on disk")
            # First: nobody looks for it beside a blob. Bytes without one begin anew.
            self._tag_path.unlink(missing_ok=True)
            with boundary("rename", target.name):
                self.path.replace(target)
            sync_folder(target.parent)
            self._close()
        return Written(self.size, self._hash.hexdigest())

    def close(self) -> None:
        """Let go of it; what was written stays for a resume."""
        with self._lock:
            self._close()

    def discard(self) -> None:
        """Remove it."""
        with self._lock:
            for path in (self.path, self._tag_path):
                path.unlink(missing_ok=True)
            self._close()

    @property
    def _tag_path(self) -> Path:
        return self.path.with_suffix(".tag")

    def _claim(self) -> None:
        """Keep other writers out; they may have finished it since it was opened."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(self._file).st_ino == self.path.stat().st_ino
        except (BlockingIOError, FileNotFoundError):
            mine = False
        if not mine:
            self._close()
            raise BusyError(self.path.name)

    def _known_tag(self) -> str:
        with suppress(FileNotFoundError, UnicodeDecodeError):
            boot, _, tag = self._tag_path.read_text().partition("\n")
            return tag if boot == _boot() else ""
        return ""

    def _measure(self) -> None:
        while data := os.read(self._file, CHUNK_BYTES):
            self._hash.update(data)
            self.size += len(data)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def make_folder(folder: Path) -> None:
    """Create a task's folder so that it survives a power cut."""
    with suppress(FileExistsError):
        folder.mkdir()
        sync_folder(folder.parent)


def make_root(folder: Path) -> None:
    """Create the store's folder, and those it lies in, to survive likewise."""
    if not folder.parent.is_dir():
        make_root(folder.parent)
    folder.mkdir(exist_ok=True)
    with suppress(PermissionError):  # it was made for us in a folder that is not ours
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Write out which names a folder has."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with boundary("fsync folder"):
            os.fsync(handle)
    finally:
        os.close(handle)


_UNKNOWN_BOOT = uuid4().hex


def _boot() -> str:
    """What changes with each start of the machine, else of the process."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return _UNKNOWN_BOOT


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFullError(f"no room: {error.strerror}") from error
        raise
