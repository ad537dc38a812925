"""`/api/v1/tasks/{id}/video`: the stored file, whole or in parts."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from contracts.requests import Task
from contracts.tasks import ResultRef
from gateway_http.parts import Parts, TaskId, problems
from gateway_http.problems import Problem
from gateway_http.ranges import Slice, UnsatisfiableError, unchanged, wanted
from gateway_http.reading import read_task

ENDINGS = {"video/mp4": "mp4", "video/webm": "webm", "image/png": "png"}
# A browser that opens the link shows its own player: the file and its style.
POLICY = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'"


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1/tasks", tags=["tasks"])

    async def video(
        request: Request,
        task: TaskId,
        index: Annotated[int, Query(ge=0, le=99)] = 0,
    ) -> Response:
        """Fetch what was made. Takes Range, If-Range and If-None-Match."""
        found = await read_task(parts.bus, task)
        result = _result(found, index)
        etag = f'"{result.sha256}"'
        headers = _headers(found, result, etag)
        if unchanged(request.headers, etag):
            return Response(status_code=304, headers=headers)
        try:
            part = wanted(request.headers, result.size, etag)
        except UnsatisfiableError:
            raise _unsatisfiable(result.size) from None
        await _must_exist(parts, result)
        return _answer(parts, request.method, result, part, headers)

    for method in ("GET", "HEAD"):
        routes.add_api_route(
            "/{task}/video",
            video,
            methods=[method],
            include_in_schema=method == "GET",
            response_class=Response,
            responses={
                200: {"content": {"video/mp4": {}}},
                206: {"description": "The part that was asked for."},
                304: {"description": "You have it."},
                **problems(404, 409, 410, 416, 503),
            },
        )
    return routes


def _result(task: Task, index: int) -> ResultRef:
    if task.status != "succeeded":
        raise Problem(
            409,
            "not_succeeded",
            f"the task is {task.status}: its video is there once it succeeded",
            task_status=task.status,
        )
    if index >= len(task.results):
        raise Problem(404, "not_found", f"the task has {len(task.results)} results")
    return task.results[index]


async def _must_exist(parts: Parts, result: ResultRef) -> None:
    if not await parts.store.exists(result.key):
        raise Problem(410, "file_gone", "the file was removed from the store")


def _unsatisfiable(size: int) -> Problem:
    text = f"the file has {size} bytes"
    headers = {"Content-Range": f"bytes */{size}"}
    return Problem(416, "range_not_satisfiable", text, headers=headers)


def _headers(task: Task, result: ResultRef, etag: str) -> dict[str, str]:
    ending = ENDINGS.get(result.mime, "bin")
    return {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": POLICY,
        "Content-Disposition": f'inline; filename="{task.id}.{ending}"',
    }


def _answer(
    parts: Parts,
    method: str,
    result: ResultRef,
    part: Slice | None,
    headers: dict[str, str],
) -> Response:
    whole = Slice(0, result.size)
    sent = part or whole
    headers["Content-Length"] = str(sent.size)
    if part:
        headers["Content-Range"] = f"bytes {sent.start}-{sent.stop - 1}/{result.size}"
    status = 206 if part else 200
    if method == "HEAD":
        headers["Content-Type"] = result.mime
        return Response(status_code=status, headers=headers)
    chunks = parts.store.read(result.key, sent.start, sent.stop)
    return _Chunks(chunks, status, headers, result.mime)


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
