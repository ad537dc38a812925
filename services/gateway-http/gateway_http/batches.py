"""The same verb for every task that fits a filter, in bounded pieces.

A piece is a page of the list; what it finds is asked for one by one, as a person would
ask, so the rules of each verb hold. Asked again, it goes on with what is left: what is
done fits no more. Nothing here is kept between two requests.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from pydantic import BaseModel, Field

from contracts.bus import Bus
from contracts.requests import ListTasks, RequestRefusedError, Task, TaskFilter
from contracts.values import Status
from gateway_http.problems import Problem
from gateway_http.reading import no_answer

PIECE = 50
AT_ONCE = 16
MOST_SHOWN = 100  # failures told one by one
LONGEST_SECONDS = 20.0

Verb = Callable[[Task], Awaitable[str]]
"""Asks for one task; returns the id of what came of it, or raises a no."""


class NotDone(BaseModel):
    """A task that the verb was refused for, or whose answer did not come."""

    task_id: str
    status: Status = Field(description="How it stood when it was found.")
    type: str = Field(examples=["task_ended"])
    detail: str


class Outcome(BaseModel):
    """What became of a batch."""

    dry_run: bool
    matched: int = Field(description="How many fitted when it began.")
    done: int = Field(0, description="For how many it was done now.")
    skipped: int = Field(0, description="How many needed it no more.")
    failed: int = 0
    failures: list[NotDone] = Field(
        [], description=f"Why, for the first {MOST_SHOWN} of them."
    )
    task_ids: list[str] = Field([], description="The tasks that were changed or made.")
    next_cursor: str | None = Field(
        None, description="There is more: ask again with it as `cursor`."
    )


async def run(
    bus: Bus, wish: ListTasks, most: int, verb: Verb, settled: frozenset[str]
) -> Outcome:
    """Do it for at most so many; `settled` are the types of a no that means: done."""
    outcome: Outcome | None = None
    began = monotonic()
    while True:
        left = most - (_seen(outcome) if outcome else 0)
        page = await bus.ask(wish.model_copy(update={"limit": min(PIECE, left)}))
        if outcome is None:
            outcome = Outcome(
                dry_run=False, matched=page.counts.total if page.counts else 0
            )
        answered = await _piece(page.tasks, verb, settled, outcome)
        outcome.next_cursor = page.cursor
        late = monotonic() - began > LONGEST_SECONDS
        if page.cursor is None or late or not answered or _seen(outcome) >= most:
            return outcome
        wish = wish.model_copy(update={"cursor": page.cursor, "counted": False})


async def count(bus: Bus, wish: TaskFilter, seen_by: str | None) -> Outcome:
    """Say how many tasks it is about, and do nothing."""
    asked = ListTasks(**wish.model_dump(), seen_by=seen_by, limit=1, counted=True)
    page = await bus.ask(asked)
    return Outcome(dry_run=True, matched=page.counts.total if page.counts else 0)


def _seen(outcome: Outcome) -> int:
    return outcome.done + outcome.skipped + outcome.failed


async def _piece(
    tasks: Sequence[Task], verb: Verb, settled: frozenset[str], outcome: Outcome
) -> bool:
    """Do one piece; False when nobody answers any more."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(task: Task) -> str | NotDone | None:
        async with free:
            return await _one(task, verb, settled)

    found = await asyncio.gather(*map(one, tasks))
    failures = [each for each in found if isinstance(each, NotDone)]
    outcome.task_ids += (made := [each for each in found if isinstance(each, str)])
    outcome.done += len(made)
    outcome.skipped += sum(each is None for each in found)
    outcome.failed += len(failures)
    outcome.failures += failures[: MOST_SHOWN - len(outcome.failures)]
    return not any(each.type == "no_answer" for each in failures)


async def _one(task: Task, verb: Verb, settled: frozenset[str]) -> str | NotDone | None:
    """Return the task that came of it, why not, or None: there was nothing to do."""
    about = {"task_id": task.id, "status": task.status}
    try:
        return await verb(task)
    except RequestRefusedError as no:
        kind = no.refusal.type.replace("-", "_")
        if kind in settled:
            return None
        return NotDone(**about, type=kind, detail=no.refusal.detail)
    except Problem as no:  # beyond a limit of the key
        return NotDone(**about, type=no.kind, detail=no.detail)
    except no_answer:
        text = "the scheduler does not answer: ask again"
        return NotDone(**about, type="no_answer", detail=text)
