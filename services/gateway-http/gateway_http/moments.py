"""Moments as clients write them (RFC 3339)."""

import re
from datetime import UTC, date, datetime
from typing import Any

_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def day(value: Any) -> date:
    """Read a day; ValueError says what is wrong with it."""
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("must be a day, as 2026-01-31")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("is no day of the calendar") from None


def moment(value: Any) -> datetime:
    """Read a moment; ValueError says what is wrong with it."""
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be a moment with its offset, as 2026-01-31T12:00:00Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is no moment of the calendar") from None
