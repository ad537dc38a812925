"""Which bytes of a file a request wants (RFC 9110 §13, §14). Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
LONGEST_NUMBER = 18  # digits; no file is larger, and int() is quick up to it


class UnsatisfiableError(Exception):
    """No byte of the file is in the range: 416."""


@dataclass(frozen=True)
class Slice:
    """The bytes from `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many bytes these are."""
        return self.stop - self.start


def wanted(headers: Mapping[str, str], size: int, etag: str) -> Slice | None:
    """Return the asked part of a file, None for the whole. Raises UnsatisfiableError.

    A range that cannot be read, or several ranges, mean the whole: a server may. So
    does an If-Range that names another version, or a date: we give none.
    """
    asked = headers.get("range")
    if asked is None or headers.get("if-range", etag) != etag:
        return None
    match = _ONE_RANGE.fullmatch(asked)
    if match is None or match.group(1, 2) == ("", ""):
        return None
    first, last = match.groups()
    if len(first) > LONGEST_NUMBER:
        raise UnsatisfiableError
    return _slice(first, last[:LONGEST_NUMBER], size)


def _slice(first: str, last: str, size: int) -> Slice | None:
    if not first:  # the last so many bytes
        start, stop = max(0, size - int(last)), size
    elif last and int(last) < int(first):  # not a range at all
        return None
    else:
        start, stop = int(first), min(size, int(last or size) + 1)
    if start >= stop:
        raise UnsatisfiableError
    return Slice(start, stop)


def unchanged(headers: Mapping[str, str], etag: str) -> bool:
    """Tell whether the client has this very version (If-None-Match)."""
    given = headers.get("if-none-match")
    if given is None:
        return False
    known = {each.strip().removeprefix("W/") for each in given.split(",")}
    return etag in known or "*" in known
