"""`Prefer: wait=60` and `respond-async` (RFC 7240): to wait for the end, or not."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LONGEST_SECONDS = 1800
"""Longer than the family's APIs wait; who needs more asks again, or follows."""
_PREFERENCE = re.compile(
    r"""(?:\A|(?<=,))\s*(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]++)
        (?:\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s,;"]*)))?
        (?P<parameters>(?:[^,"]|"(?:[^"\\]|\\.)*")*+)(?:,|\Z)""",
    re.VERBOSE,
)
_LONGEST = 1000  # characters; nobody prefers more
_SECONDS = re.compile("[0-9]{1,9}")


@dataclass(frozen=True)
class Wait:
    """How long a client waits for the end; 0: it is answered at once."""

    seconds: float
    preferred: str = ""
    """What it preferred, where that was heard."""
    at_once: bool = False
    """Whether it prefers 202 to waiting, or to waiting longer."""

    @property
    def headers(self) -> dict[str, str]:
        """What the answer says of it."""
        return {"Preference-Applied": self.preferred} if self.preferred else {}


def wanted(
    given: Iterable[str], default: float, longest: float = LONGEST_SECONDS
) -> Wait:
    """Read a request's Prefer headers. What is no preference of ours is ignored."""
    told = dict(reversed(list(_preferences(given))))  # of two the first holds
    at_once = "respond-async" in told
    wait = told.get("wait", "none") or f"{longest:g}"
    if _SECONDS.fullmatch(wait):
        seconds = min(float(wait), longest)
        return Wait(seconds, f"wait={seconds:g}", at_once)
    return Wait(0, "respond-async", at_once) if at_once else Wait(default)


def _preferences(given: Iterable[str]) -> Iterator[tuple[str, str]]:
    for each in _PREFERENCE.finditer(",".join(given)[:_LONGEST]):
        yield each["name"].lower(), (each["quoted"] or each["bare"] or "")
