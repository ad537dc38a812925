"""Pieces of work on tasks: load, decide, write, say. Each runs inside one Turn."""

import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.message import Event
from contracts.requests import (
    AskDue,
    AskPermit,
    Cancelled,
    CancelTask,
    Credential,
    DueAttempts,
    Permit,
    Refusal,
    RequestRefusedError,
)
from contracts.sessions import SessionChanged
from contracts.tasks import (
    Belonging,
    CreateTask,
    PollSession,
    Progressed,
    Stage,
    TaskEvent,
)
from scheduler.domain import dispatch, pool
from scheduler.domain.life import advance
from scheduler.domain.rows import Attempt, Session, Task
from scheduler.domain.steps import (
    CancelAsked,
    Happening,
    Limits,
    PermitAsked,
    Reserved,
    Signal,
    Step,
)
from scheduler.store import attempts, outbox, sessions, tasks
from scheduler.views import changed, task_view
from scheduler.writer import Turn

IDLE_POLL_SECONDS = 60.0
Refused = RequestRefusedError


@dataclass(frozen=True)
class Rules:
    """The settings that decisions need."""

    limits: Limits
    permit_seconds: float
    poll_interval_seconds: float
    poll_min_seconds: float
    concurrency: int | None


def not_found(what: str) -> RequestRefusedError:
    """Return the refusal for something that is not there."""
    return Refused(
        Refusal(status=404, type=f"{what}-not-found", detail=f"there is no such {what}")
    )


async def create(turn: Turn, command: CreateTask) -> None:
    """Take a client's wish in; the same one again changes nothing."""
    belonging = Belonging.model_validate(command.model_dump())
    task = Task(command.task, belonging, command.job, command.created_at)
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
    await _advance(turn, task, event, rules)


async def permit(turn: Turn, asked: AskPermit, rules: Rules) -> Permit:
    """Answer one wish to send; a yes is stored before it goes out."""
    task = await tasks.load(turn.db, asked.task)
    attempt = await attempts.load(turn.db, asked.task, asked.attempt)
    if task is None or attempt is None or attempt.submit_id != asked.submit_id:
        return Permit(granted=False, reason="superseded")
    if (why := await _why_not(turn, task, attempt, asked)) is not None:
        return why
    if attempt.state == "reserved":
        wish = PermitAsked(asked.attempt, asked.send, asked.nonce, asked.body_hash)
        await _advance_on(turn, task, attempt, wish, rules)
    return Permit(granted=True, valid_seconds=rules.permit_seconds)


async def _why_not(
    turn: Turn, task: Task, attempt: Attempt, asked: AskPermit
) -> Permit | None:
    """Return the no, or None for a yes."""
    if task.status == "cancelled":
        return Permit(granted=False, reason="cancelled")
    if attempt.state == "ended" or task.attempt != attempt.n:
        return Permit(granted=False, reason="superseded")
    if attempt.state != "reserved":
        same = attempt.nonce == asked.nonce and attempt.sends == asked.send
        return None if same else Permit(granted=False, reason="already_granted")
    session = await sessions.load(turn.db, attempt.session)
    if session is None or not dispatch.usable(session, turn.now):
        await _release(turn, task, attempt)
        return Permit(granted=False, reason="session_not_active")
    return None


async def _release(turn: Turn, task: Task, attempt: Attempt) -> None:
    """Give the slot back and queue the task again; nothing was sent."""
    ended = replace(
        attempt,
        state="ended",
        charged=False,
        ended_at=turn.now,
        reason="session not active",
    )
    queued = replace(task, status="queued", stage="waiting", session=None)
    await _write(turn, task, attempt, Step(queued, ended))


async def cancel(turn: Turn, asked: CancelTask, rules: Rules) -> Cancelled:
    """Stop a task; a second cancel gives the same answer."""
    task = await tasks.load(turn.db, asked.task)
    if task is None:
        raise not_found("task")
    if task.ended and task.status != "cancelled":
        detail = f"the task is {task.status}; only an unfinished one can be cancelled"
        raise Refused(Refusal(status=409, type="task-ended", detail=detail))
    await _advance(turn, task, CancelAsked(), rules)
    view = await task_view(turn.db, asked.task)
    if view is None:
        raise not_found("task")
    attempt = await attempts.load(turn.db, view.id, view.attempt)
    return Cancelled(task=view, upstream_charged=_charged(attempt))


def _charged(attempt: Attempt | None) -> Literal["false", "true", "unknown"]:
    if attempt is None or attempt.permitted_at is None or attempt.charged is False:
        return "false"
    return "true" if attempt.charged else "unknown"


async def due(
    turn: Turn,
    asked: AskDue,
    rules: Rules,
    credential: Callable[[AsyncConnection, str], Awaitable[Credential]],
) -> DueAttempts:
    """Say what is to be looked up on a session now, and when to ask again."""
    session = await sessions.load(turn.db, asked.session)
    # The poller is at work: a poll command that still waits is not needed.
    await outbox.unneeded(turn.db, PollSession(session=asked.session).subject)
    if session is None:
        return DueAttempts()
    # A punished account still tells of its jobs; a signed-out one tells nothing.
    if session.state in {"expired", "unchecked"}:
        waiting = await attempts.unended(turn.db, asked.session)
        return DueAttempts(next_seconds=IDLE_POLL_SECONDS if waiting else None)
    found = await attempts.due(turn.db, asked.session)
    if not found:
        return DueAttempts()
    advised = asked.advice_seconds or rules.poll_interval_seconds
    return DueAttempts(
        attempts=tuple(found),
        credential=await credential(turn.db, asked.session),
        next_seconds=max(advised, rules.poll_min_seconds),
    )


async def dispatch_waiting(turn: Turn, rules: Rules) -> float | None:
    """Give waiting tasks their sessions; return in how many seconds to look again."""
    waiting = await tasks.waiting(turn.db, turn.now)
    if not waiting:
        return None
    found = await sessions.pool(turn.db)
    room = await _room(turn, rules, len(waiting))
    plan = dispatch.dispatch(waiting, found, room, turn.now)
    by_id = {s.id: s for s in found}
    for task_id, session_id in plan.pairs:
        await _reserve(turn, task_id, by_id[session_id], rules)
    for task_id, stage in plan.stages:
        await _explain(turn, task_id, stage)
    return dispatch.seconds_to_next(waiting, found, turn.now)


async def _room(turn: Turn, rules: Rules, wanted: int) -> int:
    if rules.concurrency is None:
        return wanted
    running = await attempts.between_permit_and_generated(turn.db)
    return max(0, rules.concurrency - running)


async def _reserve(turn: Turn, task_id: str, session: Session, rules: Rules) -> None:
    task = await tasks.load(turn.db, task_id)
    if task is None:
        return
    attempt = Attempt(
        task=task_id,
        n=task.attempt + 1,
        session=session.id,
        submit_id=str(uuid.uuid4()),
        reserved_at=turn.now,
    )
    if await attempts.reserve(turn.db, attempt, dispatch.slots(session)):
        await _advance(turn, task, Reserved(attempt), rules)


async def _explain(turn: Turn, task_id: str, stage: Stage) -> None:
    task = await tasks.load(turn.db, task_id)
    if task and task.status == "queued":
        await _write(turn, task, None, Step(replace(task, stage=stage), None))


async def _advance(turn: Turn, task: Task, event: Happening, rules: Rules) -> None:
    attempt = await attempts.load(turn.db, task.id, task.attempt)
    await _advance_on(turn, task, attempt, event, rules)


async def _advance_on(
    turn: Turn, task: Task, attempt: Attempt | None, event: Happening, rules: Rules
) -> None:
    step = advance(task, attempt, event, turn.now, rules.limits)
    await _write(turn, task, attempt, step)
    if step.signal:
        await _apply_signal(turn, step.signal)
    known = step.attempt and step.attempt.state == "known"
    if known and attempt and attempt.state == "permitted":
        await _proven(turn, attempt.session)


async def _write(turn: Turn, task: Task, attempt: Attempt | None, step: Step) -> None:
    """Write what changed, and say it: commands, then the public event."""
    if step.attempt and step.attempt != attempt:
        await attempts.save(turn.db, step.attempt)
    if step.task != task:
        after = replace(step.task, updated_at=turn.now)
        event = changed(after, turn.now, before=task)
        if event:
            after = replace(after, revision=task.revision + 1)
        if not await tasks.save(turn.db, task, after):
            raise RuntimeError(f"task {task.id} changed under its only writer")
        if event:
            turn.say(event)
    for command in step.commands:
        turn.say(command)


async def _apply_signal(turn: Turn, signal: Signal) -> None:
    session = await sessions.load(turn.db, signal.session)
    if session is None:
        return
    jitter = 0.5 + secrets.randbelow(501) / 1000
    await write_session(turn, session, pool.apply(session, signal, turn.now, jitter))


async def _proven(turn: Turn, session_id: str) -> None:
    session = await sessions.load(turn.db, session_id)
    if session:
        await write_session(turn, session, pool.accepted(session))


async def write_session(turn: Turn, before: Session, after: Session) -> None:
    """Write a changed session and say it."""
    if after == before:
        return
    revision = await sessions.save(turn.db, after, turn.now)
    turn.say(
        SessionChanged(
            session=after.id,
            n=revision,
            what="changed",
            label=after.label,
            state=after.state,
            reason=after.reason,
            until=after.until,
            credits=after.credits,
        )
    )


async def poll_what_is_open(turn: Turn) -> None:
    """Have every session with a sent attempt looked at, whatever was lost."""
    for session in await attempts.sessions_with_open(turn.db):
        turn.say(PollSession(session=session))
