"""Following a task to its end in front of somebody: one live line, or plain ones."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from standalone.cli.output import (
    FAILED,
    INTERRUPTED,
    clean,
    elapsed_text,
    how_to_follow,
    say,
)

if TYPE_CHECKING:
    from jimeng_client import Client, Task

_STAGES = {
    "waiting": "waiting",
    "no_session": "waiting for an account",
    "owner_limit": "waiting for your other tasks",
    "uploading": "uploading the files",
    "preparing": "preparing",
    "sending": "sending",
    "unknown": "looking whether the site took it",
    "held": "held: an operator must decide",
    "upstream_queue": "in the site's queue",
    "generating": "generating",
    "storing": "saving the result",
}


def follow(client: "Client", task: "Task", url: str) -> "Task":
    """Show a task until it ends."""
    with left_alone(task.id, url), _line() as show:
        for found in client.follow(task):
            task = found
            show(describe(task))
    return task


@contextmanager
def left_alone(task: str, url: str) -> Iterator[None]:
    """Let Ctrl-C end the waiting, not the task, and say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"Task {task} goes on without you. Follow it with:")
        say(f"  {how_to_follow(task, url)}")
        raise typer.Exit(INTERRUPTED) from None


def describe(task: "Task") -> str:
    """Say in a line where a task stands."""
    words = [_STAGES.get(task.stage or "", task.status)]
    if task.status == "queued" and task.queue_ahead:
        words.append(f"{task.queue_ahead} ahead")
    if task.stage == "upstream_queue" and task.queue_position is not None:
        total = f" of {task.queue_total:,}" if task.queue_total else ""
        words.append(f"place {task.queue_position:,}{total}")
    if task.stage in {"upstream_queue", "generating"} and task.queue_eta:
        words.append(f"about {task.queue_eta}")
    if task.waiting_for:
        words.append(clean(task.waiting_for))
    return ", ".join(words)


def shape(task: "Task") -> str:
    """Say what is made, by what: a model, a length if it has one, a ratio."""
    length = f"{task.duration} s" if task.duration else task.resolution
    return ", ".join(filter(None, (task.model, length, task.ratio)))


def finish(client: "Client", task: "Task", output: Path | None) -> Path | None:
    """Save what a task made; one that made nothing ends the command with why."""
    if task.status == "succeeded":
        return _saved(client, task, output) if output else None
    if task.status == "failed":
        code = f" ({task.error_code or task.error_kind})"
        say(f"Failed: {clean(task.error_message or 'for no stated reason')}{code}")
    else:
        say(f"Task {task.id} is {task.status}")
    raise typer.Exit(FAILED)


def _saved(client: "Client", task: "Task", output: Path) -> Path:
    """Save into a folder all there is; under a file's name the first."""
    if not output.is_dir():
        return client.download(task, output)
    client.download_all(task, output)
    return output


@contextmanager
def _line() -> "Iterator[Callable[[str], None]]":
    """Show the latest words: on a terminal in one line that counts the seconds."""
    began = time.monotonic()
    if not sys.stderr.isatty():
        yield _Plain(began)
        return
    from rich.console import Console
    from rich.live import Live

    words = _Live(began)
    with Live(words, console=Console(stderr=True), transient=True):
        yield words


class _Plain:
    """A line whenever the words change."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._last = ""

    def __call__(self, words: str) -> None:
        if words != self._last:
            self._last = words
            say(f"{elapsed_text(time.monotonic() - self._began):>6}  {words}")


class _Live:
    """The same line, drawn again and again."""

    def __init__(self, began: float) -> None:
        from rich.spinner import Spinner

        self._began = began
        self._words = ""
        self._spinner = Spinner("dots")

    def __call__(self, words: str) -> None:
        self._words = words

    def __rich__(self) -> Any:
        from rich.text import Text

        elapsed = elapsed_text(time.monotonic() - self._began)
        self._spinner.update(text=Text(f"{elapsed:>6}  {self._words}"))
        return self._spinner
