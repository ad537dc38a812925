"""A create's body taken in: fields checked, files stored under the task's id.

JSON is held in memory once, up to 32 MiB, and its files are decoded into the blob store
piece by piece; a form's files flow there as they arrive. Whatever is refused leaves no
blob behind.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from mmap import MAP_PRIVATE, mmap
from typing import Generic, TypeVar

from fastapi import Request
from pydantic import ValidationError

import blobs
from contracts.requests import Task
from contracts.values import FileRef
from gateway_http import multipart, wish
from gateway_http.bounds import has_own_limit
from gateway_http.fields import link
from gateway_http.inline import EncodingError, decoded, lift
from gateway_http.problems import (
    Problem,
    from_validation,
    invalid_field,
    storage_full,
)
from gateway_http.references import linked, look_at, name_in
from gateway_http.wish import Retry, Wish
from jimeng import VIDEO_MODELS

MIB = 1024 * 1024
LARGEST_JSON = 32 * MIB
LARGEST_FILE = 200 * MIB
LARGEST_FORM = 1024 * MIB
LONGEST_TEXT = 256 * 1024  # the longest prompt, four bytes a character, with room
MOST_FILES = max(model.omni.total for model in VIDEO_MODELS if model.omni)
LONGEST_NAME = 200
FULL = "the disk is full: nothing was kept; free some room and send it again"
W = TypeVar("W", bound=Wish)
log = logging.getLogger("http")


@dataclass
class Received(Generic[W]):
    """What a client sent: its wish, and the files that lie in the store."""

    wish: W
    files: list[FileRef]


@dataclass(frozen=True)
class Form(Generic[W]):
    """How a route's body is read: as JSON or as the texts of a form.

    `names` are the fields a form may have, `files` those of its files. `everywhere`:
    a file is taken by whatever name it comes; `ignoring`: what else comes is left out.
    """

    from_json: Callable[[bytes], W]
    from_form: Callable[[dict[str, str]], W]
    names: frozenset[str]
    files: frozenset[str]
    everywhere: bool = False
    ignoring: bool = False

    def takes(self, part: multipart.Part) -> bool:
        """Whether a part is a file, or the URL of one."""
        by_any_name = self.everywhere and part.filename is not None
        return part.name in self.files or by_any_name


TASK = Form(wish.from_json, wish.from_form, wish.NAMES, frozenset(wish.FILES))


@dataclass
class Shelf:
    """The blobs of one task that is not accepted yet."""

    store: blobs.Store
    task: str
    files: list[FileRef] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    """The name that each file came under, empty: none that says anything."""
    keep: bool = False

    async def put(
        self, name: str, chunks: AsyncIterator[bytes], under: str = ""
    ) -> None:
        """Store one more file. Raises Problem naming it."""
        place, key = self._next()
        try:
            written = await self.store.put(key, chunks, limit=LARGEST_FILE)
        except blobs.TooLargeError:
            text = f"larger than {LARGEST_FILE // MIB} MiB"
            raise invalid_field(f"files.{place}", text, 413) from None
        except blobs.StorageFullError as error:
            log.error("a file of a create was not stored: %s", error)  # noqa: TRY400
            raise storage_full(FULL) from None
        named = name or f"file-{place + 1}"
        self.files.append(await look_at(self.store, key, named, written, place))
        self.fields.append(under)

    def link(self, name: str, url: str, mime: str = "", under: str = "") -> None:
        """Keep the place of a file that the uploader fetches. Raises Problem."""
        place, key = self._next()
        named = name or _name(name_in(url)) or f"file-{place + 1}"
        self.files.append(linked(key, named, url, mime))
        self.fields.append(under)

    def _next(self) -> tuple[int, str]:
        place = len(self.files)
        if place >= MOST_FILES:
            raise invalid_field("files", f"more than {MOST_FILES} files")
        return place, f"{self.task}/reference-{place + 1}"


@asynccontextmanager
async def shelf(store: blobs.Store, task: str) -> AsyncIterator[Shelf]:
    """Lend a place for a task's files; left without `keep`, they are removed."""
    lent = Shelf(store, task)
    try:
        yield lent
    finally:
        if not lent.keep:
            await asyncio.shield(store.delete(task))


async def receive(request: Request, lent: Shelf) -> Received[Wish]:
    """Read a create of `/api/v1/tasks`. Raises Problem."""
    return await receive_as(TASK, request, lent)


async def receive_as(form: Form[W], request: Request, lent: Shelf) -> Received[W]:
    """Read a create. Raises Problem."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return Received(await _json(request, lent, form.from_json), lent.files)
    if kind == "multipart/form-data":
        return await _form(form, request, lent)
    raise Problem(
        415, "unsupported_media_type", "send application/json or multipart/form-data"
    )


async def receive_retry(
    request: Request, lent: Shelf, old: Task
) -> tuple[Retry, list[FileRef]]:
    """Read a retry, whose body may be empty. Raises Problem."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {"application/json", ""}:
        raise Problem(415, "unsupported_media_type", "send application/json")
    found = await _json(request, lent, lambda body: wish.from_retry(body, old))
    return found, lent.files if found.changes_files else list(old.job.files)


async def _json(request: Request, lent: Shelf, read: Callable[[bytes], W]) -> W:
    text = f"JSON ends at {LARGEST_JSON // MIB} MiB: send larger files as a form"
    # Takes up only what is written, and never moves, which at 30 MiB takes 16 ms.
    body = mmap(-1, LARGEST_JSON, MAP_PRIVATE)
    async for chunk in _stream(request, LARGEST_JSON, text):
        body.write(chunk)
    lifted = await lift(memoryview(body)[: body.tell()])
    found = _checked(lambda: read(bytes(lifted.rest)))
    for place, file in enumerate(found.files):
        name, under = _name(file.filename), file.field
        if file.data is None:
            lent.link(name, file.url or "", file.mime_type or "", under)
            continue
        try:
            await lent.put(name, decoded(lifted.pieces(file.data)), under)
        except EncodingError as error:
            raise invalid_field(f"files.{place}.data", str(error)) from None
    return found


async def _form(form: Form[W], request: Request, lent: Shelf) -> Received[W]:
    text = f"a form ends at {LARGEST_FORM // MIB} MiB"
    stream = _stream(request, LARGEST_FORM, text)
    fields: dict[str, str] = {}
    try:
        async for part in multipart.parts(stream, request.headers["content-type"]):
            await _part(form, part, fields, lent)
    except multipart.BrokenFormError as error:
        raise Problem(400, "invalid_request", f"not a form: {error}") from None
    return Received(_checked(lambda: form.from_form(fields)), lent.files)


async def _part(
    form: Form[W], part: multipart.Part, fields: dict[str, str], lent: Shelf
) -> None:
    if form.takes(part):
        if part.filename is None:
            await _link(part, lent)
            return
        await lent.put(_name(part.filename), part.chunks, part.name)
        return
    if part.filename is not None:
        raise invalid_field(part.name, "is no file: files go into `files`")
    if part.name not in form.names:  # at once: kept, they would fill the memory
        if form.ignoring:
            return
        raise invalid_field(part.name, "is not a field of this request")
    if part.name in fields:
        raise invalid_field(part.name, "is given twice")
    fields[part.name] = await _text(part)


async def _link(part: multipart.Part, lent: Shelf) -> None:
    url = await _text(part)
    try:
        lent.link("", link(url), under=part.name)
    except ValueError as error:
        text = f"must be a file or a URL: {error}"
        raise invalid_field(f"files.{len(lent.files)}", text) from None


async def _text(part: multipart.Part) -> str:
    value = b""
    async for chunk in part.chunks:
        value += chunk
        if len(value) > LONGEST_TEXT:
            raise invalid_field(part.name, "is too long")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise invalid_field(part.name, "is not UTF-8") from None


async def _stream(request: Request, limit: int, text: str) -> AsyncIterator[bytes]:
    """Read a body up to its limit."""
    has_own_limit(request)
    too_large = Problem(413, "too_large", text)
    if int(request.headers.get("content-length", "0")) > limit:
        raise too_large
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise too_large
        yield chunk


def _checked(read: Callable[[], W]) -> W:
    try:
        return read()
    except ValidationError as error:
        raise from_validation(error.errors(include_input=False)) from None


def _name(filename: str) -> str:
    """Return what a file is called: no folders, nothing a terminal would obey."""
    last = re.split(r"[/\\]", filename)[-1]
    return "".join(filter(str.isprintable, last)).strip()[:LONGEST_NAME]
