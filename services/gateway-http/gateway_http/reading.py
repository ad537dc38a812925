"""What is known of a task: by the scheduler, or by a create that still waits."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import NotFoundError
from pydantic import BaseModel

from contracts.bus import Bus
from contracts.message import token
from contracts.requests import (
    AboutTask,
    Cancelled,
    CancelTask,
    ReadTask,
    RequestRefusedError,
    Task,
)
from contracts.tasks import CreateTask
from gateway_http.problems import Problem, refused, unavailable

NOT_FOUND = 404
CONFLICT = 409
no_answer = (NatsTimeoutError, NoRespondersError)
UNKNOWN = "task_waiting", "the task is accepted, and still to be taken in"
R = TypeVar("R")
Q = TypeVar("Q", bound=BaseModel)
# How long a cancel waits for the scheduler to take the create in.
PAUSES = (0.05, 0.2, 0.75, 2.0)


async def read_task(bus: Bus, task: str, seen_by: str | None) -> Task:
    """Return a task. Raises RequestRefusedError, or Problem when nobody answers.

    Between accepting and the scheduler's commit a task is in CMD only, and after the
    ack in the scheduler only: so the scheduler is asked again once CMD has said no.
    """
    wish = ReadTask(task=task, seen_by=seen_by)
    try:
        return await bus.ask(wish)
    except RequestRefusedError as no:
        if no.refusal.status != NOT_FOUND:
            raise
    except no_answer:
        if create := await waiting(bus, task, seen_by):
            return as_queued(create)
        raise
    if create := await waiting(bus, task, seen_by):
        return as_queued(create)
    return await bus.ask(wish)


async def cancel_task(bus: Bus, wish: CancelTask) -> Cancelled:
    """Cancel a task, also one whose create the scheduler has still to take in."""
    for pause in PAUSES:
        waited = await waiting(bus, wish.task, wish.seen_by)
        try:
            return await bus.ask(wish)
        except RequestRefusedError as no:
            if no.refusal.status != NOT_FOUND or not waited:
                raise
        await asyncio.sleep(pause)
    raise unavailable("the task is accepted, but the scheduler has not taken it in yet")


async def told_status(
    bus: Bus, wish: AboutTask[Q], asked: Awaitable[R], waits: tuple[str, str] = UNKNOWN
) -> R:
    """Wait for an answer; a no because of how the task stands says how it stands.

    `waits` is the no, type and text, for one that is in CMD still.
    """
    try:
        return await asked
    except RequestRefusedError as no:
        if no.refusal.status not in {CONFLICT, NOT_FOUND}:
            raise
        found = await read_task(
            bus, wish.task, wish.seen_by
        )  # a 404 also means: still in CMD
        if no.refusal.status == CONFLICT:
            problem = refused(no.refusal)
            kind, text = problem.kind, problem.detail
        else:
            kind, text = waits
        raise Problem(CONFLICT, kind, text, task_status=found.status) from None


async def waiting(bus: Bus, task: str, seen_by: str | None) -> CreateTask | None:
    """Return the create of a task while it waits in CMD or is being taken in."""
    subject = f"cmd.scheduler.create.{token(task)}"
    try:
        found = await bus.jetstream.get_last_msg("CMD", subject, direct=True)
    except NotFoundError:
        return None
    create = CreateTask.parse(found.data or b"")
    return create if seen_by in {None, create.owner} else None


def as_queued(create: CreateTask) -> Task:
    """Show a create as the task it will be."""
    return Task(
        id=create.task,
        status="queued",
        stage="waiting",
        revision=0,
        updated_at=create.created_at,
        webhook_url=create.webhook.shown if create.webhook else None,
        **{name: getattr(create, name) for name in _SHARED},
    )


_SHARED = CreateTask.model_fields.keys() & Task.model_fields.keys()
