"""What an answer of the site says about a session. By code, never by its text."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from contracts.sessions import SessionChecked
from jimeng.errors import SessionEffect
from scheduler.domain.rows import Session
from scheduler.domain.steps import Signal

COOL_SECONDS = 300.0
COOL_LONGEST_SECONDS = 6 * 3600.0
REST_SECONDS = 30.0
SITE_ZONE = timezone(timedelta(hours=8))  # daily credits come at midnight in Shanghai
OPERATORS = {"blocked", "disabled", "draining"}


def apply(session: Session, signal: Signal, now: datetime, jitter: float) -> Session:
    """Return the session after a signal. `jitter` is in 0.5 to 1.

    A risk refusal cools with growing pauses and never blocks; only an operator
    brings a blocked session back.
    """
    session = replace(session, last_error=signal.text)
    if session.state in OPERATORS and signal.effect is not SessionEffect.BLOCK:
        return session
    match signal.effect:
        case SessionEffect.COOL:
            pause = min(COOL_LONGEST_SECONDS, COOL_SECONDS * 2.0**session.setbacks)
            cooled = _rest(session, signal.text, now, pause * jitter)
            return replace(cooled, setbacks=session.setbacks + 1)
        case SessionEffect.LOWER:
            return _rest(session, signal.text, now, REST_SECONDS)
        case SessionEffect.EXHAUST:
            return replace(
                session, state="exhausted", reason=signal.text, until=next_day(now)
            )
        case SessionEffect.EXPIRE:
            return replace(session, state="expired", reason=signal.text, until=None)
        case SessionEffect.BLOCK:
            return replace(session, state="blocked", reason=signal.text, until=None)
        case SessionEffect.CLOSE_MODEL if signal.model:
            closed = {*session.closed_models, signal.model}
            return replace(session, closed_models=tuple(sorted(closed)))
    return session


def accepted(session: Session) -> Session:
    """Return the session after the site took a job from it: it is proven."""
    if session.state in {"cooling", "exhausted"}:
        session = replace(session, state="active", reason=None, until=None)
    return replace(session, setbacks=0)


def checked(session: Session, event: SessionChecked) -> Session:
    """Return the session after a check."""
    if event.outcome == "unreachable":
        return replace(session, last_error=event.detail)
    session = replace(session, credits=event.credits or session.credits)
    if session.state in OPERATORS:
        return session
    if event.outcome == "active":
        if session.state in {"unchecked", "expired"}:
            return replace(session, state="active", reason=None, until=None)
        return session
    reason = event.remedy or {
        "wrong_region": "the account belongs to another region",
        "blocked": "the site has blocked the account",
    }.get(event.outcome, "the login is no longer valid")
    return replace(
        session,
        state="blocked" if event.outcome == "blocked" else "expired",
        reason=reason,
        until=None,
        last_error=event.detail or reason,
    )


def next_day(now: datetime) -> datetime:
    """Return when the site hands out credits again: its next midnight."""
    local = now.astimezone(SITE_ZONE)
    midnight = local.replace(hour=0, minute=1, second=0, microsecond=0)
    return (midnight + timedelta(days=1)).astimezone(UTC)


def _rest(session: Session, why: str, now: datetime, seconds: float) -> Session:
    until = now + timedelta(seconds=seconds)
    return replace(session, state="cooling", reason=why, until=until)
