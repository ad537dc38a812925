"""The `jimeng` command in a process of its own that has imported what it needs.

Tests run it a hundred times; it spends nine tenths of its time on its imports.
"""

import multiprocessing
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from standalone.cli.app import COMMANDS, main

_FILES = {where.partition(":")[0] for where, _ in COMMANDS.values()}
_LIBRARIES = ("httpx", "jimeng_client", "contracts.bus", "contracts.streams")
_warm = multiprocessing.get_context("forkserver")
_warm.set_forkserver_preload(
    [__name__, *_LIBRARIES, *(f"standalone.cli.{name}" for name in _FILES)]
)


def run(
    arguments: tuple[str, ...], stdin: str, folder: Path, environment: dict[str, str]
) -> tuple[int | None, str, str]:
    """Run it in `folder`; return its exit status and what it wrote."""
    with TemporaryDirectory() as name:
        files = [Path(name, stream) for stream in ("in", "out", "err")]
        files[0].write_text(stdin)
        process = _warm.Process(
            target=_command, args=(arguments, files, folder, environment)
        )
        process.start()
        process.join()
        return process.exitcode, files[1].read_text(), files[2].read_text()


def _command(
    arguments: tuple[str, ...],
    files: list[Path],
    folder: Path,
    environment: dict[str, str],
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), number)
    sys.stdin = os.fdopen(0)  # multiprocessing has closed it
    sys.argv[1:] = arguments
    main()
