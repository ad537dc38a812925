"""Who goes next: which waiting task gets which session."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.tasks import Stage
from jimeng.models import Model
from scheduler.domain.rows import Session


@dataclass(frozen=True)
class Waiting:
    """A queued task, as far as the order needs it."""

    id: str
    priority: int
    created_at: datetime
    model: Model
    stage: Stage | None
    not_before: datetime | None = None


@dataclass(frozen=True)
class Dispatched:
    """What was decided: pairs of task and session, and why the others wait."""

    pairs: tuple[tuple[str, str], ...]
    stages: tuple[tuple[str, Stage], ...]
    """Tasks whose stage must change to tell why they wait."""


def dispatch(
    waiting: Sequence[Waiting], sessions: Sequence[Session], room: int, now: datetime
) -> Dispatched:
    """Give each due task the least recently used session that can take it.

    Higher priority first, then the older task. `room` is how many more may be between
    permit and generated over the whole pool.
    """
    free = {s.id: s for s in sessions}
    taken: dict[str, int] = {}
    pairs: list[tuple[str, str]] = []
    stages: list[tuple[str, Stage]] = []
    for task in sorted(waiting, key=lambda t: (-t.priority, t.created_at, t.id)):
        if task.not_before and task.not_before > now:
            continue
        able = [s for s in free.values() if fits(s, task.model, now)]
        open_ = [s for s in able if s.active + taken.get(s.id, 0) < slots(s)]
        if len(pairs) < room and open_:
            pick = min(open_, key=lambda s: _lately(s, taken))
            taken[pick.id] = taken.get(pick.id, 0) + 1
            pairs.append((task.id, pick.id))
            continue
        why: Stage = "waiting" if able else "no_session"
        if why != task.stage:
            stages.append((task.id, why))
    return Dispatched(tuple(pairs), tuple(stages))


def seconds_to_next(
    waiting: Sequence[Waiting], sessions: Sequence[Session], now: datetime
) -> float | None:
    """Return when a pause ends, of a task or of a session; None: none pauses."""
    moments = [task.not_before for task in waiting] + [s.until for s in sessions]
    coming = [moment for moment in moments if moment and moment > now]
    return (min(coming) - now).total_seconds() + 0.01 if coming else None


def fits(session: Session, model: Model, now: datetime) -> bool:
    """Whether a session may take a task of this model at all."""
    return (
        usable(session, now)
        and session.region in model.regions
        and model.key not in session.closed_models
    )


def usable(session: Session, now: datetime) -> bool:
    """Whether a session takes tasks now; a cooled one is open again by itself."""
    if session.state == "active":
        return True
    rested = session.until is not None and session.until <= now
    return session.state in {"cooling", "exhausted"} and rested


def slots(session: Session) -> int:
    """How many tasks at once; a cooled session comes back with one, as a probe."""
    return session.max_active if session.state == "active" else 1


def _lately(session: Session, taken: dict[str, int]) -> tuple[int, float, str]:
    last = session.last_used_at.timestamp() if session.last_used_at else 0.0
    return taken.get(session.id, 0), last, session.id
