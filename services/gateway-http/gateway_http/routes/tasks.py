"""`/api/v1/tasks`: create, list, read, cancel, delete.

`steering` has what repeats or resolves, `batches` what is about many at once.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from contracts.requests import CancelTask, DeleteTask, ListTasks, Stats
from contracts.values import Status
from gateway_http.access import Canceller, Creator, Reader
from gateway_http.bodies import create_body
from gateway_http.creating import create_task
from gateway_http.document.headers import REPLAY, named
from gateway_http.filters import Listing, once_each
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
    total: int | None = Field(description="How many fit; null on later pages.")
    counts: Stats | None = Field(description="The same, by status.")


class CancelledTask(BaseModel):
    """A cancelled task, and whether the site charges for it nevertheless."""

    ok: bool = True
    task: TaskView
    upstream_charged: bool | Literal["unknown"]


class DeletedTask(BaseModel):
    """A task that is no more, and how it had ended."""

    ok: bool = True
    task_id: str
    status: Status


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1/tasks", tags=["tasks"])

    @routes.post(
        "",
        status_code=201,
        openapi_extra=create_body(),
        responses={201: {"headers": named(REPLAY)}, **problems(415, 507)},
    )
    async def create(request: Request, response: Response, caller: Creator) -> Created:
        """Ask for a video or images. 201: they will be made, whatever stops meanwhile.

        With an `Idempotency-Key`, asking again makes no second one.
        """
        made = await create_task(parts, request, caller, receive)
        if made.replayed:
            response.headers.update(REPLAYED)
        view = task_view(as_queued(made.command), parts.links(request))
        return Created(task_id=made.command.task, task=view)

    @routes.get("", dependencies=[Depends(once_each)])
    async def read_some(
        request: Request, caller: Reader, wanted: Annotated[Listing, Query()]
    ) -> TaskList:
        """List tasks, the newest first. A first page also counts all that fit."""
        asked = ListTasks(
            **wanted.wanted.model_dump(),
            seen_by=caller.seen_by,
            limit=wanted.limit,
            cursor=wanted.cursor,
            counted=wanted.cursor is None,
        )
        page = await parts.bus.ask(asked)
        links = parts.links(request)
        return TaskList(
            tasks=[task_view(task, links) for task in page.tasks],
            next_cursor=page.cursor,
            total=page.counts.total if page.counts else None,
            counts=page.counts,
        )

    @routes.get("/{task}", responses=problems(404))
    async def read(request: Request, task: TaskId, caller: Reader) -> OneTask:
        """Read one task, also one that the scheduler has still to take in."""
        found = await read_task(parts.bus, task, caller.seen_by)
        return OneTask(task=task_view(found, parts.links(request)))

    @routes.post("/{task}/cancel", responses=problems(404, 409))
    async def cancel(
        request: Request, task: TaskId, caller: Canceller
    ) -> CancelledTask:
        """Stop a task. What the site has begun it may finish, and charge."""
        wish = CancelTask(task=task, seen_by=caller.seen_by)
        done = await told_status(parts.bus, wish, cancel_task(parts.bus, wish))
        charged = {"true": True, "false": False}.get(done.upstream_charged, "unknown")
        return CancelledTask(
            task=task_view(done.task, parts.links(request)),
            upstream_charged=charged,
        )

    @routes.delete("/{task}", responses=problems(404, 409))
    async def delete(task: TaskId, caller: Canceller) -> DeletedTask:
        """Forget an ended task, and delete its files. The same again does nothing."""
        wish = DeleteTask(task=task, seen_by=caller.seen_by)
        running = "task_running", "the task is queued; only an ended one can be deleted"
        done = await told_status(parts.bus, wish, parts.bus.ask(wish), running)
        return DeletedTask(task_id=done.task, status=done.status)

    return routes
