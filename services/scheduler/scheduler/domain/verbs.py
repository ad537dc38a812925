"""The words of the table in `life`: how a task or an attempt changes."""

from dataclasses import replace
from datetime import datetime, timedelta

from contracts.errors import ErrorCode
from contracts.tasks import Failure, Progress, Stage, Status
from jimeng import find_model
from jimeng.errors import Effect, SessionEffect, TaskEffect, effect_of
from scheduler.domain.failures import code_of, words_of
from scheduler.domain.rows import Attempt, Task
from scheduler.domain.steps import Signal, Step

MAX_ATTEMPTS = 8
PAUSES = (5.0, 15.0, 60.0, 300.0)  # seconds before a task is tried again


def not_taken(task: Task, attempt: Attempt, event: Failure, now: datetime) -> Step:
    """The site certainly has no job: the attempt ends, the task goes on or fails."""
    effect = effect_of(event.upstream_code or "")
    told = signal(task, attempt, effect, event)
    if effect and effect.task is TaskEffect.UNKNOWN:
        return Step(submitting(task, "unknown"), attempt)
    attempt = replace(attempt, answer=event.answer)
    attempt = end(attempt, now, charged=False, reason=words_of(event))
    if task.ended:
        return Step(task, attempt, signal=told)
    if _for_good(event, effect):
        return Step(failed_by(task, event, effect, now), attempt, signal=told)
    # A refusal for the account's sake says nothing against the task.
    counts = effect is None or effect.session is SessionEffect.NONE
    if counts and attempt.n >= MAX_ATTEMPTS:
        code = ErrorCode.ATTEMPTS_EXHAUSTED
        text = f"refused {attempt.n} times, last: {words_of(event)}"
        tired = failed(task, code, text, now)
        tired = replace(tired, upstream_code=event.upstream_code)
        return Step(tired, attempt, signal=told)
    return Step(again(task, attempt, now, effect), attempt, signal=told)


def _for_good(event: Failure, effect: Effect | None) -> bool:
    if effect:
        return effect.task is TaskEffect.FAIL
    return event.code is not ErrorCode.SITE_UNREACHABLE


def signal(
    task: Task, attempt: Attempt, effect: Effect | None, event: Failure
) -> Signal | None:
    """Return what the answer says about the session, if anything."""
    if effect is None or effect.session is SessionEffect.NONE:
        return None
    closes = effect.session is SessionEffect.CLOSE_MODEL
    model = find_model(task.job.model).key if closes else None
    return Signal(attempt.session, effect.session, words_of(event), model)


def again(
    task: Task, attempt: Attempt, now: datetime, effect: Effect | None = None
) -> Task:
    """Queue the task again: at once for another session, else after a pause."""
    elsewhere = effect is not None and effect.task is TaskEffect.AGAIN_ELSEWHERE
    pause = PAUSES[min(attempt.n, len(PAUSES)) - 1]
    return replace(
        task,
        status="queued",
        stage="waiting",
        session=None,
        progress=Progress(),
        not_before=None if elsewhere else now + timedelta(seconds=pause),
    )


def failed_by(task: Task, event: Failure, effect: Effect | None, now: datetime) -> Task:
    """Return the task, failed with the site's words."""
    changed = failed(task, code_of(event, effect), words_of(event), now)
    return replace(changed, upstream_code=event.upstream_code)


def failed(task: Task, code: ErrorCode, text: str, now: datetime) -> Task:
    """Return the task, failed."""
    return replace(
        task,
        status="failed",
        stage=None,
        error_code=code,
        error_message=text,
        finished_at=now,
    )


def polling(task: Task, progress: Progress | None = None) -> Task:
    """Return the task as one the site is at work on."""
    if task.status not in {"submitting", "polling"}:
        return task
    progress = progress or task.progress
    status: Status = "polling"
    return replace(task, status=status, stage=progress.stage, progress=progress)


def submitting(task: Task, stage: Stage) -> Task:
    """Return the task in another stage of its submit."""
    return replace(task, stage=stage) if task.status == "submitting" else task


def known(attempt: Attempt, upstream_id: str | None) -> Attempt:
    """Return the attempt as one the site knows."""
    return replace(
        attempt, state="known", upstream_id=upstream_id or attempt.upstream_id
    )


def end(
    attempt: Attempt, now: datetime, *, charged: bool | None, reason: str
) -> Attempt:
    """Return the attempt, ended: its reservation is given back."""
    return replace(attempt, state="ended", ended_at=now, charged=charged, reason=reason)


def older(attempt: Attempt, age: timedelta, now: datetime) -> bool:
    """Whether an attempt was sent so long ago."""
    return attempt.permitted_at is not None and now - attempt.permitted_at > age
