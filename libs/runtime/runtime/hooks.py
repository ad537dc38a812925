"""A task's webhook, sealed where it is taken in and opened where it is used."""

import json
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, field

from contracts.values import Webhook
from runtime.sealing import Ring

PURPOSE = "webhooks"


@dataclass(frozen=True)
class Hook:
    """Where to tell something, what to sign it with, what its links begin with."""

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    base: str = ""


def seal(ring: Ring, hook: Hook, task: str, shown: str) -> Webhook:
    """Return what is kept of a task's webhook, and travels."""
    sealed = ring.seal(json.dumps(asdict(hook)), _place(task))
    return Webhook(sealed=b64encode(sealed).decode(), shown=shown)


def open_(ring: Ring, webhook: Webhook, task: str) -> Hook:
    """Open it again. Raises SealError."""
    return Hook(**json.loads(ring.open(b64decode(webhook.sealed), _place(task))))


def is_old(ring: Ring, webhook: Webhook) -> bool:
    """Whether it was sealed with a secret that is no longer the present one."""
    return ring.is_old(b64decode(webhook.sealed))


def _place(task: str) -> str:
    return f"tasks:{task}:webhook"
