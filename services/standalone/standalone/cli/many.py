"""Many tasks at once: counted first, asked about, done piece by piece."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from standalone.cli.output import FAILED, WRONG, clean, fail, print_json, say

if TYPE_CHECKING:
    from jimeng_client import Batch

SHOWN = 10  # failures told one by one
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
All = Annotated[bool, typer.Option("--all", help="Every task that fits.")]
Ask = Callable[..., "Batch"]


def steer(
    ask: Ask, verb: str, wish: dict[str, Any], *, yes: bool, as_json: bool
) -> None:
    """Do something to every task that fits, once a person has said yes."""
    wish = wish or {"all": True}
    count = ask(dry_run=True, **wish).matched
    if count and not yes:
        sure(f"{verb} {count} task{'s' * (count != 1)}?")
    pieces = _pieces(ask, wish) if count else []
    done = sum(piece.done for piece in pieces)
    failures = [each for piece in pieces for each in piece.failures]
    failed = sum(piece.failed for piece in pieces)
    if as_json:
        print_json([piece.model_dump(mode="json") for piece in pieces])
    else:
        typer.echo(f"{done} of {count} done" + (f", {failed} failed" if failed else ""))
    for each in failures[:SHOWN]:
        say(f"{each.task_id}: {clean(each.detail)}")
    if failed:
        raise typer.Exit(FAILED)


def one_or_many(task_id: str | None, *, every: bool, filtered: bool) -> bool:
    """Tell whether many are meant; ends the command where that is not clear."""
    if every is (task_id is not None) or (filtered and not every):
        fail("give a task's id; or --all, with --status or other filters", WRONG)
    return every


def sure(question: str) -> None:
    """Ask a person; anything but yes ends the command."""
    typer.echo(f"{question} [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        fail("nothing was done; --yes answers for you", FAILED)


def _pieces(ask: Ask, wish: dict[str, Any]) -> "list[Batch]":
    found = [ask(**wish)]
    while cursor := found[-1].next_cursor:
        found.append(ask(**wish, cursor=cursor))
    return found
