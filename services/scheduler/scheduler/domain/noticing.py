"""What operators should know: what holds now, and which of it is worth telling.

A condition is told once it has held for its patience, and again a day later while it
holds. One that comes and goes, or grows, is told once an hour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.webhooks import Notice, Noticed
from scheduler.domain import choice
from scheduler.domain.endpoints import Endpoint
from scheduler.domain.rows import Session

QUIET = timedelta(hours=1)
SHOWN = 5


@dataclass(frozen=True)
class Limits:
    """The settings that decide what is worth telling."""

    low_credits: int = 30
    patience: timedelta = timedelta(seconds=60)
    again: timedelta = timedelta(hours=24)


@dataclass(frozen=True)
class Condition:
    """Something that holds now. A changed `mark` says that there is more of it."""

    key: str
    occasion: Noticed
    notice: Notice
    mark: str = ""
    patience: timedelta = timedelta(0)


@dataclass(frozen=True)
class Known:
    """A condition as it was seen and told before."""

    key: str
    occasion: Noticed
    since: datetime
    mark: str = ""
    told_at: datetime | None = None
    over_at: datetime | None = None


def of_pool(
    pool: Sequence[Session], now: datetime, limits: Limits
) -> Iterable[Condition]:
    """Say which accounts need somebody, and whether any can work."""
    for session in pool:
        if session.state in _STUCK:
            yield _stuck(session)
        low = session.credits and session.credits.total < limits.low_credits
        if session.state == "active" and session.credits and low:
            yield _low(session, session.credits.total)
    meant = [s for s in pool if s.state not in {"disabled", "draining"}]
    if meant and not any(choice.usable(s, now) for s in meant):
        text = "\n".join(f"{s.label}: {s.state}" for s in meant[:SHOWN])
        notice = Notice(title="No account can take tasks", text=text)
        occasion: Noticed = "notice.pool_empty"
        yield Condition(occasion, occasion, notice, patience=limits.patience)


_STUCK: Mapping[str, tuple[Noticed, str]] = {
    "expired": ("notice.session_expired", "is signed out"),
    "blocked": ("notice.session_blocked", "is blocked"),
}


def _stuck(session: Session) -> Condition:
    occasion, what = _STUCK[session.state]
    text = session.reason or f"the site calls it {session.state}"
    if session.state == "expired":
        text += f"\nGive it a new credential: jimeng sessions replace {session.id}"
    notice = Notice(title=f"Account {session.label} {what}", text=text)
    return Condition(f"{occasion}:{session.id}", occasion, notice)


def _low(session: Session, left: int) -> Condition:
    notice = Notice(
        title=f"Account {session.label} is low on credits",
        text=f"{left} are left, on account {session.id}.",
    )
    occasion: Noticed = "notice.credits_low"
    return Condition(f"{occasion}:{session.id}", occasion, notice)


def of_endpoints(endpoints: Iterable[Endpoint]) -> Iterable[Condition]:
    """Say which endpoints were switched off for not being there."""
    for each in endpoints:
        if not each.enabled and each.off_reason:
            occasion: Noticed = "notice.webhook_off"
            title = f"Webhook {each.shown} was switched off"
            notice = Notice(title=title, text=each.off_reason)
            yield Condition(f"{occasion}:{each.id}", occasion, notice)


def of_services(gone: Iterable[str], limits: Limits) -> Iterable[Condition]:
    """Say which services do not live."""
    for service in gone:
        occasion: Noticed = "notice.service_gone"
        text = f"No {service} has said for {limits.patience} that it lives."
        notice = Notice(title=f"Service {service} is gone", text=text)
        key = f"{occasion}:{service}"
        yield Condition(key, occasion, notice, patience=limits.patience)


def of_disks(lacking: Iterable[str]) -> Iterable[Condition]:
    """Say that a disk is nearly full."""
    if texts := sorted(set(lacking)):
        occasion: Noticed = "notice.disk_low"
        notice = Notice(title="A disk is nearly full", text="\n".join(texts))
        yield Condition(occasion, occasion, notice)


def of_dead_letters(count: int, last: int) -> Iterable[Condition]:
    """Say that there are messages which no retry helped."""
    if count:
        occasion: Noticed = "notice.dead_letters"
        text = "jimeng dlq list shows them; they are kept for 90 days."
        notice = Notice(title=f"Dead letters: {count}", text=text)
        yield Condition(occasion, occasion, notice, mark=str(last))


def seen(known: Known | None, found: Condition, now: datetime) -> Known:
    """Return what is known of a condition that holds now."""
    if known is None:
        return Known(found.key, found.occasion, now)
    if known.over_at is None:
        return known
    if known.told_at and now - known.told_at < QUIET:
        return replace(known, over_at=None)
    return replace(known, since=now, told_at=None, over_at=None)


def worth_telling(
    known: Known, found: Condition, now: datetime, limits: Limits
) -> bool:
    """Whether a condition that holds is told now."""
    if now - known.since < found.patience:
        return False
    if known.told_at is None:
        return True
    pause = limits.again if known.mark == found.mark else QUIET
    return now - known.told_at >= pause
