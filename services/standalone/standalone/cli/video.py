"""`jimeng video`: from a prompt to a file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from standalone.cli.output import (
    DEFAULT_URL,
    INTERRUPTED,
    WRONG,
    ApiKey,
    AsJson,
    Url,
    fail,
    gateway,
    print_json,
    say,
)
from standalone.cli.wishes import GIVEN, Deadline, Priority

if TYPE_CHECKING:
    from jimeng_client import Client, Task


def run(
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT", help="What the video shows; @1 is your first file."
        ),
    ],
    *,
    model: Annotated[
        str | None, typer.Option(help="jimeng-video-seedance-2.0 unless you choose.")
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(help="A picture to use; repeatable.", **GIVEN),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(help="A picture, video or sound; repeatable.", **GIVEN),
    ] = None,
    duration: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", help="Seconds; 4 unless you choose."),
    ] = None,
    ratio: Annotated[
        str | None, typer.Option(help="16:9 and others; 9:16 unless you choose.")
    ] = None,
    resolution: Annotated[
        str | None, typer.Option(help="720p unless you choose.")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="How files are used: omni_reference, first_last_frames."),
    ] = None,
    priority: Priority = None,
    deadline: Deadline = None,
    max_attempts: Annotated[
        int | None,
        typer.Option(min=1, max=50, help="Tries before it fails; 8 unless you choose."),
    ] = None,
    buy_again: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=3,
            help="How often to buy again what failed at the site, which may charge "
            "for each; never unless you choose.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to save it; else TASK-ID.mp4."
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Make a video and save it.

    Waits until it is there. Ctrl-C ends the waiting, not the task.
    """
    if output:
        _check_writable(output)
    wish = {
        "model": model,
        "duration": duration,
        "ratio": ratio,
        "resolution": resolution,
        "function_mode": mode,
        "priority": priority,
        "deadline": deadline,
        "max_attempts": max_attempts,
        "buy_again": buy_again,
    }
    with gateway(url, api_key) as client:
        task = submit(client, prompt, [*(image or ()), *(file or ())], wish)
        _wait_and_save(client, task, output, url, as_json=as_json)


def submit(
    client: "Client", prompt: str, files: list[str], wish: dict[str, Any]
) -> "Task":
    """Ask for it; Ctrl-C meanwhile leaves open whether it was accepted."""
    try:
        return client.create(prompt, files=files, **wish)
    except KeyboardInterrupt:
        say("Stopped while submitting: `jimeng tasks` shows whether it was accepted.")
        raise typer.Exit(INTERRUPTED) from None


def _wait_and_save(
    client: "Client", task: "Task", output: Path | None, url: str, *, as_json: bool
) -> None:
    from standalone.cli.progress import finish, follow, left_alone, shape

    say(f"Task {task.id}: {shape(task)}")
    ended = follow(client, task, url)
    if as_json and ended.status != "succeeded":
        print_json(ended)
    with left_alone(task.id, url):
        saved = finish(client, ended, output or Path(f"{task.id}.mp4"))
    if as_json:
        print_json({**ended.model_dump(mode="json"), "file": str(saved)})
    else:
        typer.echo(str(saved))


def _check_writable(output: Path) -> None:
    """Find out before anything is bought, not after."""
    folder = output.absolute().parent
    if output.is_dir():
        fail(f"{output} is a folder: name the file", WRONG)
    if not folder.is_dir():
        fail(f"{folder} does not exist", WRONG)
    if not os.access(folder, os.W_OK):
        fail(f"{folder} cannot be written", WRONG)
