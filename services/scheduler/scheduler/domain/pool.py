"""What an answer of the site says about a session. By code, never by its text."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from contracts.sessions import ClosedModel, SessionChecked, SessionState
from jimeng.errors import SessionEffect, effect_of
from scheduler.domain import choice
from scheduler.domain.rows import Session
from scheduler.domain.steps import Signal

COOL_SECONDS = 300.0
COOL_LONGEST_SECONDS = 6 * 3600.0
REST_SECONDS = 30.0  # where not even one task was taken, and somebody else's run
RAISE_AFTER = 5  # jobs accepted at the limit before it is raised by one
SITE_ZONE = timezone(timedelta(hours=8))  # daily credits come at midnight in Shanghai
OPERATORS = {"blocked", "disabled", "draining"}
NO_PREDEDUCT = "5001"  # too many running tasks, or simply no credits
DAILY = effect_of("121101")  # a limit that credits do not lift


def apply(session: Session, signal: Signal, now: datetime, jitter: float) -> Session:
    """Return the session after a signal. `jitter` is in 0.5 to 1.

    A risk refusal cools with growing pauses and never blocks; only an operator
    brings a blocked session back.
    """
    session = replace(session, last_error=signal.text)
    match _effect(session, signal):
        case SessionEffect.CLOSE_MODEL if signal.model:
            return _close(session, signal.model, signal.text, now)
        case SessionEffect.BLOCK:
            return _become(session, "blocked", signal, now)
        case SessionEffect.EXPIRE:
            return _become(session, "expired", signal, now)
        case SessionEffect.COOL:
            return _rest(session, signal, now, COOL_SECONDS * jitter)
        case SessionEffect.LOWER:
            return _lower(session, signal, now, jitter)
        case SessionEffect.EXHAUST:
            return _become(session, "exhausted", signal, now, until=next_day(now))
    return session


def _effect(session: Session, signal: Signal) -> SessionEffect:
    """Return what a signal does to a session in its present state."""
    effect = signal.effect
    if effect is SessionEffect.CLOSE_MODEL:
        return effect
    if effect is SessionEffect.BLOCK and session.state != "draining":
        return effect
    if session.state in OPERATORS:
        return SessionEffect.NONE
    if effect is not SessionEffect.EXPIRE and session.state == "expired":
        return SessionEffect.NONE  # what else was refused meanwhile is no news
    if effect is SessionEffect.LOWER and _is_poor(session, signal):
        return SessionEffect.EXHAUST
    return effect


def accepted(session: Session, now: datetime) -> Session:
    """Return the session after the site took a job from it.

    A yes during a pause is to a job that was sent before it, and proves nothing.
    """
    if choice.half_open(session, now):
        session = proven(session, now)
    if session.state != "active":
        return session
    session = replace(session, setbacks=0, last_error=None)
    if session.learnt is None or session.active < session.learnt:
        return session
    if session.streak + 1 < RAISE_AFTER:
        return replace(session, streak=session.streak + 1)
    return _learn(session, session.learnt + 1)


def checked(session: Session, event: SessionChecked, now: datetime) -> Session:
    """Return the session after a check of its current credential."""
    if event.outcome == "unreachable":
        return replace(session, last_error=event.detail)
    session = replace(session, credits=event.credits or session.credits, checked_at=now)
    if session.state in OPERATORS:
        return session
    if event.outcome == "active":
        return _revived(session, now)
    reason = reason_of(event)
    state: SessionState = "blocked" if event.outcome == "blocked" else "expired"
    session = replace(session, last_error=event.detail or reason)
    return _enter(session, state, reason, now)


def reason_of(event: SessionChecked) -> str:
    """Say why a check found a credential of no use."""
    return event.remedy or {
        "wrong_region": "the account belongs to another region",
        "blocked": "the site has blocked the account",
    }.get(event.outcome, "the login is no longer valid")


def proven(session: Session, now: datetime) -> Session:
    """Return the session, active: it works."""
    return replace(_enter(session, "active", None, now), last_error=None)


def unfit(
    session: Session, event: SessionChecked, *, unsettled: int, force: bool
) -> str | None:
    """Say why a new credential must not take the present one's place, if so.

    What is at the site belongs to an account: another one would never find it.
    """
    if event.outcome != "active":
        return reason_of(event)
    if force:
        return None
    mine, other = session.upstream_uid, event.upstream_uid
    if mine and other and mine != other:
        return "it belongs to another account of the site"
    if unsettled and not (mine and other):
        return (
            f"the site does not tell whether it is the same account, and {unsettled} "
            f"tasks are on it"
        )
    return None


def next_day(now: datetime) -> datetime:
    """Return when the site hands out credits again: its next midnight."""
    return (day_start(now) + timedelta(days=1, minutes=1)).astimezone(UTC)


def day_start(now: datetime) -> datetime:
    """Return when the site's day began."""
    local = now.astimezone(SITE_ZONE)
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def _revived(session: Session, now: datetime) -> Session:
    """Take a valid login as what it is: no proof that a risk or a limit is over."""
    if session.state in {"unchecked", "expired"}:
        return proven(session, now)
    if session.state != "exhausted":
        return session
    poor = session.credits is not None and not session.credits.total
    limited = session.code and effect_of(session.code) == DAILY
    over = session.until is None or session.until <= now
    if limited or not poor:
        return proven(session, now) if over or not limited else session
    return replace(session, until=next_day(now)) if over else session


def _is_poor(session: Session, signal: Signal) -> bool:
    purse = session.credits
    return signal.code == NO_PREDEDUCT and purse is not None and not purse.total


def _lower(session: Session, signal: Signal, now: datetime, jitter: float) -> Session:
    """Learn from what the site took: those that still run, and no more."""
    fewer = min(session.active, choice.limit(session) - 1)
    lowered = _learn(session, max(1, fewer))
    if session.active:
        return lowered
    return _rest(lowered, signal, now, REST_SECONDS * jitter)


def _learn(session: Session, limit: int) -> Session:
    learnt = limit if limit < session.max_active else None
    return replace(session, learnt=learnt, streak=0)


def _rest(session: Session, signal: Signal, now: datetime, seconds: float) -> Session:
    """Pause, twice as long each time; what a pause still brings is no new setback."""
    if session.state in {"exhausted", "cooling"} and _pauses(session, now):
        return session
    pause = min(COOL_LONGEST_SECONDS, seconds * 2.0**session.setbacks)
    until = now + timedelta(seconds=pause)
    cooled = _become(session, "cooling", signal, now, until=until)
    return replace(cooled, setbacks=session.setbacks + 1)


def _pauses(session: Session, now: datetime) -> bool:
    return session.until is not None and session.until > now


def _close(session: Session, model: str, why: str, now: datetime) -> Session:
    others = tuple(c for c in session.closed_models if c.model != model)
    closed = ClosedModel(model=model, reason=why, since=now)
    return replace(session, closed_models=(*others, closed))


def _become(
    session: Session,
    state: SessionState,
    signal: Signal,
    now: datetime,
    until: datetime | None = None,
) -> Session:
    entered = _enter(session, state, signal.text, now, until)
    return replace(entered, code=signal.code or None)


def _enter(
    session: Session,
    state: SessionState,
    reason: str | None,
    now: datetime,
    until: datetime | None = None,
) -> Session:
    since = session.since if session.state == state else now
    return replace(
        session, state=state, reason=reason, code=None, since=since, until=until
    )
