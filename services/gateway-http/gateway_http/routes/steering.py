"""`/api/v1/tasks/{id}/retry` and `/resolve`: what a person decides about a task."""

from functools import partial
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts import requests as asked
from contracts.message import now
from contracts.values import TERMINAL, Webhook
from gateway_http.access import Caller, Resolver, Retrier, creates
from gateway_http.bodies import retry_body
from gateway_http.creating import begin, place
from gateway_http.document.headers import REPLAY, named
from gateway_http.intake import Shelf, receive_retry
from gateway_http.parts import Parts, TaskId, problems
from gateway_http.problems import Problem, storage_full, unavailable
from gateway_http.reading import no_answer, read_task, told_status
from gateway_http.references import Order, cost_of, order_of
from gateway_http.repeats import REPLAYED, Claim, claimed, fingerprint, mark_of, moved
from gateway_http.routes.tasks import Created, OneTask
from gateway_http.views import task_view
from gateway_http.wish import Retry

NOT_HELD = "task_not_held", "the task is not held: it is waiting"


class Retried(Created):
    """An accepted retry."""

    retry_of: str


class Decision(BaseModel):
    """How a hold ends."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["resend", "fail"] = Field(
        description="`resend` sends the same submit once more; `fail` gives it up."
    )


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1/tasks", tags=["tasks"])

    @routes.post(
        "/{task}/retry",
        status_code=201,
        openapi_extra=retry_body(),
        responses={201: {"headers": named(REPLAY)}, **problems(404, 409, 415, 507)},
    )
    async def retry(
        request: Request, response: Response, task: TaskId, caller: Retrier
    ) -> Retried:
        """Make an ended task anew, as a task of its own.

        What the old one may have at the site is looked for first and taken over: it is
        not paid for twice. `again`, or another prompt, model, length, shape or file,
        buys anew without looking; for the latter a key also needs what a create needs.
        """
        old = await read_task(parts.bus, task, caller.seen_by)
        if old.status not in TERMINAL:
            text = f"the task is {old.status}; only an ended one can be retried"
            raise Problem(409, "task_running", text, task_status=old.status)
        if lacking := parts.room.lacking():
            raise storage_full(lacking)
        async with place(parts, request) as lent:
            wish = await _wish(parts, request, lent, old, caller)
            found = await _ask(parts, wish, lent)
        if wish.new_task != lent.task:
            response.headers.update(REPLAYED)
        view = task_view(found, parts.links(request))
        return Retried(task_id=found.id, task=view, retry_of=old.id)

    @routes.post("/{task}/resolve", responses=problems(404, 409))
    async def resolve(
        request: Request, task: TaskId, body: Decision, caller: Resolver
    ) -> OneTask:
        """End a hold: nobody knows whether the site has taken this task's submit."""
        wish = asked.ResolveTask(task=task, seen_by=caller.seen_by, action=body.action)
        found = await told_status(parts.bus, wish, parts.bus.ask(wish), NOT_HELD)
        return OneTask(task=task_view(found, parts.links(request)))

    return routes


async def _wish(
    parts: Parts, request: Request, lent: Shelf, old: asked.Task, caller: Caller
) -> asked.RetryTask:
    given, files = await receive_retry(request, lent, old)
    if old.files_deleted_at and files == list(old.job.files) != []:
        text = "its reference files were deleted for their age: send them in `files`"
        raise Problem(409, "files_deleted", text, task_status=old.status)
    parts.hooks.check(given)
    order = order_of(given, files) if given.changes_job else None
    if order:  # what was not made before
        caller.must(creates(order.kind))
    mine = Claim(task=lent.task, body=fingerprint(given, files), at=now())
    made = order or Order(old.job, old.kind, in_page=False)
    claim = await claimed(
        parts.bus,
        mark_of(request, caller, mine.body),
        mine,
        lent,
        ready=partial(begin, parts, request, given, made, old.owner),
        seconds=parts.patience.accept,
    )
    job = order.job if order else None
    if job and given.changes_files:
        job = job.model_copy(update={"files": moved(job.files, claim.task)})
    return asked.RetryTask(
        task=old.id,
        seen_by=caller.seen_by,
        new_task=claim.task,
        again=given.again,
        job=job,
        priority=given.priority,
        metadata=given.metadata,
        terms=given.terms.model_copy(update={"credits": cost_of(made.job)}),
        webhook=_webhook(parts, request, claim.task, given),
    )


def _webhook(
    parts: Parts, request: Request, task: str, given: Retry
) -> Webhook | Literal["none"] | None:
    if not given.changes_webhook:
        return None
    return parts.hooks.sealed(given, task, parts.base(request)) or "none"


async def _ask(parts: Parts, wish: asked.RetryTask, lent: Shelf) -> asked.Task:
    """Ask for the retry; its files stay unless it is certainly refused."""
    claimed, lent.keep = lent.keep, wish.new_task == lent.task
    try:
        return await told_status(parts.bus, wish, parts.bus.ask(wish))
    except no_answer as error:
        text = f"task {wish.new_task}: the scheduler does not answer ({error})"
        raise unavailable(
            f"{text}; it may have been accepted",
            "acceptance_unknown",
            task_id=wish.new_task,
        ) from None
    except (asked.RequestRefusedError, Problem):
        lent.keep = claimed
        raise
