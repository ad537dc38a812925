"""The words of the table in `life`: how a task or an attempt changes."""

from dataclasses import replace
from datetime import datetime, timedelta

from contracts import tasks as said
from contracts.errors import ErrorCode
from contracts.message import Command
from contracts.values import Failure, Progress, Stage, Status
from jimeng import find_model
from jimeng.errors import Effect, SessionEffect, TaskEffect, effect_of
from scheduler.domain.failures import code_of, words_of
from scheduler.domain.rows import Attempt, Task
from scheduler.domain.steps import Limits, Signal, Step


def not_taken(
    task: Task, attempt: Attempt, event: Failure, now: datetime, limits: Limits
) -> Step:
    """The site certainly has no job: the attempt ends, the task goes on or fails.

    `max_attempts` is held against the number of the attempt: an attempt is a try, and
    a client finds as many in its task. Those that ended for an account's sake are
    among them, but none of these fails the task: only one of its own after them does.
    """
    effect = effect_of(event.upstream_code or "")
    told = signal(task, attempt, effect, event)
    attempt = replace(attempt, answer=event.answer)
    attempt = end_by(attempt, event, effect, now, charged=False)
    if task.ended:
        return Step(task, attempt, signal=told)
    if _for_good(event, effect):
        return Step(failed_by(task, event, effect, now), attempt, signal=told)
    # A refusal for the account's sake says nothing against the task.
    counts = effect is None or effect.session is SessionEffect.NONE
    if counts and attempt.n >= task.terms.max_attempts:
        code = ErrorCode.ATTEMPTS_EXHAUSTED
        text = f"refused {attempt.n} times, last: {words_of(event)}"
        tired = failed(task, code, text, now)
        tired = replace(tired, upstream_code=event.upstream_code)
        return Step(tired, attempt, signal=told)
    if effect and effect.task is TaskEffect.AGAIN_ELSEWHERE:
        return Step(again(task), attempt, signal=told)
    return Step(again(task, now + limits.pause(attempt.n)), attempt, signal=told)


def gave_up(
    task: Task, attempt: Attempt, reason: str, now: datetime, limits: Limits
) -> Step:
    """A service gave the attempt up with nothing sent: again, but not for ever."""
    attempt = end(attempt, now, charged=False, reason=reason)
    attempt = replace(attempt, error_code=ErrorCode.STEP_DIED)
    if attempt.n >= task.terms.max_attempts:
        return Step(failed(task, ErrorCode.STEP_DIED, reason, now), attempt)
    return Step(again(task, now + limits.pause(attempt.n)), attempt)


def overdue(
    task: Task, attempt: Attempt, text: str, now: datetime, limits: Limits
) -> tuple[Task, Attempt]:
    """Stop waiting, then following, after a good answer that comes too late."""
    if not task.ended and older(attempt, limits.max_poll, now):
        task = failed(task, ErrorCode.POLL_TIMEOUT, text, now)
    if older(attempt, limits.follow, now):
        attempt = end(attempt, now, charged=None, reason=f"given up: {text}")
    return task, attempt


def awaited(task: Task, attempt: Attempt | None) -> Command | None:
    """Return the command whose outcome a task waits for; None: no worker's."""
    if attempt is None:
        return None
    who = {"task": task.id, "attempt": attempt.n, "session": attempt.session}
    if task.status == "downloading":
        return said.StoreResults.model_validate(
            who
            | {
                "submit_id": attempt.submit_id,
                "kind": task.belonging.kind,
                "items": attempt.items,
            }
        )
    if task.status != "submitting" or attempt.sends >= attempt.allowed:
        return None
    if attempt.state == "reserved" and task.stage == "uploading":
        given = {"files": task.job.files, "job": task.job}
        return said.UploadReferences.model_validate(who | given)
    in_page = find_model(task.job.model).in_page
    return (said.SubmitInPage if in_page else said.SubmitPlain).model_validate(
        who
        | {
            "job": task.job,
            "materials": attempt.materials,
            "send": attempt.allowed,
            "submit_id": attempt.submit_id,
        }
    )


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
    code = event.upstream_code or ""
    return Signal(attempt.session, effect.session, words_of(event), model, code)


def again(task: Task, not_before: datetime | None = None) -> Task:
    """Queue the task again: at once, or from a moment on."""
    return replace(
        task,
        status="queued",
        stage="waiting",
        session=None,
        progress=Progress(),
        not_before=not_before,
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


def end_by(
    attempt: Attempt,
    event: Failure,
    effect: Effect | None,
    now: datetime,
    *,
    charged: bool | None,
) -> Attempt:
    """Return the attempt, ended by a failure."""
    attempt = end(attempt, now, charged=charged, reason=words_of(event))
    code = code_of(event, effect)
    return replace(attempt, error_code=code, upstream_code=event.upstream_code)


def older(attempt: Attempt, age: timedelta, now: datetime) -> bool:
    """Whether an attempt was sent so long ago."""
    return attempt.permitted_at is not None and now - attempt.permitted_at > age


def adopting(task: Task, last: Attempt, now: datetime) -> Attempt:
    """Return the first attempt of a retry: it looks for what the last one sent."""
    return Attempt(
        task=task.id,
        n=1,
        session=last.session,
        submit_id=last.submit_id,
        reserved_at=now,
        # What the site has shown once is never taken for absent.
        state="known" if last.upstream_id else "permitted",
        sends=last.sends,
        allowed=last.sends,
        adopted=True,
        permitted_at=now,
        upstream_id=last.upstream_id,
        # The charge stays with the attempt that is known to have caused it.
        charged=False if last.charged else None,
    )
