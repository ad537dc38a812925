"""From the site's yes to the end: follow, fetch, finish; and cancel at any moment.

An attempt is followed to its end whatever became of its task: the slot is the
account's, and what was charged stays known.
"""

from dataclasses import replace
from datetime import datetime

from contracts import tasks as said
from contracts.errors import ErrorCode
from contracts.values import Progress
from jimeng.errors import TaskEffect, effect_of
from scheduler.domain.rows import Attempt, Task
from scheduler.domain.sending import GONE
from scheduler.domain.steps import CancelAsked, Due, Limits, Step
from scheduler.domain.verbs import (
    again,
    end,
    end_by,
    failed,
    failed_by,
    known,
    overdue,
    polling,
    signal,
)


def submitted(
    task: Task, attempt: Attempt, event: said.Submitted, _: datetime, __: Limits
) -> Step:
    """Note that the site took it."""
    attempt = replace(attempt, answer=event.answer)
    return Step(polling(task), known(attempt, event.upstream_id))


def progressed(
    task: Task, attempt: Attempt, event: said.Progressed, now: datetime, limits: Limits
) -> Step:
    """Tell where it stands."""
    attempt = known(attempt, event.upstream_id)
    task, attempt = overdue(task, attempt, "still unfinished", now, limits)
    if attempt.state == "ended" or task.ended:
        return Step(task, attempt)
    return Step(polling(task, Progress.model_validate(event.model_dump())), attempt)


def absent(
    task: Task, attempt: Attempt, _: said.Absent, now: datetime, limits: Limits
) -> Step:
    """It was seen before: the site's lists lag."""
    return Step(*overdue(task, attempt, GONE, now, limits))


def generated(
    task: Task, attempt: Attempt, event: said.Generated, now: datetime, _: Limits
) -> Step:
    """Give the slot back, and fetch what was made."""
    attempt = replace(known(attempt, event.upstream_id), items=event.items)
    paid = attempt.charged if attempt.adopted else None
    attempt = end(
        attempt, now, charged=True if paid is None else paid, reason="generated"
    )
    if task.ended:
        return Step(task, attempt)
    task = replace(task, status="downloading", stage="storing", progress=Progress())
    return Step(task, attempt)


def generation_failed(
    task: Task,
    attempt: Attempt,
    event: said.GenerationFailed,
    now: datetime,
    limits: Limits,
) -> Step:
    """The site took it and failed; it is bought again only where somebody said so."""
    attempt = known(attempt, event.upstream_id)
    attempt = replace(attempt, answer=event.answer or attempt.answer)
    effect = effect_of(event.upstream_code or "")
    attempt = end_by(attempt, event, effect, now, charged=None)
    told = signal(task, attempt, effect, event)
    if task.ended:
        return Step(task, attempt, signal=told)
    if attempt.adopted:  # who asked for the retry knew that it may have failed
        return Step(again(task), attempt, signal=told)
    may = effect is not None and effect.task is not TaskEffect.FAIL
    if may and task.terms.buy_again:
        left = task.terms.buy_again - 1
        terms = task.terms.model_copy(update={"buy_again": left})
        task = replace(again(task, now + limits.pause(attempt.n)), terms=terms)
        return Step(task, attempt, signal=told)
    return Step(failed_by(task, event, effect, now), attempt, signal=told)


def stored(
    task: Task, attempt: Attempt, event: said.Stored, now: datetime, _: Limits
) -> Step:
    """Finish: the files are here."""
    done = replace(
        task, status="succeeded", stage=None, results=event.results, finished_at=now
    )
    return Step(done, attempt)


def stored_for_nobody(
    task: Task, attempt: Attempt, event: said.Stored, _: datetime, __: Limits
) -> Step:
    """Throw away what came after the task's end."""
    keys = [key for r in event.results for key in (r.key, r.poster) if key]
    return Step(task, attempt, (said.DeleteFiles(task=task.id, keys=tuple(keys)),))


def store_failed(
    task: Task, attempt: Attempt, event: said.StoreFailed, now: datetime, _: Limits
) -> Step:
    """What was made cannot be had, or not all of it; the rest belongs to nobody."""
    if not task.ended:
        code = event.code or ErrorCode.DOWNLOAD_FAILED
        task = failed(task, code, event.detail, now)
    return Step(task, attempt, (said.DeleteResults(task=task.id),))


def died(
    task: Task, attempt: Attempt, event: said.Died, now: datetime, _: Limits
) -> Step:
    """Fail when the downloader gave up; what it has stored belongs to nobody."""
    if event.service != "downloader":
        return Step(task, attempt)
    if not task.ended:
        task = failed(task, ErrorCode.DOWNLOAD_FAILED, event.reason, now)
    return Step(task, attempt, (said.DeleteResults(task=task.id),))


def cancel(
    task: Task, attempt: Attempt | None, _: CancelAsked, now: datetime, __: Limits
) -> Step:
    """Stop: outright where nothing was sent, else only for the client."""
    held = task.stage == "held"
    task = replace(task, status="cancelled", stage=None, finished_at=now)
    return Step(task, _let_go(attempt, now, "cancelled", held=held))


def due(task: Task, attempt: Attempt | None, _: Due, now: datetime, __: Limits) -> Step:
    """Fail at the task's own deadline; what is paid and made is still fetched."""
    deadline = task.terms.deadline
    if not deadline or now < deadline or task.status == "downloading":
        return Step(task, attempt)
    held = task.stage == "held"
    text = f"not finished at its deadline, {deadline:%Y-%m-%d %H:%M:%S} UTC"
    task = failed(task, ErrorCode.DEADLINE_EXCEEDED, text, now)
    return Step(task, _let_go(attempt, now, "deadline", held=held))


def _let_go(
    attempt: Attempt | None, now: datetime, reason: str, *, held: bool
) -> Attempt | None:
    """End what was never sent, and a hold; what may be at the site is followed."""
    if attempt and attempt.state == "reserved":
        return end(attempt, now, charged=False, reason=reason)
    if attempt and attempt.state == "permitted" and held:
        return end(attempt, now, charged=None, reason=f"{reason} while held")
    if attempt and attempt.state == "permitted":
        return replace(attempt, allowed=attempt.sends)  # no further send
    return attempt
