"""Where results are fetched: plain routes, or links that need no key and expire.

A signature is bound to task, index, kind and expiry, so a link opens one file for a
while and nothing else. Its key is derived from SECRET_KEY for this alone.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from contracts.message import now as clock
from contracts.paths import poster_path, video_path
from gateway_http.access import SIGNATURE
from gateway_http.problems import Problem
from runtime.sealing import derived

Made = Literal["video", "poster"]

A_DAY = timedelta(days=1)
_EXPIRES = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class Target:
    """One file of a task."""

    task: str
    index: int = 0
    kind: Made = "video"

    @property
    def path(self) -> str:
        """Where it is served, below the gateway's address."""
        path = poster_path if self.kind == "poster" else video_path
        return path(self.task, self.index)


class LinkKeys:
    """Signs with the first root's key; what an earlier one signed still opens."""

    def __init__(self, root: str, *earlier: str) -> None:
        self._keys = [derived(each, "links") for each in (root, *earlier)]

    def sign(self, target: Target, expires: int) -> str:
        """Return the signature of a link."""
        return _signature(self._keys[0], target, expires)

    def check(self, target: Target, query: Mapping[str, str], now: datetime) -> None:
        """Raise a Problem unless a request's signature opens this, and still does."""
        expires = query.get("expires", "")
        if not _EXPIRES.fullmatch(expires) or not self._made(
            target, int(expires), query.get(SIGNATURE, "")
        ):
            text = "this link was not made by this gateway, or was changed"
            raise Problem(403, "link_invalid", text)
        if int(expires) <= now.timestamp():
            raise Problem(403, "link_expired", "this link is over: ask for a new one")

    def _made(self, target: Target, expires: int, signature: str) -> bool:
        given = signature.encode(errors="replace")
        return any(
            hmac.compare_digest(_signature(key, target, expires).encode(), given)
            for key in self._keys
        )


@dataclass(frozen=True)
class Links:
    """How the results of tasks are linked to in one answer.

    `base` is what links begin with; `keys` is None where the plain routes will do.
    """

    base: str
    keys: LinkKeys | None = None
    now: Callable[[], datetime] = clock

    def of(self, target: Target) -> str:
        """Return where a file is fetched, for a day where that needs a signature."""
        if self.keys is None:
            return self.base + target.path
        return signed(self.base, self.keys, target, self.now() + A_DAY)


def signed(base: str, keys: LinkKeys, target: Target, until: datetime) -> str:
    """Return a link that needs no key, up to a moment."""
    expires = int(until.timestamp())
    joint = "&" if "?" in target.path else "?"
    signature = keys.sign(target, expires)
    return f"{base}{target.path}{joint}expires={expires}&{SIGNATURE}={signature}"


def _signature(key: bytes, target: Target, expires: int) -> str:
    # The task comes last: no other text may run into a neighbour's.
    text = f"{target.kind}:{target.index}:{expires}:{target.task}"
    digest = hmac.new(key, text.encode(errors="replace"), sha256).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")
