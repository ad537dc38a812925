"""`jimeng nats`: how the nats command line reaches the embedded server."""

import shlex
from typing import Annotated

import typer

from standalone.cli.login import Data, embedded


def run(
    data: Data = None,
    user: Annotated[
        str, typer.Option(help="viewer only looks; admin may change everything.")
    ] = "viewer",
) -> None:
    """Print the line that adds a context named jimeng to the nats command line.

    Then `nats sub --stream EVT --all 'evt.task.<id>.>'` replays a task, for example.
    """
    link = embedded(data, user)
    line = ["nats", "context", "add", "jimeng", "--server", link.url]
    line += ["--user", user, "--password", str(link.password), "--select"]
    typer.echo(shlex.join(line))
