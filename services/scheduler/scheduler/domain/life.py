"""The whole life of a task: what each happening means, in each situation.

`TABLE` is status of the task × state of its latest attempt × what happened. What stands
nowhere in it changes nothing: late, doubled and out-of-order facts are normal here.
Which command is waited for follows from where task and attempt stand (`awaited`); it
is issued when it becomes the one to wait for, and again when its time is over.
`docs/life-of-a-task.md` is drawn from this table.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from contracts import tasks as said
from contracts.message import Command
from contracts.values import Status
from scheduler.domain import following, sending
from scheduler.domain.rows import Attempt, AttemptState, Task
from scheduler.domain.steps import (
    Adopted,
    CancelAsked,
    Due,
    Happening,
    Limits,
    PermitAsked,
    Reserved,
    ResolveAsked,
    Step,
)
from scheduler.domain.verbs import awaited

Situation = tuple[Status, AttemptState | None]
Decide = Callable[..., Step]

_WAITING: Mapping[type, Decide] = {
    Reserved: sending.reserved,
    CancelAsked: following.cancel,
    Due: following.due,
}
_FOLLOWED: Mapping[type, Decide] = {  # its task has ended; it has not
    said.Submitted: following.submitted,
    said.Refused: sending.refused,
    said.Progressed: following.progressed,
    said.Absent: sending.absent,
    said.Generated: following.generated,
    said.GenerationFailed: following.generation_failed,
}
_SEEN: Mapping[type, Decide] = {  # as well; a late no is about what was not seen
    said.Progressed: following.progressed,
    said.Absent: following.absent,
    said.Generated: following.generated,
    said.GenerationFailed: following.generation_failed,
}
_STORED_LATE: Mapping[type, Decide] = {
    said.Stored: following.stored_for_nobody,
    said.StoreFailed: following.store_failed,
    said.Died: following.died,
}
TABLE: Mapping[Situation, Mapping[type, Decide]] = {
    ("queued", None): {**_WAITING, Adopted: sending.adopted},
    ("queued", "ended"): _WAITING,
    ("submitting", "reserved"): {
        said.Uploaded: sending.uploaded,
        said.UploadFailed: sending.upload_failed,
        PermitAsked: sending.permit,
        said.Refused: sending.refused,
        said.Died: sending.died,
        CancelAsked: following.cancel,
        Due: following.due,
    },
    ("submitting", "permitted"): {
        PermitAsked: sending.permit_again,
        said.Submitted: following.submitted,
        said.Refused: sending.refused,
        said.Unknown: sending.unknown,
        said.Absent: sending.absent,
        said.Progressed: following.progressed,
        said.Generated: following.generated,
        said.GenerationFailed: following.generation_failed,
        said.Died: sending.died_after_permit,
        ResolveAsked: sending.resolved,
        CancelAsked: following.cancel,
        Due: following.due,
    },
    ("polling", "known"): {
        **_SEEN,
        CancelAsked: following.cancel,
        Due: following.due,
    },
    ("downloading", "ended"): {
        said.Stored: following.stored,
        said.StoreFailed: following.store_failed,
        said.Died: following.died,
        CancelAsked: following.cancel,
        Due: following.due,
    },
    ("cancelled", "ended"): _STORED_LATE,
    ("failed", "ended"): _STORED_LATE,
    ("cancelled", "permitted"): _FOLLOWED,
    ("failed", "permitted"): _FOLLOWED,
    ("cancelled", "known"): _SEEN,
    ("failed", "known"): _SEEN,
}


def advance(
    task: Task, attempt: Attempt | None, event: Happening, now: datetime, limits: Limits
) -> Step:
    """Return what an event changes, and which commands follow."""
    situation = task.status, attempt.state if attempt else None
    decide = TABLE.get(situation, {}).get(type(event))
    if decide is None or _superseded(attempt, event):
        return Step(task, attempt)
    step = decide(task, attempt, event, now, limits)
    return _timed(Step(task, attempt), step, event, now, limits)


def _superseded(attempt: Attempt | None, event: Happening) -> bool:
    """Whether an event is about another attempt than the latest."""
    if not isinstance(event, said.TaskEvent | PermitAsked):
        return False
    return attempt is None or event.attempt != attempt.n


def _timed(
    before: Step, after: Step, event: Happening, now: datetime, limits: Limits
) -> Step:
    """Issue what is now waited for, and note when to look at the task again."""
    wanted = awaited(after.task, after.attempt)
    new = wanted if isinstance(event, Due) or wanted != _awaited(before) else None
    moment = None
    if new:
        moment = now + _patience(new, limits)
    elif wanted:
        moment = before.task.due_at
    deadline = after.task.terms.deadline
    if deadline and after.task.status in {"queued", "submitting", "polling"}:
        moment = min(moment, deadline) if moment else deadline
    task = replace(after.task, due_at=moment)
    commands = (*after.commands, new) if new else after.commands
    return replace(after, task=task, commands=commands)


def _awaited(step: Step) -> Command | None:
    return awaited(step.task, step.attempt)


def _patience(command: Command, limits: Limits) -> timedelta:
    if isinstance(command, said.UploadReferences):
        return limits.upload
    return limits.store if isinstance(command, said.StoreResults) else limits.submit
