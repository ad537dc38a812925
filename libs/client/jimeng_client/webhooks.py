"""A gateway's standing webhooks and what became of what they were told."""

from collections.abc import Callable
from typing import Any

from jimeng_client.models import Delivery, DeliveryPage, Webhook, WebhookTest

Ask = Callable[..., dict[str, Any]]


class Webhooks:
    """What operators do with webhooks; every method raises GatewayError."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def list(self) -> tuple[Webhook, ...]:
        """List them, the oldest first."""
        found = self._ask("GET", "webhooks")["webhooks"]
        return tuple(Webhook.model_validate(each) for each in found)

    def add(self, url: str, **terms: Any) -> tuple[Webhook, str | None]:
        """Add one; returns it and the secret made for it, which is not shown again.

        `terms` takes kind, secret, description and events.
        """
        body = {"url": url, **terms}
        found = self._ask("POST", "webhooks", json=body)
        return Webhook.model_validate(found["webhook"]), found["secret"]

    def set(self, webhook_id: str, **changes: Any) -> Webhook:
        """Change one: url, description, events, enabled."""
        found = self._ask("PATCH", f"webhooks/{webhook_id}", json=changes)
        return Webhook.model_validate(found["webhook"])

    def rotate(self, webhook_id: str, grace_seconds: int = 86_400) -> str:
        """Make another secret, beside which the old one signs for a while."""
        body = {"grace_seconds": grace_seconds}
        found = self._ask("POST", f"webhooks/{webhook_id}/rotate", json=body)
        return str(found["secret"])

    def test(self, webhook_id: str) -> WebhookTest:
        """Send a test, and say what became of it."""
        found = self._ask("POST", f"webhooks/{webhook_id}/test")
        return WebhookTest.model_validate(found)

    def remove(self, webhook_id: str) -> None:
        """Tell it nothing more."""
        self._ask("DELETE", f"webhooks/{webhook_id}")

    def deliveries(self, **query: Any) -> DeliveryPage:
        """List what was told, the newest first.

        `query` takes task, webhook, status, limit and cursor.
        """
        given = {name: value for name, value in query.items() if value is not None}
        found = self._ask("GET", "webhooks/deliveries", params=given)
        return DeliveryPage.model_validate(found)

    def delivery(self, delivery_id: str) -> Delivery:
        """Show one delivery with its tries."""
        found = self._ask("GET", f"webhooks/deliveries/{delivery_id}")
        return Delivery.model_validate(found["delivery"])

    def replay(self, delivery_id: str) -> Delivery:
        """Send an ended delivery anew, under its old id."""
        found = self._ask("POST", f"webhooks/deliveries/{delivery_id}/replay")
        return Delivery.model_validate(found["delivery"])
