"""`/api/v1/tasks`: create, list, read, cancel."""

from typing import Annotated, Any, Literal

import uuid_utils
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from contracts.message import now
from contracts.requests import Cancelled, ListTasks, RequestRefusedError
from contracts.tasks import CreateTask, Status
from fetch import LONGEST_URL
from gateway_http.accept import NotAcceptedError, accept
from gateway_http.intake import Received, Shelf, receive, shelf
from gateway_http.parts import Parts, TaskId, problems
from gateway_http.problems import Problem, refused, storage_full, unavailable
from gateway_http.reading import as_queued, cancel_task, read_task
from gateway_http.references import job_of
from gateway_http.views import TaskView, task_view
from gateway_http.wish import Wish
from gateway_http.workers import NO_BROWSER

CONFLICT = 409
EXAMPLE_URL = "https://files.example/fox.png"


class Created(BaseModel):
    """An accepted task."""

    task_id: str
    task: TaskView


class OneTask(BaseModel):
    """One task."""

    task: TaskView


class TaskList(BaseModel):
    """Some tasks, the newest first; prompts are cut to 300 characters."""

    tasks: list[TaskView]
    next_cursor: str | None = Field(description="Give it as `cursor` to go on.")


class CancelledTask(BaseModel):
    """A cancelled task, and whether the site charges for it nevertheless."""

    ok: bool = True
    task: TaskView
    upstream_charged: bool | Literal["unknown"]


def _body() -> dict[str, Any]:
    """Describe the two forms of a create's body, which the route reads by itself."""
    schema = Wish.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    fields = schema["properties"]
    fields["files"] = {
        "type": "array",
        "description": "Reference files in order, Base64 or data: URIs, at most 32 MiB "
        "a body; or URLs, which are fetched once the task is accepted.",
        "items": {
            "anyOf": [_file("data", {"type": "string"}), _file("url", _URL), _URL]
        },
    }
    binary = {"type": "string", "format": "binary"}
    either = {"type": "array", "items": {"anyOf": [binary, _URL]}}
    inline = {"data": "iVBORw0KGgo=", "filename": "fox.png", "mime_type": "image/png"}
    examples = {
        "text": {"value": {"prompt": "a fox in the snow"}},
        "image": {"value": {"prompt": "@1 runs", "duration": 5, "files": [inline]}},
        "url": {"value": {"prompt": "@1 runs", "files": [{"url": EXAMPLE_URL}]}},
    }
    form = {**schema, "properties": {**fields, "files": either}}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": schema, "examples": examples},
                "multipart/form-data": {"schema": form},
            },
        }
    }


_URL: dict[str, Any] = {"type": "string", "format": "uri", "maxLength": LONGEST_URL}


def _file(name: str, value: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "string"}
    fields = {name: value, "filename": text, "mime_type": text}
    return {"type": "object", "required": [name], "properties": fields}


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1/tasks", tags=["tasks"])

    @routes.post(
        "",
        status_code=201,
        openapi_extra=_body(),
        responses=problems(400, 413, 415, 422, 503, 507),
    )
    async def create(request: Request) -> Created:
        """Ask for a video. 201 means that it will be made, whatever stops meanwhile."""
        if lacking := parts.room.lacking():
            raise storage_full(lacking)
        task = str(uuid_utils.uuid7())
        async with shelf(parts.store, task) as lent:
            command = await _command(parts, task, await receive(request, lent))
            await _accept(parts, command, lent)
        return Created(
            task_id=task, task=task_view(as_queued(command), parts.base(request))
        )

    @routes.get("", responses=problems(422, 503))
    async def read_some(
        request: Request,
        status: Annotated[Status | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> TaskList:
        """List tasks, the newest first."""
        asked = ListTasks(status=status, limit=limit, cursor=cursor)
        page = await parts.bus.ask(asked)
        base = parts.base(request)
        return TaskList(
            tasks=[task_view(task, base) for task in page.tasks],
            next_cursor=page.cursor,
        )

    @routes.get("/{task}", responses=problems(404, 503))
    async def read(request: Request, task: TaskId) -> OneTask:
        """Read one task, also one that the scheduler has still to take in."""
        found = await read_task(parts.bus, task)
        return OneTask(task=task_view(found, parts.base(request)))

    @routes.post("/{task}/cancel", responses=problems(404, 409, 503))
    async def cancel(request: Request, task: TaskId) -> CancelledTask:
        """Stop a task. What the site has begun it may finish, and charge."""
        done = await _cancel(parts, task)
        charged = {"true": True, "false": False}.get(done.upstream_charged, "unknown")
        return CancelledTask(
            task=task_view(done.task, parts.base(request)),
            upstream_charged=charged,
        )

    return routes


async def _command(parts: Parts, task: str, received: Received) -> CreateTask:
    job, in_page = job_of(received.wish, received.files)
    beats = await parts.workers.beats()
    if in_page and beats.known and not beats.has_browser:
        raise unavailable(NO_BROWSER, "browser_missing")
    return CreateTask(
        task=task,
        job=job,
        priority=received.wish.priority,
        metadata=received.wish.metadata,
        created_at=now(),
    )


async def _accept(parts: Parts, command: CreateTask, lent: Shelf) -> None:
    """Publish the create; its files stay unless it is certainly stored nowhere."""
    # Also while it is not known: a client that hangs up takes nothing back.
    lent.keep = True
    try:
        await accept(parts.bus, command, parts.patience.accept)
    except NotAcceptedError as error:
        lent.keep = not error.certain
        text = "it was not accepted" if error.certain else "it may have been accepted"
        raise unavailable(
            f"task {command.task}: NATS did not acknowledge it, {text}",
            "not_accepted" if error.certain else "acceptance_unknown",
            task_id=command.task,
        ) from None


async def _cancel(parts: Parts, task: str) -> Cancelled:
    try:
        return await cancel_task(parts.bus, task)
    except RequestRefusedError as no:
        if no.refusal.status != CONFLICT:
            raise
        found = await read_task(parts.bus, task)
        problem = refused(no.refusal)
        raise Problem(
            CONFLICT, problem.kind, problem.detail, task_status=found.status
        ) from None
