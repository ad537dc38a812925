"""`/api/v1/tasks`: create, list, read, cancel. `steering` has what ends or repeats."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from contracts.requests import CancelTask, ListTasks
from contracts.values import Status
from gateway_http.access import Canceller, Creator, Reader
from gateway_http.bodies import create_body
from gateway_http.creating import create_task
from gateway_http.intake import receive
from gateway_http.parts import Parts, TaskId, problems
from gateway_http.reading import as_queued, cancel_task, read_task, told_status
from gateway_http.repeats import REPLAYED
from gateway_http.views import TaskView, task_view


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


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1/tasks", tags=["tasks"])

    @routes.post(
        "",
        status_code=201,
        openapi_extra=create_body(),
        responses=problems(400, 413, 415, 422, 503, 507),
    )
    async def create(request: Request, response: Response, caller: Creator) -> Created:
        """Ask for a video or images. 201: they will be made, whatever stops meanwhile.

        With an `Idempotency-Key`, asking again makes no second one.
        """
        made = await create_task(parts, request, caller, receive)
        if made.replayed:
            response.headers.update(REPLAYED)
        view = task_view(as_queued(made.command), parts.base(request))
        return Created(task_id=made.command.task, task=view)

    @routes.get("", responses=problems(422, 503))
    async def read_some(
        request: Request,
        caller: Reader,
        status: Annotated[Status | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> TaskList:
        """List tasks, the newest first."""
        asked = ListTasks(
            seen_by=caller.seen_by, status=status, limit=limit, cursor=cursor
        )
        page = await parts.bus.ask(asked)
        base = parts.base(request)
        return TaskList(
            tasks=[task_view(task, base) for task in page.tasks],
            next_cursor=page.cursor,
        )

    @routes.get("/{task}", responses=problems(404, 503))
    async def read(request: Request, task: TaskId, caller: Reader) -> OneTask:
        """Read one task, also one that the scheduler has still to take in."""
        found = await read_task(parts.bus, task, caller.seen_by)
        return OneTask(task=task_view(found, parts.base(request)))

    @routes.post("/{task}/cancel", responses=problems(404, 409, 503))
    async def cancel(
        request: Request, task: TaskId, caller: Canceller
    ) -> CancelledTask:
        """Stop a task. What the site has begun it may finish, and charge."""
        wish = CancelTask(task=task, seen_by=caller.seen_by)
        done = await told_status(parts.bus, wish, cancel_task(parts.bus, wish))
        charged = {"true": True, "false": False}.get(done.upstream_charged, "unknown")
        return CancelledTask(
            task=task_view(done.task, parts.base(request)),
            upstream_charged=charged,
        )

    return routes
