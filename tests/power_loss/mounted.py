"""The disk, mounted: `python -m power_loss.mounted BACKING FOLDER` until it is killed.

Needs mfusepy, libfuse (Debian: fuse3 or libfuse2) and /dev/fuse. kill -9 is the cut.
"""

import argparse
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mfusepy

from power_loss.disk import Disk, Habits, Node

BLOCK = 4096
SYNCED = os.O_DSYNC | os.O_SYNC


class Mounted(mfusepy.Operations):
    """What the kernel asks, brought to the disk."""

    use_ns = True

    def __init__(self, disk: Disk, backing: Path) -> None:
        self._disk = disk
        self._backing = backing
        self._handles: dict[int, tuple[Node, bool]] = {}
        self._last = 0

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        node = self._handles[fh][0] if fh else self._disk.find(path)
        size = 0 if node.is_folder else self._disk.size(node)
        return {
            "st_ino": node.number,
            "st_mode": node.mode,
            "st_nlink": node.links,
            "st_size": size,
            "st_blocks": -(-size // 512),
            "st_uid": os.getuid(),
            "st_gid": os.getgid(),
            **dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), node.modified),
        }

    def readdir(self, path: str, fh: int) -> Iterator[tuple[str, dict[str, int], int]]:
        folder = self._disk.find(path)
        for name, node in {".": folder, "..": folder, **folder.names}.items():
            yield name, {"st_ino": node.number, "st_mode": node.mode}, 0

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._backing)
        return {n: getattr(found, n) for n in dir(found) if n.startswith("f_")}

    def create(self, path: str, mode: int, flags: int) -> int:
        node = self._disk.create(path, stat.S_IFREG | stat.S_IMODE(mode))
        return self._handle(node, flags)

    def open(self, path: str, flags: int) -> int:
        node = self._disk.find(path)
        if flags & os.O_TRUNC:
            self._disk.truncate(node, 0)
        return self._handle(node, flags)

    def _handle(self, node: Node, flags: int) -> int:
        self._last += 1
        self._handles[self._last] = node, bool(flags & SYNCED)
        self._disk.opened(node)
        return self._last

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return self._disk.read(self._handles[fh][0], offset, size)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        node, synced = self._handles[fh]
        self._disk.write(node, data, offset)
        if synced:
            self._disk.sync(node)
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        node = self._handles[fh][0] if fh else self._disk.find(path)
        self._disk.truncate(node, length)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        self._disk.sync(self._handles[fh][0])

    def release(self, path: str, fh: int) -> None:
        self._disk.released(self._handles.pop(fh)[0])

    def flush(self, path: str, fh: int) -> None:
        """Closing a file makes nothing survive."""

    def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
        self._disk.sync_folder(self._disk.find(path))

    def mkdir(self, path: str, mode: int) -> None:
        self._disk.create(path, stat.S_IFDIR | stat.S_IMODE(mode))

    def link(self, target: str, source: str) -> None:
        self._disk.link(source, target)

    def rename(self, old: str, new: str) -> None:
        self._disk.rename(old, new)

    def unlink(self, path: str) -> None:
        self._disk.unlink(path)

    rmdir = unlink

    def chmod(self, path: str, mode: int) -> None:
        self._disk.chmod(path, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Everything is whose who mounted it."""

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        if times:
            self._disk.find(path).modified = times[1]


def main() -> int:
    """Mount, and serve until killed or unmounted."""
    parser = argparse.ArgumentParser("power_loss.mounted", description=__doc__)
    parser.add_argument("backing", type=Path)
    parser.add_argument("folder")
    parser.add_argument("--names", default="by folder")
    parser.add_argument("--early", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    habits = Habits(given.names, given.early, given.seed)
    mfusepy.FUSE(
        Mounted(Disk(given.backing, habits), given.backing),
        given.folder,
        foreground=True,
        nothreads=True,
        use_ino=True,
        default_permissions=True,
        fsname="power-loss",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
