"""`jimeng simulator`: the simulated site as a process of its own."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def run(
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes any.")] = 5190,
    data: Annotated[Path, typer.Option(help="Where it keeps its state.")] = Path(
        "data/simulator"
    ),
    scale: Annotated[
        float, typer.Option(help="Stretches every wait; 500 makes queues of hours.")
    ] = 1.0,
    *,
    instant: Annotated[
        bool, typer.Option("--instant", help="Finish every job at once.")
    ] = False,
) -> None:
    """Run the simulated site; point a gateway at it with JIMENG_UPSTREAM.

    It has a small control API and a ledger under /_sim/.
    """
    command = [sys.executable, "-m", "simulator", "--port", str(port)]
    command += ["--data", str(data), "--scale", str(scale)]
    command += ["--instant"] if instant else []
    os.execv(sys.executable, command)  # noqa: S606 - becomes it
