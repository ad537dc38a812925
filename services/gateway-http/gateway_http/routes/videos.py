"""`/api/v1/tasks/{id}/results`, `/video`, `/poster`: stored files, whole or in parts.

`/links` makes links to them that need no key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from blobs import MissingError
from contracts.message import now
from contracts.requests import Task
from contracts.values import ResultRef
from gateway_http.access import Caller, Reader, ReaderOrLink
from gateway_http.chunks import Chunks
from gateway_http.document.headers import FILE, OF_FILES, named
from gateway_http.filters import Number
from gateway_http.links import Made, Target, signed
from gateway_http.parts import Answers, Parts, TaskId, problems
from gateway_http.problems import Problem
from gateway_http.ranges import Slice, UnsatisfiableError, unchanged, wanted
from gateway_http.reading import read_task
from gateway_http.views import Moment

ENDINGS = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
}
IMAGES = tuple(mime for mime in ENDINGS if mime.startswith("image/"))
# A browser that opens the link shows its own player: the file and its style.
POLICY = (
    "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'"
)


Index = Annotated[Number, Query(ge=0, le=99, description="Which result, from 0.")]
Place = Annotated[Number, Path(ge=0, le=99, description="Which result, from 0.")]
LONGEST_SECONDS = 30 * 86_400
BYTES = {"type": "string", "format": "binary"}


@dataclass(frozen=True)
class Stored:
    """A file to be served, and what it is called."""

    key: str
    mime: str
    size: int
    etag: str
    filename: str


class Wanted(BaseModel):
    """Which file a link is to open, and for how long."""

    model_config = ConfigDict(extra="forbid")

    kind: Made = "video"
    index: Annotated[int, Field(strict=True, ge=0, le=99)] = 0
    expires_in: Annotated[int, Field(strict=True, ge=1, le=LONGEST_SECONDS)] = Field(
        86_400, description="Seconds."
    )


class Link(BaseModel):
    """A link that needs no key. Whoever has it can fetch this file, and only it."""

    url: str
    expires_at: Moment


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1/tasks", tags=["tasks"])

    async def served(
        request: Request, caller: Caller | None, target: Target
    ) -> Response:
        if caller is None:
            parts.link_keys.check(target, request.query_params, now())
        seen_by = caller.seen_by if caller else None
        found = await read_task(parts.bus, target.task, seen_by)
        return await _served(parts, request, await _stored(parts, found, target))

    async def video(
        request: Request, task: TaskId, caller: ReaderOrLink, index: Index = 0
    ) -> Response:
        """Fetch what was made. Takes Range, If-Range and If-None-Match."""
        return await served(request, caller, Target(task, index))

    async def result(
        request: Request, task: TaskId, caller: ReaderOrLink, index: Place
    ) -> Response:
        """Fetch one of several results, the first is 0."""
        return await served(request, caller, Target(task, index))

    async def poster(
        request: Request, task: TaskId, caller: ReaderOrLink, index: Index = 0
    ) -> Response:
        """Fetch a picture of what was made; images and some films have none."""
        return await served(request, caller, Target(task, index, "poster"))

    for endpoint, path, mimes, no in (
        (video, "video", ("video/mp4", *IMAGES), (409,)),
        (result, "results/{index}", ("video/mp4", *IMAGES), (409,)),
        (poster, "poster", ("image/jpeg",), ()),
    ):
        for method in ("GET", "HEAD"):
            routes.add_api_route(
                f"/{{task}}/{path}",
                endpoint,
                methods=[method],
                include_in_schema=method == "GET",
                response_class=Response,
                openapi_extra={"parameters": OF_FILES},
                responses={**_answers(mimes), **problems(404, *no, 410, 416)},
            )

    @routes.post("/{task}/links", status_code=201, responses=problems(404, 409, 410))
    async def link(
        request: Request, task: TaskId, wanted: Wanted, caller: Reader
    ) -> Link:
        """Make a link to one file that needs no key, and expires."""
        found = await read_task(parts.bus, task, caller.seen_by)
        target = Target(found.id, wanted.index, wanted.kind)
        await _stored(parts, found, target)
        until = now() + timedelta(seconds=wanted.expires_in)
        url = signed(parts.base(request), parts.link_keys, target, until)
        return Link(url=url, expires_at=until.replace(microsecond=0))

    return routes


def _answers(mimes: Iterable[str]) -> Answers:
    """Describe a file, or a part of it, as it is sent."""
    content = {mime: {"schema": BYTES} for mime in mimes}
    part = named(*FILE, "Content-Range")
    told = {"description": "The part that was asked for.", "content": content}
    return {
        200: {"description": "It.", "content": content, "headers": named(*FILE)},
        206: {**told, "headers": part},
        304: {"description": "You have it.", "headers": named(*FILE)},
    }


async def _stored(parts: Parts, task: Task, target: Target) -> Stored:
    find = _poster if target.kind == "poster" else _video
    return await find(parts, task, target.index)


async def _served(parts: Parts, request: Request, file: Stored) -> Response:
    headers = _headers(file)
    if unchanged(request.headers, file.etag):
        return Response(status_code=304, headers=headers)
    try:
        part = wanted(request.headers, file.size, file.etag)
    except UnsatisfiableError:
        raise _unsatisfiable(file.size) from None
    return _answer(parts, request.method, file, part, headers)


async def _video(parts: Parts, task: Task, index: int) -> Stored:
    if task.status != "succeeded":
        raise Problem(
            409,
            "not_succeeded",
            f"the task is {task.status}: its file is there once it succeeded",
            task_status=task.status,
        )
    result = _result(task, index)
    if not await parts.store.exists(result.key):
        raise Problem(410, "file_gone", "the file was removed from the store")
    name = f"{task.id}-{index}" if index else task.id
    filename = f"{name}.{ENDINGS.get(result.mime, 'bin')}"
    etag = f'"{result.sha256}"'
    return Stored(result.key, result.mime, result.size, etag, filename)


async def _poster(parts: Parts, task: Task, index: int) -> Stored:
    if task.status != "succeeded":
        text = f"the task is {task.status}: it has no poster unless it succeeds"
        raise Problem(404, "no_poster", text, task_status=task.status)
    result = _result(task, index)
    none = Problem(404, "no_poster", "there is no poster of this result")
    if not result.poster:
        raise none
    try:
        size = await parts.store.size(result.poster)
    except MissingError:
        raise none from None
    etag = f'"{result.sha256}-poster"'
    return Stored(result.poster, "image/jpeg", size, etag, f"{task.id}.jpg")


def _result(task: Task, index: int) -> ResultRef:
    if task.files_deleted_at:
        raise Problem(
            410,
            "files_deleted",
            f"its files were deleted on {task.files_deleted_at:%Y-%m-%d %H:%M} UTC, "
            f"for their age (RETENTION_DAYS)",
        )
    if found := next((r for r in task.results if r.index == index), None):
        return found
    raise Problem(404, "not_found", f"the task has {len(task.results)} results")


def _unsatisfiable(size: int) -> Problem:
    text = f"the file has {size} bytes"
    headers = {"Content-Range": f"bytes */{size}"}
    return Problem(416, "range_not_satisfiable", text, headers=headers)


def _headers(file: Stored) -> dict[str, str]:
    return {
        "ETag": file.etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": POLICY,
        "Content-Disposition": f'inline; filename="{file.filename}"',
    }


def _answer(
    parts: Parts,
    method: str,
    file: Stored,
    part: Slice | None,
    headers: dict[str, str],
) -> Response:
    sent = part or Slice(0, file.size)
    headers["Content-Length"] = str(sent.size)
    if part:
        headers["Content-Range"] = f"bytes {sent.start}-{sent.stop - 1}/{file.size}"
    status = 206 if part else 200
    if method == "HEAD":
        headers["Content-Type"] = file.mime
        return Response(status_code=status, headers=headers)
    chunks = parts.store.read(file.key, sent.start, sent.stop)
    return Chunks(chunks, status, headers, file.mime)
