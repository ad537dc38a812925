"""Links to results that need no key: each opens one file, for a while.

A signature is bound to task, index, kind and expiry. Its key is derived from SECRET_KEY
for this alone.
"""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from contracts.paths import poster_path, video_path
from runtime.sealing import derived

Made = Literal["video", "poster"]

SIGNATURE = "signature"
A_DAY = timedelta(days=1)


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

    def made(self, target: Target, expires: int, signature: str) -> bool:
        """Whether a signature is ours."""
        given = signature.encode(errors="replace")
        return any(
            hmac.compare_digest(_signature(key, target, expires).encode(), given)
            for key in self._keys
        )


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
