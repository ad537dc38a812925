"""When a session is looked at by itself: rarely, and never where work proved it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from scheduler.domain.rows import Session

EVERY = timedelta(hours=6)  # an active session that no work has proved
FIRST = timedelta(seconds=60)  # one that no check has settled, the site being away
PROBE = timedelta(minutes=5)  # an expired one; then twice as long each time
AGAIN = timedelta(minutes=30)  # after a check that brought no answer
CREDITS = timedelta(minutes=15)  # at most so often after charges
SPREAD = 0.1  # sessions added together are not checked together


@dataclass(frozen=True)
class Work:
    """What a session's attempts tell of it."""

    proved_at: datetime | None = None
    """When the site last answered well to something of it."""
    charged_at: datetime | None = None
    """When an attempt of it last ended charged."""


def due(session: Session, work: Work, now: datetime) -> str | None:
    """Return why a session is to be checked now, by one cheap call; None: it is not."""
    rested = _rested(session, now)
    match session.state:
        case "unchecked":
            return "not checked yet" if rested >= FIRST else None
        case "expired":
            return "probe" if rested >= _probing(session) else None
        case "exhausted":
            over = session.until and now >= session.until
            return "probe" if over and rested >= AGAIN else None
        case "active":
            return _active(session, work, now)
    return None


def _active(session: Session, work: Work, now: datetime) -> str | None:
    checked, rested = session.checked_at, _rested(session, now)
    charged = work.charged_at and (checked is None or work.charged_at > checked)
    if charged and rested >= CREDITS:
        return "credits after a charge"
    proofs = [moment for moment in (checked, work.proved_at) if moment]
    latest = max(proofs, default=session.since)
    stale = latest is None or now - latest >= spread(session.id, EVERY, latest)
    return "nothing proved it" if stale and rested >= AGAIN else None


def _rested(session: Session, now: datetime) -> timedelta:
    return now - session.asked_at if session.asked_at else timedelta.max


def _probing(session: Session) -> timedelta:
    """Wait as long again as it was expired at the last probe: 5, 5, 10, 20 minutes."""
    if session.asked_at is None or session.since is None:
        return PROBE
    pause = min(EVERY, max(PROBE, session.asked_at - session.since))
    return spread(session.id, pause, session.since)


def spread(session: str, pause: timedelta, moment: datetime) -> timedelta:
    """Stretch or shorten a pause by up to a tenth, each time by another share."""
    share = sha256(f"{session} {moment.isoformat()}".encode()).digest()[0] / 255
    return pause * (1 + SPREAD * (2 * share - 1))
