"""What keeps a task waiting that a person could do something about, in words."""

from collections.abc import Sequence
from datetime import datetime

from jimeng import InvalidJob, Model, find_model
from scheduler.domain import choice
from scheduler.domain.rows import Session, Task

SHOWN = 5
STUCK = {"expired", "blocked"}


def waiting_for(task: Task, sessions: Sequence[Session], now: datetime) -> str | None:
    """Say what a task waits for; None: for its turn, or for nothing."""
    if task.status == "queued":
        return _queued(task, sessions, now)
    if task.status not in {"submitting", "polling"}:
        return None
    mine = next((s for s in sessions if s.id == task.session), None)
    if mine is None or mine.state not in STUCK:
        return None
    return f"{mine.label}: {_state(mine)}"


def _queued(task: Task, sessions: Sequence[Session], now: datetime) -> str | None:
    try:
        model = find_model(task.job.model)
    except InvalidJob:
        return "the model is not known to this version"
    sessions = [s for s in sessions if choice.serves(s, task.belonging.owner)]
    able = [s for s in sessions if choice.fits(s, model, now)]
    if any(not _capped(s) for s in able):
        return None
    if not sessions:
        return "there is no account in the pool"
    texts = [f"{s.label}: {_obstacle(s, model, now)}" for s in sessions]
    more = [f"and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else []
    return "; ".join([*texts[:SHOWN], *more])


def _obstacle(session: Session, model: Model, now: datetime) -> str:
    if session.region not in model.regions:
        return f"{model.name} is not offered in region {session.region}"
    if session.models and model.key not in session.models:
        return f"it is not to be used for {model.name}"
    for closed in session.closed_models:
        if closed.model == model.key:
            return closed.reason
    if not choice.usable(session, now):
        return _state(session)
    return f"its {session.daily_cap} jobs of today are done"


def _state(session: Session) -> str:
    until = f" until {session.until:%Y-%m-%d %H:%M} UTC" if session.until else ""
    why = f": {session.reason}" if session.reason else ""
    return f"{session.state}{until}{why}"


def _capped(session: Session) -> bool:
    return session.daily_cap is not None and session.today >= session.daily_cap
