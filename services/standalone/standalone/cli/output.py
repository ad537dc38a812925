"""What the commands share: their common options, their output, their exit statuses."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from jimeng_client import Client, GatewayError

FAILED = 1
WRONG = 2  # asked wrongly, or nobody answers
INTERRUPTED = 130
DEFAULT_URL = "http://127.0.0.1:5100"
WRONG_STATUSES = {400, 413, 415, 422}

Url = Annotated[
    str,
    typer.Option(envvar="JIMENG_GATEWAY_URL", help="Where the gateway is."),
]
ApiKey = Annotated[
    str | None,
    typer.Option(envvar="JIMENG_API_KEY", help="Your key, if the gateway wants one."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, for programs, instead of text.")
]


@contextmanager
def gateway(url: str, api_key: str | None) -> "Iterator[Client]":
    """Connect to the gateway; its no ends the command with a line that says why."""
    from jimeng_client import Client, GatewayError

    try:
        with Client(url, api_key) as client:
            yield client
    except GatewayError as error:
        fail(reason(error), status_of(error))


def status_of(error: "GatewayError") -> int:
    """Return the exit status a no of the gateway means."""
    wrong = error.unreachable or error.status in WRONG_STATUSES
    return WRONG if wrong else FAILED


def reason(error: "GatewayError") -> str:
    """Say why in the gateway's words."""
    return clean(error.detail)


def fail(text: str, status: int = FAILED) -> NoReturn:
    """End the command with a reason."""
    say(f"jimeng: {text}")
    raise typer.Exit(status)


def say(text: str) -> None:
    """Tell the person in front of it; never mixed with what a program reads."""
    typer.echo(text, err=True)


def print_json(value: Any) -> None:
    """Print for programs; pydantic models as they came."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: pretty on a terminal, else columns that `awk` can read."""
    rows = [[clean(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_pretty(heads, rows)
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _print_pretty(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, head in enumerate(heads):
        last = place == len(heads) - 1
        table.add_column(head, no_wrap=not last, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, _STYLES.get(cell, "")) for cell in row))
    Console().print(table)


_STYLES = {
    "succeeded": "green",
    "active": "green",
    "failed": "red",
    "expired": "red",
    "blocked": "red",
    "cancelled": "dim",
    "disabled": "dim",
}


def clean(text: str) -> str:
    """Leave out what a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


def local_time(moment: datetime | None) -> str:
    """Write a moment as the person's clock shows it."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else "-"


def elapsed_text(seconds: float) -> str:
    """Write a length of time: 8s, 3m20s, 1h5m."""
    whole = max(0, int(seconds))
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{rest}s"
    hours, left = divmod(minutes, 60)
    return f"{hours}h{left}m" if hours else f"{minutes}m{rest}s"


def how_to_follow(task: str, url: str) -> str:
    """Return the command that goes on following a task."""
    where = "" if url == DEFAULT_URL else f" --url {url}"
    return f"jimeng task {task} --follow{where}"
