"""Pieces of work on tasks: load, decide, write, say. Each runs inside one Turn."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from pydantic import BaseModel

from contracts import requests as asked
from contracts.counting import CREDITS, Addition
from contracts.keys import OWNER
from contracts.message import Event
from contracts.requests import Cancelled, Refusal, RequestRefusedError
from contracts.tasks import Absent, CreateTask, Progressed, TaskEvent
from contracts.values import Belonging, Job, Webhook
from jimeng import find_model
from runtime import hooks
from runtime.sealing import Ring, SealError
from scheduler.announcing import announce
from scheduler.domain import choice
from scheduler.domain.budget import bought, settled
from scheduler.domain.choice import Policy
from scheduler.domain.life import advance
from scheduler.domain.rows import Attempt, Task
from scheduler.domain.steps import (
    Adopted,
    CancelAsked,
    Happening,
    Limits,
    ResolveAsked,
    Step,
)
from scheduler.domain.verbs import adopting, end
from scheduler.signals import apply_signal, proven
from scheduler.store import attempts, files, outbox, sessions, tasks
from scheduler.views import changed, task_view
from scheduler.writer import Turn

R = TypeVar("R", bound=BaseModel)
log = logging.getLogger("scheduler")


@dataclass(frozen=True)
class Rules:
    """The settings that decisions need."""

    limits: Limits
    permit_seconds: float
    poll_interval_seconds: float
    poll_min_seconds: float
    concurrency: int | None
    policy: Policy = "lru"
    webhook_pauses: tuple[timedelta, ...] = ()
    """Between the tries of a delivery."""
    webhook_patience: timedelta = timedelta(days=5)
    """After which an endpoint that takes nothing is switched off."""


def refusal(
    status: int, kind: str, text: str, field: str | None = None
) -> RequestRefusedError:
    """Return a no, to be raised; `field` names what of the request is wrong."""
    told = Refusal(status=status, type=kind, detail=text, field=field)
    return RequestRefusedError(told)


def not_found(what: str) -> RequestRefusedError:
    """Return the refusal for something that is not there."""
    return refusal(404, f"{what}-not-found", f"there is no such {what}")


async def create(turn: Turn, command: CreateTask) -> None:
    """Take a client's wish in; the same one again changes nothing."""
    belonging = Belonging.model_validate(command.model_dump())
    task = Task(command.task, belonging, command.job, command.created_at, command.terms)
    due = command.terms.deadline
    await _create(turn, replace(task, due_at=due, webhook=command.webhook))


async def _create(turn: Turn, task: Task) -> None:
    if await tasks.create(turn.db, task, turn.now):
        turn.say(changed(task, turn.now))


async def fact(turn: Turn, event: Event, rules: Rules) -> None:
    """Take a worker's fact in, once."""
    if not isinstance(event, TaskEvent):
        raise TypeError(f"{type(event).__name__} is about no task")
    if not await outbox.first_time(turn.db, event.id, turn.now):
        return
    task = await tasks.load(turn.db, event.task)
    if task is None:
        return
    if isinstance(event, Progressed):
        await attempts.remember_said(
            turn.db, event.task, event.attempt, event, turn.now
        )
    attempt = await attempts.load(turn.db, task.id, task.attempt)
    step = await advance_on(turn, task, attempt, event, rules)
    if step == Step(task, attempt) and not isinstance(event, Absent | Progressed):
        log.info("stale fact, nothing changed", extra={"fact": event.id})


async def cancel(turn: Turn, wish: asked.CancelTask, rules: Rules) -> Cancelled:
    """Stop a task; a second cancel gives the same answer."""
    task = await _load(turn, wish)
    if task.ended and task.status != "cancelled":
        detail = f"the task is {task.status}; only an unfinished one can be cancelled"
        raise refusal(409, "task-ended", detail)
    await advance_task(turn, task, CancelAsked(), rules)
    view = await _view(turn, wish.task)
    attempt = await attempts.load(turn.db, view.id, view.attempt)
    return Cancelled(task=view, upstream_charged=_charged(attempt))


def _charged(attempt: Attempt | None) -> Literal["false", "true", "unknown"]:
    if attempt is None or attempt.permitted_at is None or attempt.charged is False:
        return "false"
    return "true" if attempt.charged else "unknown"


async def resolve(turn: Turn, wish: asked.ResolveTask, rules: Rules) -> asked.Task:
    """End a hold as an operator says; the same asked again ends nothing more."""
    task = await _load(turn, wish)
    done = f"resolve:{task.id}:{task.attempt}:"
    if task.stage == "held":
        for action in ("resend", "fail"):  # of an earlier hold
            await outbox.forget(turn.db, done + action)
        await outbox.first_time(turn.db, done + wish.action, turn.now)
        await advance_task(turn, task, ResolveAsked(wish.action), rules)
        about = {"task": task.id}
        log.warning("hold ended by an operator: %s", wish.action, extra=about)
    elif not await outbox.seen(turn.db, done + wish.action):
        where = task.stage or task.status
        raise refusal(409, "task-not-held", f"the task is not held: it is {where}")
    return await _view(turn, task.id)


async def retry(
    turn: Turn, wish: asked.RetryTask, rules: Rules, ring: Ring
) -> asked.Task:
    """Make an ended task anew, looking first for what its last attempt sent."""
    old = await _load(turn, wish)
    if await tasks.load(turn.db, wish.new_task) is None:
        if choice.lender(old.belonging.owner):
            text = "it ran on its client's own account: ask for it anew"
            raise refusal(409, "account-lent", text)
        if not old.ended:
            text = f"the task is {old.status}; only an ended one can be retried"
            raise refusal(409, "task-running", text)
        if wish.first and (other := await tasks.retry_of(turn.db, old.id)):
            text = f"task {other} is a retry of it already"
            raise refusal(409, "task-retried", text)
        task = _anew(old, wish, turn.now, _webhook(old, wish, ring))
        await _must_be_there(turn, task.job)
        await _create(turn, task)
        if not wish.again and task.job == old.job:
            await _adopt(turn, old, task, rules)
    return await _view(turn, wish.new_task)


def _webhook(old: Task, wish: asked.RetryTask, ring: Ring) -> Webhook | None:
    """Return where the new task's end is told; what is kept is sealed for it anew."""
    if wish.webhook == "none":
        return None
    if wish.webhook or not old.webhook:
        return wish.webhook
    try:
        hook = hooks.open_(ring, old.webhook, old.id)
    except SealError as error:
        text = f"its webhook cannot be kept ({error}): give webhook_url anew, or null"
        raise refusal(409, "webhook-sealed", text) from None
    return hooks.seal(ring, hook, wish.new_task, old.webhook.shown)


def _anew(
    old: Task, wish: asked.RetryTask, now: datetime, webhook: Webhook | None
) -> Task:
    given = wish.model_dump(include={"owner", "priority", "metadata"})
    update = {name: value for name, value in given.items() if value is not None}
    job = wish.job or old.job
    update["retry_of"] = old.id
    if wish.job:  # another model may make something else
        update["kind"] = find_model(job.model).kind
    belonging = old.belonging.model_copy(update=update)
    terms = wish.terms or old.terms.model_copy(update={"deadline": None, "credits": 0})
    task = Task(wish.new_task, belonging, job, now, terms, due_at=terms.deadline)
    return replace(task, webhook=webhook)


async def _must_be_there(turn: Turn, job: Job) -> None:
    """Refuse references that were deleted."""
    if await files.gone(turn.db, files.owners(job)):
        text = (
            "its reference files were deleted, for their age (RETENTION_DAYS) or "
            "with their task: create the task anew, with its files"
        )
        raise refusal(410, "files-deleted", text)


async def _adopt(turn: Turn, old: Task, task: Task, rules: Rules) -> None:
    """Begin a retry with the submit of its forerunner, where one was permitted."""
    last = await attempts.load(turn.db, old.id, old.attempt)
    if last is None or last.permitted_at is None:
        return
    refused = last.state == "ended" and last.charged is False
    if refused or await sessions.load(turn.db, last.session) is None:
        return
    other = await attempts.follower(turn.db, last.submit_id)
    if other not in {None, old.id}:
        text = f"task {other} is a retry of it already, and not ended"
        raise refusal(409, "retry-running", text)
    if last.state != "ended":  # one of the two follows it
        over = end(last, turn.now, charged=None, reason=f"taken over by {task.id}")
        await attempts.save(turn.db, over)
    attempt = adopting(task, last, turn.now)
    await attempts.adopt(turn.db, attempt)
    await advance_task(turn, task, Adopted(attempt), rules)


async def _load(turn: Turn, wish: asked.AboutTask[R]) -> Task:
    task = await tasks.load(turn.db, wish.task)
    mine = task and wish.seen_by in {None, task.belonging.owner}
    if task is None or not mine or task.deleted_at:
        raise not_found("task")
    return task


async def _view(turn: Turn, task_id: str) -> asked.Task:
    if view := await task_view(turn.db, task_id):
        return view
    raise not_found("task")


async def advance_task(turn: Turn, task: Task, event: Happening, rules: Rules) -> Step:
    """Let something happen to a task, whatever its latest attempt is."""
    attempt = await attempts.load(turn.db, task.id, task.attempt)
    return await advance_on(turn, task, attempt, event, rules)


async def advance_on(
    turn: Turn, task: Task, attempt: Attempt | None, event: Happening, rules: Rules
) -> Step:
    """Let something happen to a task: decide, write, say."""
    step = advance(task, attempt, event, turn.now, rules.limits)
    await write(turn, task, attempt, step)
    if step.signal:
        await apply_signal(turn, step.signal)
    took = step.attempt and (step.attempt.state == "known" or step.attempt.charged)
    if took and attempt and attempt.state == "permitted":
        await proven(turn, attempt.session)
    return step


async def _correct(turn: Turn, task: Task) -> None:
    """Make what was counted for a task what it cost, once that is known."""
    owner = task.belonging.owner or ""
    if not (task.terms.credits and owner.startswith(OWNER)):
        return
    tries = [attempt for attempt, _ in await attempts.of_task(turn.db, task.id)]
    if more := task.terms.credits * (sum(map(bought, tries)) - 1):
        day = CREDITS.subject(owner.removeprefix(OWNER), task.created_at)
        turn.say(Addition(day, more))


async def write(turn: Turn, task: Task, attempt: Attempt | None, step: Step) -> None:
    """Write what changed, and say it: commands, then the public event."""
    new = attempt is None or step.attempt is None or step.attempt.n != attempt.n
    if step.attempt and step.attempt != attempt:
        kept = await attempts.save(turn.db, step.attempt)
        if not kept and not new:
            raise RuntimeError(f"attempt {attempt} changed under its only writer")
    if step.task != task:
        after = replace(step.task, updated_at=turn.now)
        event = changed(after, turn.now, before=task)
        if event:
            after = replace(after, revision=task.revision + 1)
        if not await tasks.save(turn.db, task, after):
            raise RuntimeError(f"task {task.id} changed under its only writer")
        if event:
            turn.say(event)
        if after.ended and not task.ended:
            await announce(turn, after)
    for command in step.commands:
        turn.say(command)
    if settled(step.task, step.attempt) and not settled(task, attempt):
        await _correct(turn, step.task)
