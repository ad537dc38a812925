"""The keys of a gateway's clients, for its operators."""

from collections.abc import Callable
from typing import Any

from jimeng_client.models import ApiKey


class Keys:
    """Makes, lists, changes and revokes keys; reached as `Client.keys`."""

    def __init__(self, ask: Callable[..., dict[str, Any]]) -> None:
        self._ask = ask

    def list(self) -> tuple[ApiKey, ...]:
        """List the keys."""
        return tuple(map(ApiKey.model_validate, self._ask("GET", "keys")["keys"]))

    def create(self, name: str, **terms: Any) -> ApiKey:
        """Make a key; only this answer has it.

        `terms` takes scopes, expires_at, rate_limit, daily_quota, daily_credits and
        concurrent.
        """
        return _key(self._ask("POST", "keys", json={"name": name, **terms}))

    def set(self, key_id: str, **changes: Any) -> ApiKey:
        """Change what a key may: its terms, its name, or `enabled`."""
        return _key(self._ask("PATCH", f"keys/{key_id}", json=changes))

    def rotate(self, key_id: str, *, grace_secs: int = 0) -> ApiKey:
        """Replace a key; only this answer has the new one."""
        body = {"grace_secs": grace_secs}
        return _key(self._ask("POST", f"keys/{key_id}/rotate", json=body))

    def revoke(self, key_id: str) -> None:
        """Let a key in no more."""
        self._ask("DELETE", f"keys/{key_id}")


def _key(answer: dict[str, Any]) -> ApiKey:
    return ApiKey.model_validate(answer["key"])
