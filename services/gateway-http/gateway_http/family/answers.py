"""What the family's clients are answered about a task: accepted, made, not made."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from blobs import Store
from contracts.errors import ErrorCode, ErrorKind
from contracts.message import now
from contracts.requests import Task
from contracts.values import TERMINAL, Status
from gateway_http.chunks import Chunks, in_base64
from gateway_http.family.codes import VIDEO, failure, of_task
from gateway_http.links import Links
from gateway_http.views import task_view


class TaskStatus(BaseModel):
    """A task and where it stands."""

    task_id: str
    status: Status


class TaskLink(BaseModel):
    """A task, where it stands, and where to ask again."""

    id: str
    status: Status
    poll_url: str = Field(
        examples=["/api/v1/tasks/01890a5d-ac96-774b-bcce-b302099a8057"]
    )


class Queued(BaseModel):
    """An accepted task."""

    code: Literal[0] = 0
    message: str = "Task queued"
    data: list[TaskStatus]
    task: TaskLink


class Film(BaseModel):
    """A video, by its link or whole."""

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str


class Finished(BaseModel):
    """What was made."""

    created: int = Field(description="Unix time, in seconds.")
    data: list[Film]


class Unmade(BaseModel):
    """A task of which there is nothing to show, or not yet."""

    code: int = Field(examples=[-2008])
    message: str
    data: None = None
    task: TaskLink
    error_kind: ErrorKind | None = Field(None, description="Once it has ended.")
    error_code: ErrorCode | None = None


Headers = dict[str, str]


def queued(task: Task, headers: Headers) -> Response:
    """Answer that a task goes on."""
    body = Queued(
        message=f"Task {task.status}",
        data=[TaskStatus(task_id=task.id, status=task.status)],
        task=_link(task),
    )
    return JSONResponse(body.model_dump(), 202, headers)


def over(task: Task, seconds: float, headers: Headers) -> Response:
    """Answer a client that knows of no tasks that its video takes longer."""
    text = (
        f"task {task.id} is {task.status} after {seconds:g} s and goes on: "
        f"GET {_link(task).poll_url}"
    )
    return _failure(VIDEO, text, task, headers)


def ended(task: Task, links: Links, headers: Headers) -> Response:
    """Answer with what was made, by its links, or with why it was not."""
    view = task_view(task, links)
    if not view.results:
        return _failure(of_task(task), why(task), task, headers)
    films = [Film(url=each.url, revised_prompt=view.prompt) for each in view.results]
    body = Finished(created=_seconds(), data=films)
    return JSONResponse(body.model_dump(exclude_none=True), headers=headers)


async def whole(task: Task, store: Store, headers: Headers) -> Response:
    """Answer with what was made itself, in Base64; it is never in memory whole."""
    there = [await store.exists(each.key) for each in task.results]
    if not there or not all(there):
        return _failure(of_task(task), why(task), task, headers)
    return Chunks(_films(task, store), 200, headers, "application/json")


def why(task: Task) -> str:
    """Say why a task that has ended has nothing to show."""
    if task.status == "succeeded":
        return f"task {task.id}: its files were deleted"
    if task.status == "cancelled":
        return f"task {task.id} was cancelled"
    code = f" ({task.upstream_code})" if task.upstream_code else ""
    return f"task {task.id} failed: {task.error_message}{code}"


async def _films(task: Task, store: Store) -> AsyncGenerator[bytes]:
    comma = b'{"created": %d, "data": [' % _seconds()
    for result in task.results:
        yield comma + b'{"b64_json": "'
        pieces = store.read(result.key, 0, result.size)
        async with aclosing(in_base64(pieces)) as texts:
            async for text in texts:
                yield text
        yield b'", "revised_prompt": ' + json.dumps(task.job.prompt).encode() + b"}"
        comma = b", "
    yield b"]}"


def _failure(code: int, text: str, task: Task, headers: Headers) -> Response:
    link = _link(task).model_dump()
    more: dict[str, Any] = {"task": link}
    if task.status in TERMINAL:
        more |= {"error_kind": task.error_kind, "error_code": task.error_code}
    return JSONResponse(failure(code, text, **more), 200, headers)


def _link(task: Task) -> TaskLink:
    path = f"/api/v1/tasks/{task.id}"
    return TaskLink(id=task.id, status=task.status, poll_url=path)


def _seconds() -> int:
    return int(now().timestamp())
