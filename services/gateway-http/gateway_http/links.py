"""Where results are fetched: plain routes, or links that need no key and expire."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from contracts.message import now as clock
from gateway_http.problems import Problem
from runtime import links
from runtime.links import A_DAY, SIGNATURE, Made, Target, signed

_EXPIRES = re.compile(r"[0-9]{1,12}")


class LinkKeys(links.LinkKeys):
    """The keys, and what a request is told whose signature does not hold."""

    def check(self, target: Target, query: Mapping[str, str], now: datetime) -> None:
        """Raise a Problem unless a request's signature opens this, and still does."""
        expires = query.get("expires", "")
        if not _EXPIRES.fullmatch(expires) or not self.made(
            target, int(expires), query.get(SIGNATURE, "")
        ):
            text = "this link was not made by this gateway, or was changed"
            raise Problem(403, "link_invalid", text)
        if int(expires) <= now.timestamp():
            raise Problem(403, "link_expired", "this link is over: ask for a new one")


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


__all__ = ["A_DAY", "LinkKeys", "Links", "Made", "Target", "signed"]
