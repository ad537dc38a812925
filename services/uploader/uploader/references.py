"""Reference files as they lie here: taken in with the task, or fetched from a URL."""

from pathlib import Path

import media
from blobs import Store
from contracts.values import FileRef
from fetch import Fetcher, FetchError
from runtime.room import Room
from uploader import domain

MIB = 1024 * 1024
LARGEST_FILE = 200 * MIB  # as large as one that is sent with the task
LARGEST_TASK = 1024 * MIB  # and as much as a form may bring
FETCH_SECONDS = 120.0


class NotAsAcceptedError(Exception):
    """A reference is not what was accepted, or nothing the site takes."""


class References:
    """The references of tasks, looked into before anything is sent."""

    def __init__(self, store: Store, fetcher: Fetcher, room: Room) -> None:
        self._store = store
        self._fetcher = fetcher
        self._room = room

    def path(self, file: FileRef) -> Path:
        """Where the bytes of a file lie."""
        return self._store.path(file.key)

    async def look(self, files: tuple[FileRef, ...]) -> list[media.Probed]:
        """Fetch what is not here yet, and say what each file is, by its bytes.

        Raises NotAsAcceptedError, blobs.MissingError, fetch.FetchError and, where there
        is no room for what is fetched, NoRoomError and blobs.StorageFullError.
        """
        found = []
        room = LARGEST_TASK
        for file in files:
            if file.url:
                room -= await self._fetched(file, room)
            found.append(await self._probed(file))
        return found

    async def _fetched(self, file: FileRef, room: int) -> int:
        """Bring a file here, once for all attempts; return its size."""
        if await self._store.exists(file.key):
            return await self._store.size(file.key)
        self._room.check()
        limit = min(LARGEST_FILE, room)
        opened = self._fetcher.open(file.url, limit=limit, seconds=FETCH_SECONDS)
        try:
            async with opened as body:
                return (await self._store.put(file.key, body)).size
        except FetchError as error:
            raise type(error)(f"{file.name}: {error}") from None

    async def _probed(self, file: FileRef) -> media.Probed:
        path = self._store.path(file.key)
        size = await self._store.size(file.key)
        try:
            found = await media.probe(path)
        except media.NotMediaError as error:
            if file.url:
                await self._store.delete(file.key)
            # A decoder's words may name the file as it lies here.
            text = str(error).replace(repr(str(path)), "it").replace(str(path), "it")
            raise NotAsAcceptedError(f"{file.name}: {text}") from None
        if wrong := domain.mismatch(file, size, found):
            raise NotAsAcceptedError(wrong)
        return found
