"""The whole life of a task: what each fact means, in each state.

`advance` is a table of (status of the task) × (state of its latest attempt) × (event).
What stands nowhere in it changes nothing: late, doubled and out-of-order facts are
normal here. A fact about an attempt that is not the latest, or has ended, is late.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from contracts import tasks as said
from contracts.errors import ErrorCode
from contracts.message import Command
from contracts.tasks import PollSession, Progress
from jimeng import find_model
from jimeng.errors import effect_of
from scheduler.domain.failures import words_of
from scheduler.domain.rows import Attempt, Task
from scheduler.domain.steps import (
    CancelAsked,
    Happening,
    Limits,
    PermitAsked,
    Reserved,
    Step,
)
from scheduler.domain.verbs import (
    again,
    end,
    failed,
    failed_by,
    known,
    not_taken,
    older,
    polling,
    signal,
    submitting,
)


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
    return not_taken(task, attempt, event, now)


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
    return Step(polling(task), known(attempt, event.upstream_id))


def _refused(
    task: Task, attempt: Attempt, event: said.Refused, now: datetime, _: Limits
) -> Step:
    # Also before the permit: the signer found that this cannot be sent at all.
    if attempt.state not in {"reserved", "permitted"}:
        return Step(task, attempt)
    return not_taken(task, attempt, event, now)


def _unknown(task: Task, attempt: Attempt, event: said.Unknown, *_: Any) -> Step:
    if attempt.state != "permitted":
        return Step(task, attempt)
    attempt = replace(attempt, reason=event.detail, answer=event.answer)
    return Step(submitting(task, "unknown"), attempt)


def _progressed(
    task: Task,
    attempt: Attempt,
    event: said.Progressed,
    now: datetime,
    limits: Limits,
) -> Step:
    if attempt.state not in {"permitted", "known"}:
        return Step(task, attempt)
    attempt = known(attempt, event.upstream_id)
    if not task.ended and older(attempt, limits.max_poll, now):
        task = failed(task, ErrorCode.POLL_TIMEOUT, "still unfinished", now)
    if older(attempt, limits.follow, now):
        return Step(task, end(attempt, now, charged=None, reason="followed too long"))
    progress = Progress.model_validate(event.model_dump())
    return Step(polling(task, progress), attempt)


def _absent(
    task: Task, attempt: Attempt, _: said.Absent, now: datetime, limits: Limits
) -> Step:
    if attempt.state not in {"permitted", "known"}:
        return Step(task, attempt)
    if not task.ended and older(attempt, limits.max_poll, now):
        task = failed(
            task, ErrorCode.POLL_TIMEOUT, "the site no longer tells of it", now
        )
    if older(attempt, limits.follow, now):
        return Step(task, end(attempt, now, charged=None, reason="not seen any more"))
    if attempt.state == "known":  # seen before: the site's lists lag
        return Step(task, attempt)
    attempt = replace(attempt, absent=attempt.absent + 1)
    if attempt.absent >= limits.settle_rounds:
        task = submitting(task, "held")
    return Step(task, attempt)


def _generated(
    task: Task, attempt: Attempt, event: said.Generated, now: datetime, _: Limits
) -> Step:
    if attempt.state not in {"permitted", "known"}:
        return Step(task, attempt)
    attempt = known(attempt, event.upstream_id)
    attempt = end(attempt, now, charged=True, reason="generated")
    if task.ended:
        return Step(task, attempt)
    store = said.StoreResults(
        task=task.id,
        attempt=attempt.n,
        session=attempt.session,
        submit_id=attempt.submit_id,
        kind=task.belonging.kind,
        items=event.items,
    )
    task = replace(task, status="downloading", stage="storing", progress=Progress())
    return Step(task, attempt, (store,))


def _generation_failed(
    task: Task, attempt: Attempt, event: said.GenerationFailed, now: datetime, _: Limits
) -> Step:
    if attempt.state not in {"permitted", "known"}:
        return Step(task, attempt)
    attempt = known(attempt, event.upstream_id)
    attempt = replace(attempt, answer=event.answer or attempt.answer)
    attempt = end(attempt, now, charged=None, reason=words_of(event))
    effect = effect_of(event.upstream_code or "")
    if not task.ended:
        task = failed_by(task, event, effect, now)
    return Step(task, attempt, signal=signal(task, attempt, effect, event))


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
    return Step(failed(task, code, event.detail, now), attempt)


def _died(
    task: Task, attempt: Attempt, event: said.Died, now: datetime, _: Limits
) -> Step:
    if event.service == "downloader":
        if task.status != "downloading":
            return Step(task, attempt)
        code = ErrorCode.DOWNLOAD_FAILED
        return Step(failed(task, code, event.reason, now), attempt)
    if attempt.state == "permitted":
        return Step(submitting(task, "unknown"), attempt)
    if attempt.state != "reserved":
        return Step(task, attempt)
    attempt = end(attempt, now, charged=False, reason=event.reason)
    return Step(task if task.ended else again(task, attempt, now), attempt)


def _cancel(task: Task, attempt: Attempt | None, now: datetime) -> Step:
    if task.ended:
        return Step(task, attempt)
    if attempt and task.stage == "held":  # a hold ends with its task
        attempt = end(attempt, now, charged=None, reason="cancelled while held")
    task = replace(task, status="cancelled", stage=None, finished_at=now)
    if attempt and attempt.state == "reserved":
        attempt = end(attempt, now, charged=False, reason="cancelled")
    return Step(task, attempt)


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
