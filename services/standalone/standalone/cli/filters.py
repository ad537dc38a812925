"""Which tasks are meant: the options that `tasks`, `cancel` and `retry` share."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from standalone.cli.output import WRONG, fail

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_WHEN = "A moment, 2026-01-31T12:00, or so long ago: 30m, 2h, 7d."


class Status(StrEnum):
    """Where a task may stand."""

    queued = "queued"
    submitting = "submitting"
    polling = "polling"
    downloading = "downloading"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"


class Kind(StrEnum):
    """What a task may make."""

    video = "video"
    image = "image"


Statuses = Annotated[
    list[Status] | None,
    typer.Option("--status", help="Only those that stand so; may be given again."),
]
OfKind = Annotated[Kind | None, typer.Option("--kind", help="Only videos, or images.")]
OfModel = Annotated[str | None, typer.Option("--model", help="Only of this model.")]
OfKey = Annotated[str | None, typer.Option("--key", help="Only of this API key's id.")]
Since = Annotated[str | None, typer.Option(help=f"Only created since. {_WHEN}")]
Until = Annotated[str | None, typer.Option(help="Only created before.")]
Words = Annotated[
    str | None, typer.Option("--text", help="Only with this in their prompt.")
]


def wanted(
    *,
    statuses: list[Status] | None,
    kind: Kind | None,
    model: str | None,
    key: str | None,
    since: str | None,
    until: str | None,
    text: str | None,
) -> dict[str, Any]:
    """Return the filter as the client takes it; what is not given is left out."""
    given = {
        "status": [each.value for each in statuses or ()],
        "kind": kind.value if kind else None,
        "model": model,
        "key": key,
        "created_from": _moment(since, "--since"),
        "created_before": _moment(until, "--until"),
        "text": text,
    }
    return {name: value for name, value in given.items() if value}


def _moment(text: str | None, option: str) -> datetime | None:
    """Read a moment of the person's clock, or how long ago it was."""
    if text is None:
        return None
    try:
        if ago := _AGO.fullmatch(text):
            unit = _UNITS[ago[2]]
            return datetime.now(UTC) - timedelta(**{unit: int(ago[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        fail(f"{option}: {text[:50]} is no moment. {_WHEN}", WRONG)
