"""Which endpoint hears of what, and when one is told no more."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.webhooks import (
    Delivered,
    DeliveryFailed,
    DeliveryTried,
    EndpointKind,
    Occasion,
    Wanted,
)


@dataclass(frozen=True)
class Endpoint:
    """A standing receiver; URL and secrets are in `sealed`."""

    id: str
    kind: EndpointKind
    shown: str
    sealed: bytes
    description: str
    events: tuple[Wanted, ...]
    created_at: datetime
    updated_at: datetime
    enabled: bool = True
    off_reason: str | None = None
    failing_since: datetime | None = None
    previous_until: datetime | None = None

    def wants(self, occasion: Occasion) -> bool:
        """Whether it is told of this."""
        group = f"{occasion.partition('.')[0]}.*"
        return self.enabled and (occasion in self.events or group in self.events)


def health(
    endpoint: Endpoint, fact: DeliveryTried, now: datetime, patience: timedelta
) -> Endpoint:
    """Return an endpoint after a try: off where it wants no more, or long failed."""
    if isinstance(fact, Delivered):
        return replace(endpoint, failing_since=None)
    if not isinstance(fact, DeliveryFailed):
        raise TypeError(f"{type(fact).__name__} is no outcome of a try")
    since = endpoint.failing_since or now
    endpoint = replace(endpoint, failing_since=since)
    if fact.gone:
        return replace(endpoint, enabled=False, off_reason=fact.error)
    if now - since >= patience:
        why = f"it has taken nothing since {since:%Y-%m-%d %H:%M} UTC: {fact.error}"
        return replace(endpoint, enabled=False, off_reason=why)
    return endpoint
