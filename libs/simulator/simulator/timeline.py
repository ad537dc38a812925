"""When a job does what, decided once at its submit, and where it stands at a moment."""

import math
from dataclasses import dataclass
from typing import Literal

from simulator import prompts
from simulator.records import Job, Timeline
from simulator.settings import Knobs, Pace

QUEUED, GENERATING, FINISHED = 1, 2, 3
PROCESSING, THINKING, PARTIAL, SUCCESS = 20, 42, 45, 50
PRE_CHECK_REJECT, FAILED, POST_CHECK_REJECT = 10, 30, 40

_PLACES_PER_SECOND = 3.72
"""A queue of two hours starts at place 26 785, a number seen on the site at peak."""

_LENGTH_FACTOR = 3.43
"""... of 91 854 in line then."""

_PRE_CHECK_CODES = {"2003", "2005", "2038", "4011"}
_POST_CHECK_CODES = {"2004", "2043"}


@dataclass(frozen=True)
class Phase:
    """What a poll at one moment shows."""

    status: int
    queue_status: int
    queue_idx: int
    queue_length: int
    wait_seconds: int
    generate_seconds: int
    items: Literal["none", "partial", "all"]


def plan(now: float, pace: Pace, knobs: Knobs, prompt: str, late: float) -> Timeline:
    """The timeline of a job submitted now; a switch in the prompt beats `instant`."""
    found = prompts.switches(prompt)
    scale = 0.0 if knobs.instant else knobs.scale * prompts.number(found, "slow", 1.0)
    invisible = prompts.number(found, "invisible", pace.invisible * scale) + late
    queued = prompts.number(found, "queue", pace.queued * scale)
    visible = now + invisible
    running = max(visible, now + queued)
    thinking = running + pace.generating * scale
    partial = thinking + pace.thinking * scale
    return Timeline(
        created=now,
        visible=visible,
        running=running,
        thinking=thinking,
        partial=partial,
        done=partial + pace.partial * scale,
    )


def ending(prompt: str) -> tuple[int, str]:
    """The status a job ends with and its code: `[[fail:…]]` decides."""
    code = prompts.switches(prompt).get("fail")
    if code is None:
        return SUCCESS, ""
    if code in _PRE_CHECK_CODES:
        return PRE_CHECK_REJECT, code
    return (
        POST_CHECK_REJECT if code in _POST_CHECK_CODES else FAILED
    ), code or "100402"


def phase(job: Job, now: float, *, finished: bool) -> Phase:
    """Where the job stands; a file that is not ready yet holds it back at 45."""
    times = job.times
    status, items = _status(job, now, finished=finished)
    wait = max(0.0, times.running - now)
    queue_status = _queue_status(status, waiting=wait > 0)
    total = (times.running - times.created) * _PLACES_PER_SECOND
    return Phase(
        status=status,
        queue_status=queue_status,
        queue_idx=math.ceil(wait * _PLACES_PER_SECOND),
        queue_length=math.ceil(total * _LENGTH_FACTOR) if wait else 0,
        wait_seconds=math.ceil(wait),
        generate_seconds=math.ceil(max(0.0, times.done - max(now, times.running))),
        items=items,
    )


def _status(
    job: Job, now: float, *, finished: bool
) -> tuple[int, Literal["none", "partial", "all"]]:
    times = job.times
    if now < times.thinking:
        return PROCESSING, "none"
    if now < times.partial:
        return THINKING, "none"
    if now >= times.done and job.fails:
        return job.end_status, "none"
    if now < times.done or not finished:
        return PARTIAL, "partial"
    return SUCCESS, "all"


def _queue_status(status: int, *, waiting: bool) -> int:
    if waiting:
        return QUEUED
    return GENERATING if status in (PROCESSING, THINKING, PARTIAL) else FINISHED
