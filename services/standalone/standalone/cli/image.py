"""`jimeng image`: from a prompt to pictures."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from standalone.cli.output import (
    DEFAULT_URL,
    WRONG,
    ApiKey,
    AsJson,
    Url,
    fail,
    gateway,
    print_json,
    say,
)
from standalone.cli.video import submit
from standalone.cli.wishes import GIVEN, Deadline, Priority

if TYPE_CHECKING:
    from jimeng_client import Client, Task

MODEL = "jimeng-5.0"


def run(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="What the images show.")
    ],
    *,
    model: Annotated[str, typer.Option(help="An image model.")] = MODEL,
    image: Annotated[
        list[str] | None,
        typer.Option(help="A picture to start from; repeatable.", **GIVEN),
    ] = None,
    ratio: Annotated[
        str | None, typer.Option(help="16:9 and others; 1:1 unless you choose.")
    ] = None,
    resolution: Annotated[
        str | None, typer.Option(help="1k, 2k or 4k; 2k unless you choose.")
    ] = None,
    priority: Priority = None,
    deadline: Deadline = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Where to save them; else here."
        ),
    ] = Path(),
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Make images, usually four, and save them.

    Waits until they are there. Ctrl-C ends the waiting, not the task.
    """
    _check_folder(output)
    wish = {
        "model": model,
        "ratio": ratio,
        "resolution": resolution,
        "priority": priority,
        "deadline": deadline,
    }
    with gateway(url, api_key) as client:
        task = submit(client, prompt, list(image or ()), wish)
        _wait_and_save(client, task, output, url, as_json=as_json)


def _wait_and_save(
    client: "Client", task: "Task", folder: Path, url: str, *, as_json: bool
) -> None:
    from standalone.cli.progress import finish, follow, left_alone, shape

    say(f"Task {task.id}: {shape(task)}")
    ended = follow(client, task, url)
    if as_json and ended.status != "succeeded":
        print_json(ended)
    with left_alone(task.id, url):
        finish(client, ended, None)
        saved = [str(path) for path in client.download_all(ended, folder)]
    if as_json:
        print_json({**ended.model_dump(mode="json"), "saved": saved})
        return
    for path in saved:
        typer.echo(path)


def _check_folder(folder: Path) -> None:
    """Find out before anything is bought, not after; a new folder is made."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        fail(f"{folder}: {error.strerror}", WRONG)
    if not os.access(folder, os.W_OK):
        fail(f"{folder} cannot be written", WRONG)
