"""A disk as a power cut leaves it: what was synced, and of the rest what it likes.

Bytes are in memory until fsync of their file, names until fsync of their folder, or
what the disk's habits say; the backing folder holds what would survive. An inode is a
file there, a folder a list:

    inodes/7            the bytes of file 7
    folders/1.json      {"gateway.db": [7, 0o100644], ...}; 1 is the root

So a rename that was not synced leaves the old name, with what was synced under it.
"""

import json
import os
import random
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from errno import EEXIST, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY
from pathlib import Path, PurePosixPath
from typing import Literal

ROOT = 1
# libfuse's name for a file that is unlinked while it is open: on a disk it has none.
NAMELESS = ".fuse_hidden"


@dataclass(frozen=True)
class Habits:
    """When names and bytes survive, beside what was synced; all of it is allowed."""

    names: Literal["by folder", "with file", "at once"] = "by folder"
    """By fsync of the folder alone, which is all that POSIX promises; by fsync of a
    file in it as well, as ext4, XFS and Btrfs do; or at once, without their bytes."""
    early: float = 0.0
    """How many of the writes survive without a sync, in whatever order."""
    seed: int = 0


@dataclass(eq=False)
class Node:
    """A file or a folder, as it is in memory."""

    number: int
    mode: int
    names: dict[str, "Node"] = field(default_factory=dict)
    data: bytearray | None = None
    """None: exactly what the backing folder has."""
    span: tuple[int, int] | None = None
    """From where to where bytes were changed since the last sync."""
    synced_size: int = 0
    modified: int = field(default_factory=time.time_ns)
    links: int = 1
    opened: int = 0
    folder: "Node | None" = None
    """Where its latest name lies."""

    @property
    def is_folder(self) -> bool:
        """Whether names lie in it."""
        return stat.S_ISDIR(self.mode)


class Disk:
    """Files and folders by path; raises OSError as a file system does."""

    def __init__(self, backing: Path, habits: Habits | None = None) -> None:
        self._inodes, self._folders = backing / "inodes", backing / "folders"
        for folder in (self._inodes, self._folders):
            folder.mkdir(parents=True, exist_ok=True)
        self._habits = habits or Habits()
        self._rng = random.Random(f"disk {self._habits.seed}")  # noqa: S311
        self._nodes: dict[int, Node] = {}
        self._root = self._load(ROOT, stat.S_IFDIR | 0o755)
        self._next = max(self._nodes) + 1
        self._forget_the_nameless()

    # reading

    def find(self, path: str) -> Node:
        """Return what has this path."""
        node = self._root
        for name in PurePosixPath(path).parts[1:]:
            if not node.is_folder:
                raise OSError(ENOTDIR, path)
            if name not in node.names:
                raise OSError(ENOENT, path)
            node = node.names[name]
        return node

    def size(self, node: Node) -> int:
        """Say how long a file is."""
        return node.synced_size if node.data is None else len(node.data)

    def read(self, node: Node, offset: int, count: int) -> bytes:
        """Return bytes of a file, as they were written last."""
        return bytes(self._data(node)[offset : offset + count])

    # bytes

    def write(self, node: Node, data: bytes, offset: int) -> None:
        """Change a file in memory, and on the disk if it happens to like that."""
        held = self._data(node)
        begin = min(offset, len(held))
        held.extend(bytes(offset - begin))
        held[offset : offset + len(data)] = data
        self._changed(node, begin, offset + len(data))
        if self._rng.random() < self._habits.early:
            self._put(node, begin, offset + len(data))

    def truncate(self, node: Node, size: int) -> None:
        """Cut a file off, or lengthen it by zeros."""
        held = self._data(node)
        before = len(held)
        del held[size:]
        held.extend(bytes(max(0, size - before)))
        self._changed(node, min(before, size), size)

    def sync(self, node: Node) -> None:
        """Let a file's bytes survive, and its name where the disk does that."""
        if node.span is not None:
            self._put(node, *node.span)
            os.truncate(self._inode(node), len(self._data(node)))
            node.synced_size, node.span = len(self._data(node)), None
        if self._habits.names == "with file":
            folder = node.folder
            while folder:
                self.sync_folder(folder)
                folder = folder.folder

    # names

    def create(self, path: str, mode: int) -> Node:
        """Make an empty file, or a folder if the mode says so."""
        folder, name = self._place(path)
        if name in folder.names:
            raise OSError(EEXIST, path)
        node = Node(self._next, mode)
        self._next += 1
        if not node.is_folder:
            node.data, node.span = bytearray(), (0, 0)
        folder.names[name], node.folder = node, folder
        self._renamed(folder)
        return node

    def link(self, old: str, new: str) -> None:
        """Give a file one more name."""
        node = self.find(old)
        folder, name = self._place(new)
        if name in folder.names:
            raise OSError(EEXIST, new)
        node.links += 1
        folder.names[name], node.folder = node, folder
        self._renamed(folder)

    def rename(self, old: str, new: str) -> None:
        """Move a name to another place, over what is there."""
        source, before = self._place(old)
        target, after = self._place(new)
        node = self.find(old)
        if (there := target.names.get(after)) is node:
            return
        if there:
            if there.is_folder and there.names:
                raise OSError(ENOTEMPTY, new)
            there.links -= 1
        target.names[after], node.folder = node, target
        del source.names[before]
        self._renamed(target)
        self._renamed(source)

    def unlink(self, path: str) -> None:
        """Take away a file's name, or an empty folder."""
        folder, name = self._place(path)
        node = self.find(path)
        if node.names:
            raise OSError(ENOTEMPTY, path)
        node.links -= 1
        del folder.names[name]
        self._renamed(folder)

    def chmod(self, path: str, mode: int) -> None:
        """Change who may do what with it."""
        node = self.find(path)
        node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        if node is not self._root:
            self._renamed(self._place(path)[0])

    def sync_folder(self, folder: Node) -> None:
        """Let the names in a folder survive, as they are now."""
        names = {
            name: [node.number, node.mode]
            for name, node in folder.names.items()
            if not name.startswith(NAMELESS)
        }
        draft = self._folders / f"{folder.number}.new"
        draft.write_text(json.dumps(names))
        draft.replace(self._folders / f"{folder.number}.json")

    # memory

    def opened(self, node: Node) -> None:
        """Take note that somebody uses a file."""
        node.opened += 1

    def released(self, node: Node) -> None:
        """Take note that nobody does; what survives needs no memory."""
        node.opened -= 1
        if not node.opened and node.span is None:
            node.data = None

    def _data(self, node: Node) -> bytearray:
        if node.is_folder:
            raise OSError(EISDIR, str(node.number))
        if node.data is None:
            node.data = bytearray(self._inode(node).read_bytes())
        return node.data

    def _inode(self, node: Node) -> Path:
        return self._inodes / str(node.number)

    def _place(self, path: str) -> tuple[Node, str]:
        folder = self.find(str(PurePosixPath(path).parent))
        if not folder.is_folder:
            raise OSError(ENOTDIR, path)
        return folder, PurePosixPath(path).name

    def _changed(self, node: Node, begin: int, end: int) -> None:
        lowest, highest = node.span or (begin, end)
        node.span = min(lowest, begin), max(highest, end)
        node.modified = time.time_ns()

    def _put(self, node: Node, begin: int, end: int) -> None:
        handle = os.open(self._inode(node), os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.seek(begin)
            out.write(self._data(node)[begin:end])

    def _renamed(self, folder: Node) -> None:
        folder.modified = time.time_ns()
        if self._habits.names == "at once":
            self.sync_folder(folder)

    def _load(self, number: int, mode: int) -> Node:
        if number in self._nodes:
            self._nodes[number].links += 1
            return self._nodes[number]
        node = self._nodes[number] = Node(number, mode)
        if node.is_folder:
            listed = self._folders / f"{number}.json"
            names = json.loads(listed.read_text()) if listed.exists() else {}
            node.names = {n: self._load(*each) for n, each in names.items()}
            for inner in node.names.values():
                inner.folder = node
        else:
            inode = self._inode(node)
            inode.touch()
            node.synced_size = inode.stat().st_size
            node.modified = inode.stat().st_mtime_ns
        return node

    def _forget_the_nameless(self) -> None:
        for path in self._all_backing():
            if int(path.stem) not in self._nodes or path.suffix == ".new":
                path.unlink()

    def _all_backing(self) -> Iterator[Path]:
        yield from self._inodes.iterdir()
        yield from self._folders.iterdir()
