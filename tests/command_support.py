"""What the checks that are commands have in common: how they print and how they end."""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

ENDED_EARLY = 130


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run_in_folder(prefix: str, run: Callable[[Path], Coroutine[Any, Any, int]]) -> int:
    """Return the exit status of a run in a folder of its own, which is then removed.

    Ctrl-C and SIGTERM end it cleanly.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        return asyncio.run(run(folder))
    except KeyboardInterrupt:
        say("ended early")
        return ENDED_EARLY
    finally:
        shutil.rmtree(folder, ignore_errors=True)
