"""Up to the site's answer: reserve, upload, permit, send, settle.

A submit is paid for. So there is one permit for each send; an outcome that is not known
is looked for (the poller asks by `submit_id`); and only when so many good answers in a
row do not have it is the same submit sent once more, or held for a person to decide.
"""

from dataclasses import replace
from datetime import datetime

from contracts import tasks as said
from contracts.errors import ErrorCode
from contracts.tasks import PollSession
from scheduler.domain.rows import Attempt, Task
from scheduler.domain.steps import (
    Adopted,
    Limits,
    PermitAsked,
    Reserved,
    ResolveAsked,
    Step,
)
from scheduler.domain.verbs import (
    again,
    end,
    failed,
    gave_up,
    not_taken,
    overdue,
    polling,
    submitting,
)

GONE = "the site no longer tells of it"


def reserved(
    task: Task, _: Attempt | None, event: Reserved, now: datetime, __: Limits
) -> Step:
    """Begin the next attempt, on the session that was found."""
    return Step(_begun(task, event.attempt, now), event.attempt)


def adopted(
    task: Task, _: Attempt | None, event: Adopted, now: datetime, __: Limits
) -> Step:
    """Look first whether the site has what the retried task once sent."""
    task = replace(_begun(task, event.attempt, now), stage="unknown")
    task = polling(task) if event.attempt.state == "known" else task
    return Step(task, event.attempt, (PollSession(session=event.attempt.session),))


def _begun(task: Task, attempt: Attempt, now: datetime) -> Task:
    return replace(
        task,
        status="submitting",
        stage="uploading" if task.job.files else "preparing",
        attempt=attempt.n,
        session=attempt.session,
        not_before=None,
        started_at=task.started_at or now,
    )


def uploaded(
    task: Task, attempt: Attempt, event: said.Uploaded, _: datetime, __: Limits
) -> Step:
    """Go on with what the references are called at the site."""
    if task.stage != "uploading":
        return Step(task, attempt)
    attempt = replace(attempt, materials=event.materials)
    return Step(replace(task, stage="preparing"), attempt)


def upload_failed(
    task: Task,
    attempt: Attempt,
    event: said.UploadFailed,
    now: datetime,
    limits: Limits,
) -> Step:
    """One reference that cannot be had fails the whole attempt."""
    return not_taken(task, attempt, event, now, limits)


def permit(
    task: Task, attempt: Attempt, event: PermitAsked, now: datetime, _: Limits
) -> Step:
    """Grant the first send; on a session that takes no work, queue again instead."""
    if event.send != attempt.allowed:
        return Step(task, attempt)
    if not event.usable:
        attempt = end(attempt, now, charged=False, reason="session not active")
        return Step(again(task), attempt)
    # From here on the poller looks: what was taken is simply followed.
    poll = PollSession(session=attempt.session)
    return Step(submitting(task, "sending"), _permitted(attempt, event, now), (poll,))


def permit_again(
    task: Task, attempt: Attempt, event: PermitAsked, now: datetime, _: Limits
) -> Step:
    """Grant a further send once it is wanted; each of them is granted once."""
    if not attempt.sends < event.send == attempt.allowed:
        return Step(task, attempt)
    if not event.usable:  # it stays where it may be found, and settles anew
        return Step(submitting(task, "unknown"), _unsettled(attempt, attempt.sends))
    return Step(submitting(task, "sending"), _permitted(attempt, event, now))


def _permitted(attempt: Attempt, event: PermitAsked, now: datetime) -> Attempt:
    return replace(
        _unsettled(attempt, attempt.allowed),
        state="permitted",
        sends=event.send,
        nonce=event.nonce,
        body_hash=event.body_hash,
        permitted_at=now,
    )


def _unsettled(attempt: Attempt, allowed: int) -> Attempt:
    """Count absent answers from here on anew."""
    return replace(attempt, allowed=allowed, absent=0, since_round=attempt.round)


def refused(
    task: Task, attempt: Attempt, event: said.Refused, now: datetime, limits: Limits
) -> Step:
    """Only the newest send's refusal counts: an older one's is no news of this one.

    Also before the permit: the signer found that this cannot be sent at all.
    """
    if event.n != attempt.allowed:
        return Step(task, attempt)
    return not_taken(task, attempt, event, now, limits)


def unknown(
    task: Task, attempt: Attempt, event: said.Unknown, _: datetime, __: Limits
) -> Step:
    """Nobody knows whether the site took it; the poller looks already."""
    if event.n != attempt.allowed or task.stage == "held":
        return Step(task, attempt)
    attempt = replace(attempt, reason=event.detail, answer=event.answer)
    return Step(submitting(task, "unknown"), attempt)


def absent(
    task: Task, attempt: Attempt, event: said.Absent, now: datetime, limits: Limits
) -> Step:
    """Count good answers without it; after enough of them it was not taken."""
    task, attempt = overdue(task, attempt, GONE, now, limits)
    waits = attempt.sends < attempt.allowed or task.stage == "held"
    waits = waits and not task.ended
    if attempt.state == "ended" or event.n <= attempt.since_round or waits:
        return Step(task, attempt)
    attempt = replace(attempt, absent=attempt.absent + 1)
    if attempt.absent < limits.settle_rounds:
        return Step(task, attempt)
    if task.ended:
        return Step(task, end(attempt, now, charged=None, reason="never seen"))
    if attempt.adopted:  # nothing to take over: the retry buys anew
        attempt = end(attempt, now, charged=None, reason="never seen")
        return Step(again(task), attempt)
    if limits.on_unknown == "hold" or attempt.sends >= limits.max_sends:
        return Step(submitting(task, "held"), attempt)
    return _once_more(task, attempt)


def _once_more(task: Task, attempt: Attempt) -> Step:
    """Want another send of the same submit."""
    task = submitting(task, "preparing")
    return Step(task, _unsettled(attempt, attempt.sends + 1))


def resolved(
    task: Task, attempt: Attempt, event: ResolveAsked, now: datetime, _: Limits
) -> Step:
    """End a hold as an operator says."""
    if task.stage != "held":
        return Step(task, attempt)
    if event.action == "resend":
        return _once_more(task, attempt)
    attempt = end(attempt, now, charged=None, reason="given up by an operator")
    text = "whether the site took it is not known, and it was given up"
    return Step(failed(task, ErrorCode.SUBMIT_UNKNOWN, text, now), attempt)


def died(
    task: Task, attempt: Attempt, event: said.Died, now: datetime, limits: Limits
) -> Step:
    """A service gave up before anything was sent."""
    return gave_up(task, attempt, event.reason, now, limits)


def died_after_permit(
    task: Task, attempt: Attempt, event: said.Died, _: datetime, __: Limits
) -> Step:
    """Take a send whose service gave up as one that may have left."""
    late = event.n != attempt.allowed or task.stage == "held"
    if event.service != "signer" or late:
        return Step(task, attempt)
    attempt = _unsettled(replace(attempt, sends=attempt.allowed), attempt.allowed)
    return Step(submitting(task, "unknown"), replace(attempt, reason=event.reason))
