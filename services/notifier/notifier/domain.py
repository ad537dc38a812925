"""How a webhook is signed (Standard Webhooks 1.0), and what an answer to it means."""

import hmac
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any

import fetch
from contracts.webhooks import (
    Deliver,
    Delivered,
    DeliveryFailed,
    DeliveryTried,
    DueDelivery,
)
from notifier.forms import body_of
from notifier.plain import Outgoing, plain, refused

PREFIX = "whsec_"
SHOWN_BYTES = 1024
_SIGNATURES = re.compile(rb"(signature(?:=|%3D))[\w-]+", re.IGNORECASE)
GONE = 410
_OK = range(200, 300)
_REDIRECTS = range(300, 400)


def outgoing(command: Deliver, due: DueDelivery, now: datetime) -> Outgoing:
    """Return what is posted, as the receiver takes it."""
    if due.kind != "standard":
        return plain(due, now)
    body = body_of(command, due)
    url = due.url.get_secret_value() if due.url else ""
    return Outgoing(url, headers(command, due, body, now), body)


def headers(
    command: Deliver, due: DueDelivery, body: bytes, now: datetime
) -> list[tuple[str, str]]:
    """Return the headers of one try; signed at `now`, with every secret there is."""
    found = {
        "Content-Type": "application/json",
        "webhook-id": command.delivery,
        "webhook-timestamp": str(int(now.timestamp())),
        "X-Jimeng-Event": due.occasion,
        "X-Jimeng-Delivery-Id": command.delivery,
        "X-Jimeng-Attempt": str(command.n),
    }
    if due.task:
        found["X-Jimeng-Task-Id"] = due.task.id
    if secrets := [each.get_secret_value() for each in due.secrets]:
        stamp = found["webhook-timestamp"]
        each = (signature(s, command.delivery, stamp, body) for s in secrets)
        found["webhook-signature"] = " ".join(each)
        found["X-Jimeng-Signature"] = earlier_signature(secrets[0], body)
    return list(found.items())


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """Return `v1,…` over id, time and body."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    found = hmac.digest(key_of(secret), signed, "sha256")
    return f"v1,{b64encode(found).decode()}"


def key_of(secret: str) -> bytes:
    """Return the key of `whsec_<Base64>`; of any other text its bytes."""
    if secret.startswith(PREFIX):
        return b64decode(secret.removeprefix(PREFIX))
    return secret.encode()


def earlier_signature(secret: str, body: bytes) -> str:
    """Return the earlier gateway's signature: over the body alone."""
    return f"sha256={hmac.new(secret.encode(), body, sha256).hexdigest()}"


def place_of(url: str) -> str:
    """Return whom a URL leads to, for counting."""
    try:
        return fetch.parse(url).origin
    except fetch.ForbiddenURLError:
        return ""


@dataclass(frozen=True)
class Attempt:
    """One try, and the fact that follows from how it went."""

    command: Deliver
    due: DueDelivery

    def impossible(self, why: str) -> DeliveryTried:
        """Return that it cannot be sent, however often it is tried."""
        return DeliveryFailed(**self._told(), error=why, gone=True)

    def failed(self, why: str, body: bytes, seconds: float) -> DeliveryTried:
        """Return that nobody answered."""
        return DeliveryFailed(**self._told(body, seconds), error=why)

    def answered(
        self, answer: fetch.Answer, body: bytes, seconds: float, now: datetime
    ) -> DeliveryTried:
        """Return what an answer means."""
        told = self._told(body, seconds)
        # Some say again what they were told.
        told |= {"status": answer.status, "response": shown(answer.body.encode())}
        if answer.status in _OK:
            why = refused(self.due.kind, answer.body)
            return DeliveryFailed(**told, error=why) if why else Delivered(**told)
        return DeliveryFailed(
            **told,
            error=_words(answer.status),
            gone=answer.status == GONE,
            retry_after_seconds=seconds_until(answer.retry_after, now),
        )

    def _told(self, body: bytes = b"", seconds: float = 0) -> dict[str, Any]:
        task = self.due.task
        return {
            "scope": "task" if task else "sys",
            "about": task.id if task else self.command.delivery,
            "delivery": self.command.delivery,
            "n": self.command.n,
            "took_ms": round(seconds * 1000),
            "request": shown(body),
        }


def shown(body: bytes) -> str:
    """Return the beginning of a body as it may be kept: nobody's key to a file."""
    text = _SIGNATURES.sub(b"\\1*", body[: 2 * SHOWN_BYTES])
    return text[:SHOWN_BYTES].decode(errors="ignore")


def _words(status: int) -> str:
    if status in _REDIRECTS:
        return f"it answered {status}: redirects are not followed"
    if status == GONE:
        return "it answered 410: it wants to hear no more"
    return f"it answered {status}"


def seconds_until(text: str, now: datetime) -> float | None:
    """Read a Retry-After header: seconds or a date (RFC 9110 §10.2.3)."""
    if text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, TypeError):  # TypeError: it has no zone
        return None
