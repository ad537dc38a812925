"""Files and folders that survive a power cut once these functions have returned.

A file's bytes survive by fsync of the file; its name, new or changed, only by fsync of
the folder. Without the first a renamed file comes back empty, without the second it
may not come back at all (man 2 fsync).
"""

import os
from contextlib import suppress
from pathlib import Path

from boundary import boundary


def write_whole(file: Path, text: str, *, mode: int = 0o666) -> None:
    """Put a text into a file, whole or not at all."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w") as out:
        out.write(text)
        out.flush()
        with boundary("fsync", file.name):
            os.fsync(out.fileno())
    with boundary("rename", file.name):
        draft.replace(file)
    sync_folder(file.parent)


def make_folder(folder: Path) -> None:
    """Create a folder, and those it lies in, where they are missing."""
    if not folder.parent.is_dir():
        make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    # Also where it was there: who made it may have been killed before the sync. We need
    # not be allowed to read a folder that another made for us.
    with suppress(PermissionError):
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Let the names in a folder survive, as they are now."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with boundary("fsync folder", folder.name):
            os.fsync(handle)
    finally:
        os.close(handle)
