"""The store: a folder for each task, a file for each blob."""

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path
from secrets import token_hex

from blobs.errors import InvalidKeyError, MissingError, TooLargeError
from blobs.keys import check_key, check_task
from blobs.part import CHUNK_BYTES, Part, Written, make_root


def open_store(url: str) -> "Store":
    """Open `file:<folder>`, creating the folder. Raises ValueError for other URLs."""
    scheme, _, folder = url.partition(":")
    if scheme != "file" or not folder:
        raise ValueError(f"must be file:<folder>, not {url!r}; s3: is not supported")
    path = Path(folder.removeprefix("//")).absolute()
    make_root(path)
    return Store(path)


class Draft:
    """A blob being written over several tries; what is there stays between them.

    `tag` is what the writer said the bytes are (an entity tag, say); it is empty when
    nothing is there that could be continued.
    """

    def __init__(self, part: Part, store: "Store") -> None:
        self._part = part
        self._store = store

    @property
    def size(self) -> int:
        """How many bytes are there: where to go on."""
        return self._part.size

    @property
    def tag(self) -> str:
        """What the bytes are of."""
        return self._part.tag

    @property
    def path(self) -> Path:
        """Where the bytes lie meanwhile, to be looked at before they are stored."""
        return self._part.path

    async def restart(self, tag: str) -> None:
        """Begin anew with the bytes of `tag`."""
        await asyncio.to_thread(self._part.restart, tag)

    async def write(self, data: bytes | bytearray) -> None:
        """Append. Raises StorageFullError."""
        await asyncio.to_thread(self._part.write, data)

    async def commit(self, key: str) -> Written:
        """Store what was written under this key."""
        return await asyncio.to_thread(self._part.publish, self._store.path(key))

    async def discard(self) -> None:
        """Remove it: the bytes are of no use."""
        await asyncio.to_thread(self._part.discard)


class Store:
    """Blobs in a folder. No name is ever that of a file that is not whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """What all blobs lie in: the disk that they need room on."""
        return self._folder

    def path(self, key: str) -> Path:
        """Where a blob lies. Raises InvalidKeyError; says nothing about existence."""
        task, name = check_key(key)
        return self._folder / task / name

    async def put(
        self, key: str, chunks: AsyncIterator[bytes], *, limit: int | None = None
    ) -> Written:
        """Store what the iterator gives; all of it, or on any failure nothing.

        Raises TooLargeError, StorageFullError, and what the iterator raises.
        """
        target = self.path(key)
        part = Part(target.with_name(f".{target.name}.{token_hex(4)}.part"))
        try:
            await asyncio.to_thread(part.create)
            async for piece in pieces(within(limit, chunks, key)):
                await asyncio.to_thread(part.write, piece)
            return await asyncio.to_thread(part.publish, target)
        except BaseException:
            await asyncio.to_thread(part.discard)
            raise

    @asynccontextmanager
    async def draft(self, key: str) -> AsyncIterator[Draft]:
        """Open the draft of a blob, new or left behind. Raises BusyError."""
        target = self.path(key)
        part = Part(target.with_name(f".{target.name}.draft"))
        try:
            await asyncio.to_thread(part.resume)
            yield Draft(part, self)
        finally:
            await asyncio.to_thread(part.close)

    async def read(
        self, key: str, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes]:
        """Give the bytes from `start` up to, not including, `end`. MissingError."""
        with _missing(key):
            file = await _open(self.path(key))
        try:
            await asyncio.to_thread(file.seek, start)
            left = None if end is None else end - start
            while left is None or left > 0:
                wanted = CHUNK_BYTES if left is None else min(left, CHUNK_BYTES)
                data = await asyncio.to_thread(file.read, wanted)
                if not data:
                    break
                left = None if left is None else left - len(data)
                yield data
        finally:
            # A client that has the last byte hangs up, which must not cancel this.
            closing = asyncio.get_running_loop().run_in_executor(None, file.close)
            await asyncio.shield(closing)

    async def size(self, key: str) -> int:
        """Say how many bytes a blob has. Raises MissingError."""
        with _missing(key):
            return (await asyncio.to_thread(self.path(key).stat)).st_size

    async def exists(self, key: str) -> bool:
        """Whether something is stored under this key."""
        return await asyncio.to_thread(self.path(key).is_file)

    async def measure(self, key: str) -> Written:
        """Read a blob once for its size and sha256. Raises MissingError."""
        with _missing(key):
            return await asyncio.to_thread(_measure, self.path(key))

    async def keys(self, task: str) -> list[str]:
        """Return the keys of everything stored for a task."""
        folder = self._folder / check_task(task)
        return await asyncio.to_thread(_keys, folder)

    async def delete(self, prefix: str) -> None:
        """Remove one blob, or by its id everything of a task; nothing is no error."""
        if "/" in prefix:
            await asyncio.to_thread(self.path(prefix).unlink, missing_ok=True)
        else:
            folder = self._folder / check_task(prefix)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def idle(self, age_seconds: float) -> list[str]:
        """Return the tasks for which nothing was written for so long."""
        return await asyncio.to_thread(_idle, self._folder, time.time() - age_seconds)

    async def sweep(self, age_seconds: float) -> int:
        """Remove what a killed `put` left behind, if it is so old; say how many.

        Drafts stay: they are gone on with.
        """
        return await asyncio.to_thread(_sweep, self._folder, time.time() - age_seconds)


async def within(
    limit: int | None, chunks: AsyncIterator[bytes], key: str
) -> AsyncIterator[bytes]:
    """Pass chunks on up to a limit; raises TooLargeError beyond it."""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if limit is not None and size > limit:
            raise TooLargeError(key, limit)
        yield chunk


async def pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join small chunks, so that not each of them is a trip to a thread."""
    waiting: list[bytes] = []
    size = 0
    async for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= CHUNK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


async def _open(path: Path) -> BufferedReader:
    """Open for reading, in a thread; closed again when nobody waits for it any more."""
    opening = asyncio.get_running_loop().run_in_executor(None, path.open, "rb")
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)
        raise


def _close(opening: asyncio.Future[BufferedReader]) -> None:
    if not opening.cancelled() and not opening.exception():
        opening.result().close()


@contextmanager
def _missing(key: str) -> Iterator[None]:
    """Tell a missing file by its key."""
    try:
        yield
    except FileNotFoundError:
        raise MissingError(key) from None


def _measure(path: Path) -> Written:
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
        return Written(file.tell(), digest)


def _keys(folder: Path) -> list[str]:
    with suppress(FileNotFoundError):
        names = sorted(p.name for p in folder.iterdir() if p.name[0] != ".")
        return [f"{folder.name}/{name}" for name in names]
    return []


def _sweep(folder: Path, before: float) -> int:
    removed = 0
    for left in folder.glob("*/.*.part"):
        with suppress(FileNotFoundError):
            if left.stat().st_mtime >= before:
                continue
            left.unlink()
            removed += 1
        with suppress(OSError):  # not empty
            left.parent.rmdir()
    return removed


def _idle(folder: Path, before: float) -> list[str]:
    found: list[str] = []
    for task in folder.iterdir():
        with suppress(FileNotFoundError, NotADirectoryError, InvalidKeyError):
            written = (p.stat().st_mtime for p in (task, *task.iterdir()))
            if max(written) < before:
                found.append(check_task(task.name))
    return sorted(found)
