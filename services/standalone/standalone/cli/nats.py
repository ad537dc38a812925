"""`jimeng nats`: how the nats command line reaches the embedded server."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def run(
    data: Annotated[
        Path | None, typer.Option(help="The data folder of the running gateway.")
    ] = None,
    user: Annotated[
        str, typer.Option(help="viewer only looks; admin may change everything.")
    ] = "viewer",
) -> None:
    """Print the line that adds a context named jimeng to the nats command line.

    Then `nats sub --stream EVT --all 'evt.task.<id>.>'` replays a task, for example.
    """
    from runtime.settings import load
    from standalone.settings import StandaloneSettings

    given = {"data_dir": data} if data else {}
    folder = load(StandaloneSettings, **given).data_dir / "nats"
    try:
        users = json.loads((folder / "users.json").read_text())
        url = (folder / "url").read_text().strip()
    except OSError:
        sys.stderr.write(f"jimeng: no gateway has run in {folder.parent} yet\n")
        raise typer.Exit(2) from None
    if user not in users:
        sys.stderr.write(f"jimeng: no such user; there are {', '.join(users)}\n")
        raise typer.Exit(2)
    line = ["nats", "context", "add", "jimeng", "--server", url]
    line += ["--user", user, "--password", users[user], "--select"]
    sys.stdout.write(shlex.join(line) + "\n")
