"""`/api/v1/tasks/{id}/video` and `/poster`: stored files, whole or in parts."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from blobs import MissingError
from contracts.requests import Task
from contracts.values import ResultRef
from gateway_http.access import Reader
from gateway_http.parts import Parts, TaskId, problems
from gateway_http.problems import Problem
from gateway_http.ranges import Slice, UnsatisfiableError, unchanged, wanted
from gateway_http.reading import read_task

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


Index = Annotated[int, Query(ge=0, le=99)]


@dataclass(frozen=True)
class Stored:
    """A file to be served, and what it is called."""

    key: str
    mime: str
    size: int
    etag: str
    filename: str


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1/tasks", tags=["tasks"])

    async def video(
        request: Request, task: TaskId, caller: Reader, index: Index = 0
    ) -> Response:
        """Fetch what was made. Takes Range, If-Range and If-None-Match."""
        found = await read_task(parts.bus, task, caller.seen_by)
        return await _served(parts, request, await _video(parts, found, index))

    async def poster(
        request: Request, task: TaskId, caller: Reader, index: Index = 0
    ) -> Response:
        """Fetch a picture of what was made; images and some films have none."""
        found = await read_task(parts.bus, task, caller.seen_by)
        return await _served(parts, request, await _poster(parts, found, index))

    for endpoint, mimes, no in (
        (video, ("video/mp4", *IMAGES), (409,)),
        (poster, ("image/jpeg",), ()),
    ):
        for method in ("GET", "HEAD"):
            routes.add_api_route(
                f"/{{task}}/{endpoint.__name__}",
                endpoint,
                methods=[method],
                include_in_schema=method == "GET",
                response_class=Response,
                responses={
                    200: {"content": {mime: {} for mime in mimes}},
                    206: {"description": "The part that was asked for."},
                    304: {"description": "You have it."},
                    **problems(404, *no, 410, 416, 503),
                },
            )
    return routes


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
    if index >= len(task.results):
        raise Problem(404, "not_found", f"the task has {len(task.results)} results")
    return task.results[index]


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
    return _Chunks(chunks, status, headers, file.mime)


class _Chunks(StreamingResponse):
    """Sends a file piece by piece, and closes it also when the client hangs up."""

    def __init__(
        self,
        chunks: AsyncGenerator[bytes],
        status: int,
        headers: dict[str, str],
        mime: str,
    ) -> None:
        super().__init__(chunks, status, headers, mime)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with aclosing(self._chunks):
            await super().__call__(scope, receive, send)
