"""A task's webhook as it is taken in: checked, then sealed."""

import fetch
from contracts.values import Webhook
from gateway_http.problems import invalid_field
from gateway_http.wish import Wish
from runtime import hooks
from runtime.sealing import Ring


class Hooks:
    """Takes webhooks in. `allowed` is what may be posted to beside public addresses."""

    def __init__(self, ring: Ring, allowed: fetch.Allowed) -> None:
        self._ring = ring
        self._allowed = allowed

    def check(self, wish: Wish) -> None:
        """Refuse a wish whose webhook would not be posted to. Raises Problem."""
        if wish.webhook_url:
            self.check_url(wish.webhook_url, "webhook_url")

    def check_url(self, url: str, field: str) -> None:
        """Refuse a URL that would not be posted to. Raises Problem naming the field."""
        try:
            fetch.check(url, self._allowed)
        except fetch.ForbiddenURLError as error:
            raise invalid_field(field, str(error)) from None

    def sealed(self, wish: Wish, task: str, base: str) -> Webhook | None:
        """Seal what a wish says for its task; `base` is what its links begin with."""
        if not wish.webhook_url:
            return None
        secret = wish.webhook_secret
        text = secret.get_secret_value() if secret else None
        hook = hooks.Hook(wish.webhook_url, text, base)
        return hooks.seal(self._ring, hook, task, fetch.masked(hook.url))
