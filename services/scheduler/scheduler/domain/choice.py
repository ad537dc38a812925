"""Which session a task gets: who may take it, who has room, who comes first."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from contracts.values import LENT
from jimeng.models import Model
from scheduler.domain.rows import Session

Policy = Literal["lru", "idle", "weighted"]


def fits(session: Session, model: Model, now: datetime) -> bool:
    """Whether a session may take a task of this model at all."""
    return (
        usable(session, now)
        and session.region in model.regions
        and open_to(session, model)
    )


def serves(session: Session, owner: str | None) -> bool:
    """Whether it works for tasks of this owner: a lent one for its lender's alone.

    And these run on no other.
    """
    wanted = lender(owner)
    return wanted == session.id if session.lent else wanted is None


def lender(owner: str | None) -> str | None:
    """Return the lent session that an owner's tasks run on; None: on any."""
    if owner is None or not owner.startswith(LENT):
        return None
    return owner.removeprefix(LENT)


def usable(session: Session, now: datetime) -> bool:
    """Whether a session takes tasks now; a cooled one is open again by itself."""
    return session.state == "active" or half_open(session, now)


def half_open(session: Session, now: datetime) -> bool:
    """Whether its pause is over and nothing was accepted since."""
    rested = session.until is not None and session.until <= now
    return session.state in {"cooling", "exhausted"} and rested


def open_to(session: Session, model: Model) -> bool:
    """Whether this model is allowed here, by the operator and by the site."""
    wanted = not session.models or model.key in session.models
    return wanted and all(closed.model != model.key for closed in session.closed_models)


def limit(session: Session) -> int:
    """How many tasks at once: as allowed, or fewer where the site took no more."""
    return min(session.max_active, session.learnt or session.max_active)


def slots(session: Session) -> int:
    """How many unended attempts it may have now.

    After a pause one at a time is tried, beside those the site has taken already and
    those that wait for a person. A daily cap leaves room for what is missing to it.
    """
    most = limit(session)
    if session.state != "active":
        probes = session.pending - session.held
        most = min(most, session.active - probes + 1)
    if session.daily_cap is not None:
        left = max(0, session.daily_cap - session.today)
        most = min(most, session.active + left)
    return most


def pick(
    policy: Policy, sessions: Iterable[Session], taken: Mapping[str, int]
) -> Session:
    """Return the session that is first; `taken` counts those just given to each."""

    def place(session: Session) -> tuple[float, float, str]:
        mine = taken.get(session.id, 0)
        match policy:
            case "idle":
                first: float = session.active + mine
            case "weighted":
                first = (session.today + mine) / session.weight
            case "lru":
                first = mine
        last = session.last_used_at.timestamp() if session.last_used_at else 0.0
        return first, last, session.id

    return min(sessions, key=place)
