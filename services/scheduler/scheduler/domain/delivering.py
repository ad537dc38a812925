"""What follows from one try to deliver something."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from contracts.webhooks import (
    Delivered,
    DeliveryFailed,
    DeliveryStatus,
    DeliveryTried,
    Notice,
    Occasion,
)

OWN: Literal["task"] = "task"
PATIENCE = timedelta(minutes=2)  # after so long a try is asked for again
LONGEST_PAUSE = timedelta(hours=24)  # whatever a receiver asks for


@dataclass(frozen=True)
class Delivery:
    """One thing told to one receiver: the task's own URL (`task`), or an endpoint.

    `cause` is the same for all receivers of one happening. `n` is the latest try, also
    one that is still to come; `since` the first of this round: a replay begins another.
    """

    id: str
    occasion: Occasion
    receiver: str
    cause: str
    created_at: datetime
    task: str | None = None
    status: DeliveryStatus = "pending"
    n: int = 1
    since: int = 1
    due_at: datetime | None = None
    error: str | None = None
    delivered_at: datetime | None = None
    notice: Notice | None = None


def after(
    delivery: Delivery,
    fact: DeliveryTried,
    now: datetime,
    pauses: tuple[timedelta, ...],
    jitter: float,
) -> Delivery:
    """Return a delivery after a try; a late or doubled fact changes nothing.

    `pauses` lie between the tries of a round, `jitter` makes them longer by a share.
    """
    if delivery.status != "pending" or fact.n != delivery.n:
        return delivery
    if isinstance(fact, Delivered):
        return replace(
            delivery, status="delivered", due_at=None, error=None, delivered_at=now
        )
    if not isinstance(fact, DeliveryFailed):
        raise TypeError(f"{type(fact).__name__} is no outcome of a try")
    done = delivery.n - delivery.since
    if fact.gone or done >= len(pauses):
        return replace(delivery, status="failed", due_at=None, error=fact.error)
    asked = timedelta(seconds=fact.retry_after_seconds or 0)
    pause = max(pauses[done] * (1 + jitter), min(asked, LONGEST_PAUSE))
    return replace(delivery, n=delivery.n + 1, due_at=now + pause, error=fact.error)


def anew(delivery: Delivery, now: datetime) -> Delivery:
    """Return an ended delivery at the beginning of another round."""
    n = delivery.n + 1
    return replace(
        delivery, status="pending", n=n, since=n, due_at=now + PATIENCE, error=None
    )
