"""`/api/v1/tasks/cancel` and `/retry`: many tasks at once, by what they are."""

from collections.abc import Collection
from typing import Annotated, Self

import uuid_utils
from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field, StrictBool, StringConstraints, model_validator

from contracts.message import now
from contracts.requests import CancelTask, ListTasks, RetryTask, Task, TaskFilter
from contracts.values import TERMINAL, Status
from gateway_http import batches
from gateway_http.access import Canceller, ManyRetrier
from gateway_http.batches import Outcome
from gateway_http.filters import Filter, Number
from gateway_http.limits import allowance_of
from gateway_http.parts import Parts, problems
from gateway_http.problems import invalid_field
from gateway_http.references import cost_of

UNFINISHED: tuple[Status, ...] = ("queued", "submitting", "polling", "downloading")

ONCE_FAILED: tuple[Status, ...] = ("failed",)


class Batch(Filter):
    """Which tasks, and how many of them in one request."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"status": ["queued"], "dry_run": True}}
    )

    all: StrictBool = Field(
        default=False, description="Must be true where no filter is given."
    )
    dry_run: StrictBool = Field(default=False, description="Only count them.")
    limit: Annotated[Number, Field(ge=1, le=1000)] = Field(
        500, description="At most so many; then `next_cursor` goes on."
    )
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = None

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        given = self.model_fields_set - {"all", "dry_run", "limit", "cursor"}
        filters = [getattr(self, name) for name in given]
        if not self.all and all(each in (None, []) for each in filters):
            raise ValueError("give a filter, or `all`: true for every task")
        return self


class RetryBatch(Batch):
    """Which tasks are made anew: failed ones, if nothing else is said."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"status": ["failed"], "dry_run": True}}
    )

    again: StrictBool = Field(
        default=False,
        description="Buy them anew, without looking first whether the site has them.",
    )


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1/tasks", tags=["tasks"])

    async def steer(
        batch: Batch, wanted: TaskFilter, owner: str | None, verb: batches.Verb
    ) -> Outcome:
        if batch.dry_run:
            return await batches.count(parts.bus, wanted, owner)
        asked = ListTasks(
            **wanted.model_dump(), seen_by=owner, cursor=batch.cursor, counted=True
        )
        return await batches.run(parts.bus, asked, batch.limit, verb, SETTLED)

    @routes.post("/cancel", operation_id="tasks_cancel_many", responses=problems(400))
    async def cancel(batch: Batch, caller: Canceller) -> Outcome:
        """Stop every task that fits. Safe to repeat: what is cancelled stays so."""

        async def stop(task: Task) -> str:
            wish = CancelTask(task=task.id, seen_by=caller.seen_by)
            return (await parts.bus.ask(wish)).task.id

        wanted = _narrowed(batch, UNFINISHED, UNFINISHED)
        return await steer(batch, wanted, caller.seen_by, stop)

    @routes.post("/retry", operation_id="tasks_retry_many", responses=problems(400))
    async def retry(
        request: Request, batch: RetryBatch, caller: ManyRetrier
    ) -> Outcome:
        """Make every ended task that fits anew, once. Safe to repeat.

        What has a retry already gets no other; without `status` only failed tasks are
        meant.
        """

        async def anew(task: Task) -> str:
            cost = cost_of(task.job)
            wish = RetryTask(
                task=task.id,
                seen_by=caller.seen_by,
                new_task=str(uuid_utils.uuid7()),
                again=batch.again,
                first=True,
                terms=task.terms.model_copy(update={"deadline": None, "credits": cost}),
            )
            allowance = allowance_of(request).one_of_many(task.id)
            async with allowance.task():
                await allowance.credits(cost, task.owner, now())
                async with allowance.asking():
                    return (await parts.bus.ask(wish)).id

        wanted = _narrowed(batch, TERMINAL, ONCE_FAILED)
        wanted = wanted.model_copy(update={"retried": False})
        return await steer(batch, wanted, caller.seen_by, anew)

    return routes


SETTLED = frozenset({"task_ended", "task_retried", "task_not_found"})
"""A no that means that somebody else was quicker."""


def _narrowed(
    batch: Batch, able: Collection[Status], usual: Collection[Status]
) -> TaskFilter:
    """Return the filter, held to what the verb can be asked for. Raises Problem."""
    wanted = batch.wanted
    statuses = tuple(wanted.statuses) or tuple(usual)
    if wrong := [status for status in statuses if status not in able]:
        one_of = ", ".join(sorted(able))
        text = f"{', '.join(wrong)}: this can be asked only of what is {one_of}"
        raise invalid_field("status", text)
    return wanted.model_copy(update={"statuses": statuses})
