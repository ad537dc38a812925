"""The whole life of a task: what each fact means, in each state.

`advance` is a table of (status of the task) × (state of its latest attempt) × (event).
What stands nowhere in it changes nothing: late, doubled and out-of-order facts are
normal here. A fact about an attempt that is not the latest, or has ended, is late.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from contracts import tasks as said
from contracts.errors import ErrorCode
from contracts.message import Command, Event
from contracts.tasks import Failure, PollSession, Progress, Stage, Status
from jimeng import find_model
from jimeng.errors import Effect, SessionEffect, TaskEffect, effect_of
from scheduler.domain.failures import code_of, words_of
from scheduler.domain.rows import Attempt, Task

MAX_ATTEMPTS = 8
PAUSES = (5.0, 15.0, 60.0, 300.0)  # seconds before a task is tried again


@dataclass(frozen=True)
class Limits:
    """The settings that decide when waiting ends."""

    max_poll: timedelta
    settle_rounds: int

    @property
    def follow(self) -> timedelta:
        """How long an attempt is followed whatever became of its task."""
        return max(timedelta(hours=24), self.max_poll)


@dataclass(frozen=True)
class Reserved:
    """The task got a session: its next attempt begins."""

    attempt: Attempt


@dataclass(frozen=True)
class PermitAsked:
    """The signer is about to send and asks whether it may."""

    attempt: int
    send: int
    nonce: str
    body_hash: str


@dataclass(frozen=True)
class CancelAsked:
    """The client wants it no more."""


Happening = Event | Reserved | PermitAsked | CancelAsked


@dataclass(frozen=True)
class Signal:
    """What an answer of the site says about the session that got it."""

    session: str
    effect: SessionEffect
    text: str
    model: str | None = None


@dataclass(frozen=True)
class Step:
    """What a happening leads to."""

    task: Task
    attempt: Attempt | None
    commands: tuple[Command, ...] = ()
    signal: Signal | None = None


def advance(
    task: Task, attempt: Attempt | None, event: Happening, now: datetime, limits: Limits
) -> Step:
    """Return what an event changes, and which commands follow."""
    if isinstance(event, Reserved):
        return _reserved(task, event.attempt, now)
    if isinstance(event, CancelAsked):
        return _cancel(task, attempt, now)
    if attempt is None or getattr(event, "attempt", attempt.n) != attempt.n:
        return Step(task, attempt)
    decide = _TABLE.get(type(event))
    return decide(task, attempt, event, now, limits) if decide else Step(task, attempt)


# before the permit


def _reserved(task: Task, attempt: Attempt, now: datetime) -> Step:
    begun = replace(
        task,
        status="submitting",
        stage="uploading" if task.job.files else "preparing",
        attempt=attempt.n,
        session=attempt.session,
        not_before=None,
        started_at=task.started_at or now,
    )
    if not task.job.files:
        return Step(begun, attempt, (_submit(begun, attempt),))
    upload = said.UploadReferences(
        task=task.id,
        attempt=attempt.n,
        session=attempt.session,
        files=task.job.files,
    )
    return Step(begun, attempt, (upload,))


def _uploaded(task: Task, attempt: Attempt, event: said.Uploaded, *_: Any) -> Step:
    if task.stage != "uploading" or attempt.state != "reserved":
        return Step(task, attempt)
    attempt = replace(attempt, materials=event.materials)
    task = replace(task, stage="preparing")
    return Step(task, attempt, (_submit(task, attempt),))


def _submit(task: Task, attempt: Attempt) -> Command:
    in_page = find_model(task.job.model).in_page
    return (said.SubmitInPage if in_page else said.SubmitPlain)(
        task=task.id,
        attempt=attempt.n,
        session=attempt.session,
        job=task.job,
        materials=attempt.materials,
        send=1,
        submit_id=attempt.submit_id,
    )


def _upload_failed(
    task: Task, attempt: Attempt, event: said.UploadFailed, now: datetime, _: Limits
) -> Step:
    if task.status != "submitting" or attempt.state != "reserved":
        return Step(task, attempt)
    return _not_taken(task, attempt, event, now)


def _permit(
    task: Task, attempt: Attempt, event: PermitAsked, now: datetime, _: Limits
) -> Step:
    if task.status != "submitting" or attempt.state != "reserved":
        return Step(task, attempt)
    attempt = replace(
        attempt,
        state="permitted",
        sends=event.send,
        nonce=event.nonce,
        body_hash=event.body_hash,
        permitted_at=now,
    )
    # From here on the poller looks: what was taken is simply followed.
    poll = PollSession(session=attempt.session)
    return Step(replace(task, stage="sending"), attempt, (poll,))


# after the permit


def _submitted(task: Task, attempt: Attempt, event: said.Submitted, *_: Any) -> Step:
    if attempt.state != "permitted":
        return Step(task, attempt)
    attempt = replace(attempt, answer=event.answer)
    return Step(_polling(task), _known(attempt, event.upstream_id))


def _refused(
    task: Task, attempt: Attempt, event: said.Refused, now: datetime, _: Limits
) -> Step:
    if attempt.state != "permitted":
        return Step(task, attempt)
    return _not_taken(task, attempt, event, now)


def _unknown(task: Task, attempt: Attempt, event: said.Unknown, *_: Any) -> Step:
    if attempt.state != "permitted":
        return Step(task, attempt)
    attempt = replace(attempt, reason=event.detail, answer=event.answer)
    return Step(_submitting(task, "unknown"), attempt)


def _progressed(
    task: Task,
    attempt: Attempt,
    event: said.Progressed,
    now: datetime,
    limits: Limits,
) -> Step:
    if attempt.state not in {"permitted", "known"}:
        return Step(task, attempt)
    attempt = _known(attempt, event.upstream_id)
    if not task.ended and _older(attempt, limits.max_poll, now):
        task = _failed(task, ErrorCode.POLL_TIMEOUT, "still unfinished", now)
    if _older(attempt, limits.follow, now):
        return Step(task, _end(attempt, now, charged=None, reason="followed too long"))
    progress = Progress.model_validate(event.model_dump())
    return Step(_polling(task, progress), attempt)


def _absent(
    task: Task, attempt: Attempt, _: said.Absent, now: datetime, limits: Limits
) -> Step:
    if attempt.state != "permitted":
        return Step(task, attempt)
    attempt = replace(attempt, absent=attempt.absent + 1)
    if task.ended and _older(attempt, limits.follow, now):
        return Step(task, _end(attempt, now, charged=None, reason="never seen"))
    if attempt.absent >= limits.settle_rounds:
        task = _submitting(task, "held")
    return Step(task, attempt)


def _generated(
    task: Task, attempt: Attempt, event: said.Generated, now: datetime, _: Limits
) -> Step:
    if attempt.state not in {"permitted", "known"}:
        return Step(task, attempt)
    attempt = _known(attempt, event.upstream_id)
    attempt = _end(attempt, now, charged=True, reason="generated")
    if task.ended:
        return Step(task, attempt)
    store = said.StoreResults(
        task=task.id,
        attempt=attempt.n,
        session=attempt.session,
        submit_id=attempt.submit_id,
        items=event.items,
    )
    task = replace(task, status="downloading", stage="storing", progress=Progress())
    return Step(task, attempt, (store,))


def _generation_failed(
    task: Task, attempt: Attempt, event: said.GenerationFailed, now: datetime, _: Limits
) -> Step:
    if attempt.state not in {"permitted", "known"}:
        return Step(task, attempt)
    attempt = _known(attempt, event.upstream_id)
    attempt = replace(attempt, answer=event.answer or attempt.answer)
    attempt = _end(attempt, now, charged=None, reason=words_of(event))
    effect = effect_of(event.upstream_code or "")
    if not task.ended:
        task = _failed_by(task, event, effect, now)
    return Step(task, attempt, signal=_signal(task, attempt, effect, event))


# after the site's end


def _stored(
    task: Task, attempt: Attempt, event: said.Stored, now: datetime, _: Limits
) -> Step:
    if task.status != "downloading":
        return Step(task, attempt)
    done = replace(
        task, status="succeeded", stage=None, results=event.results, finished_at=now
    )
    return Step(done, attempt)


def _store_failed(
    task: Task, attempt: Attempt, event: said.StoreFailed, now: datetime, _: Limits
) -> Step:
    if task.status != "downloading":
        return Step(task, attempt)
    code = event.code or ErrorCode.DOWNLOAD_FAILED
    return Step(_failed(task, code, event.detail, now), attempt)


def _died(
    task: Task, attempt: Attempt, event: said.Died, now: datetime, _: Limits
) -> Step:
    if event.service == "downloader":
        if task.status != "downloading":
            return Step(task, attempt)
        code = ErrorCode.DOWNLOAD_FAILED
        return Step(_failed(task, code, event.reason, now), attempt)
    if attempt.state == "permitted":
        return Step(_submitting(task, "unknown"), attempt)
    if attempt.state != "reserved":
        return Step(task, attempt)
    attempt = _end(attempt, now, charged=False, reason=event.reason)
    return Step(task if task.ended else _again(task, attempt, now), attempt)


def _cancel(task: Task, attempt: Attempt | None, now: datetime) -> Step:
    if task.ended:
        return Step(task, attempt)
    task = replace(task, status="cancelled", stage=None, finished_at=now)
    if attempt and attempt.state == "reserved":
        attempt = _end(attempt, now, charged=False, reason="cancelled")
    return Step(task, attempt)


# the words of the table


def _not_taken(task: Task, attempt: Attempt, event: Failure, now: datetime) -> Step:
    """The site certainly has no job: the attempt ends, the task goes on or fails."""
    effect = effect_of(event.upstream_code or "")
    signal = _signal(task, attempt, effect, event)
    if effect and effect.task is TaskEffect.UNKNOWN:
        return Step(_submitting(task, "unknown"), attempt)
    attempt = replace(attempt, answer=event.answer)
    attempt = _end(attempt, now, charged=False, reason=words_of(event))
    if task.ended:
        return Step(task, attempt, signal=signal)
    if _for_good(event, effect):
        return Step(_failed_by(task, event, effect, now), attempt, signal=signal)
    if attempt.n >= MAX_ATTEMPTS:
        code = ErrorCode.ATTEMPTS_EXHAUSTED
        text = f"refused {attempt.n} times, last: {words_of(event)}"
        failed = _failed(task, code, text, now)
        failed = replace(failed, upstream_code=event.upstream_code)
        return Step(failed, attempt, signal=signal)
    return Step(_again(task, attempt, now, effect), attempt, signal=signal)


def _for_good(event: Failure, effect: Effect | None) -> bool:
    if effect:
        return effect.task is TaskEffect.FAIL
    return event.code is not ErrorCode.SITE_UNREACHABLE


def _signal(
    task: Task, attempt: Attempt, effect: Effect | None, event: Failure
) -> Signal | None:
    if effect is None or effect.session is SessionEffect.NONE:
        return None
    closes = effect.session is SessionEffect.CLOSE_MODEL
    model = find_model(task.job.model).key if closes else None
    return Signal(attempt.session, effect.session, words_of(event), model)


def _again(
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


def _failed_by(
    task: Task, event: Failure, effect: Effect | None, now: datetime
) -> Task:
    failed = _failed(task, code_of(event, effect), words_of(event), now)
    return replace(failed, upstream_code=event.upstream_code)


def _failed(task: Task, code: ErrorCode, text: str, now: datetime) -> Task:
    return replace(
        task,
        status="failed",
        stage=None,
        error_code=code,
        error_message=text,
        finished_at=now,
    )


def _polling(task: Task, progress: Progress | None = None) -> Task:
    if task.status not in {"submitting", "polling"}:
        return task
    progress = progress or task.progress
    status: Status = "polling"
    return replace(task, status=status, stage=progress.stage, progress=progress)


def _submitting(task: Task, stage: Stage) -> Task:
    return replace(task, stage=stage) if task.status == "submitting" else task


def _known(attempt: Attempt, upstream_id: str | None) -> Attempt:
    return replace(
        attempt, state="known", upstream_id=upstream_id or attempt.upstream_id
    )


def _end(
    attempt: Attempt, now: datetime, *, charged: bool | None, reason: str
) -> Attempt:
    return replace(attempt, state="ended", ended_at=now, charged=charged, reason=reason)


def _older(attempt: Attempt, age: timedelta, now: datetime) -> bool:
    return attempt.permitted_at is not None and now - attempt.permitted_at > age


_TABLE: dict[type, Callable[..., Step]] = {
    said.Uploaded: _uploaded,
    said.UploadFailed: _upload_failed,
    PermitAsked: _permit,
    said.Submitted: _submitted,
    said.Refused: _refused,
    said.Unknown: _unknown,
    said.Progressed: _progressed,
    said.Absent: _absent,
    said.Generated: _generated,
    said.GenerationFailed: _generation_failed,
    said.Stored: _stored,
    said.StoreFailed: _store_failed,
    said.Died: _died,
}
