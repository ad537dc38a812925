"""What `video` and `image` are told alike: references, a priority, a deadline."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer


def reference(text: str) -> str:
    """Check that a reference is a URL, or a file that can be read."""
    from jimeng_client import is_url

    if is_url(text):
        return text
    if not Path(text).is_file():
        raise typer.BadParameter(f"{text!r} is neither a file nor an http(s) URL.")
    if not os.access(text, os.R_OK):
        raise typer.BadParameter(f"{text!r} cannot be read.")
    return text


def moment(text: str) -> str:
    """Read a time, of this machine where it has no offset, or how long from now."""
    if found := re.fullmatch(r"(\d{1,5})([mhd])", text):
        length = timedelta(**{_UNITS[found[2]]: int(found[1])})
        return (datetime.now(UTC) + length).isoformat(timespec="seconds")
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is neither a time nor a length like 90m, 6h or 2d."
        ) from None


_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
GIVEN: dict[str, Any] = {"parser": reference, "metavar": "FILE|URL"}
Priority = Annotated[
    int | None, typer.Option(min=0, max=9, help="0 to 9, higher goes first.")
]
Deadline = Annotated[
    str | None,
    typer.Option(
        parser=moment,
        metavar="TIME",
        help="It fails if it is not finished by then: 90m, 6h or 2d from now, or "
        "2026-01-31T12:00.",
    ),
]
