"""A running gateway, and the `jimeng` command as a process."""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from access_support import door, open_door
from gateway_support import (
    all_beat,
    beat,
    gateway,
    run_gateway,
    scheduler,
    stand_in,
    tasks,
)
from warm_command import run

__all__ = [
    "all_beat",
    "beat",
    "door",
    "gateway",
    "open_door",
    "run_gateway",
    "scheduler",
    "stand_in",
    "tasks",
]


@dataclass
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


class Jimeng:
    """Runs the command against one gateway, in a folder of its own."""

    def __init__(self, url: str, folder: Path, key: str = "") -> None:
        self.url = url
        self.key = key
        self.folder = folder
        # A start looks how the others ended, and takes it from who waits for it.
        self._alone = asyncio.Lock()

    @property
    def environment(self) -> dict[str, str]:
        """What the command is given, and nothing else."""
        path = os.environ["PATH"]
        given = {"PATH": path, "JIMENG_GATEWAY_URL": self.url, "COLUMNS": "100"}
        return given | ({"JIMENG_API_KEY": self.key} if self.key else {})

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start it as a shell would."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "standalone.cli.app", *arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def __call__(self, *arguments: str, stdin: str = "") -> Ended:
        """Run it to its end, in a process that has loaded what it needs before."""
        where = (self.folder, self.environment)
        async with self._alone:
            return Ended(*await asyncio.to_thread(run, arguments, stdin, *where))

    async def interrupted(self, *arguments: str, after: str) -> Ended:
        """Run until a line of stderr has these words, then press Ctrl-C."""
        process = await self.start(*arguments)
        seen = ""
        while after not in seen:
            line = await process.stderr.readline()
            assert line, f"ended before {after!r}: {seen}"
            seen += line.decode()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate(b"")  # which closes its input, too
        return Ended(process.returncode, out.decode(), seen + err.decode())


@pytest.fixture
def jimeng(gateway, tmp_path) -> Jimeng:
    """Give the command; it speaks to this test's gateway."""
    return Jimeng(gateway.url, tmp_path)


@pytest.fixture
def jimeng_at(tmp_path):
    """Give the command for a gateway of its own, with a key or without."""
    return lambda url, key="": Jimeng(url, tmp_path, key)


@pytest.fixture
def nowhere(tmp_path) -> Jimeng:
    """Give the command without any gateway."""
    return Jimeng("http://127.0.0.1:9", tmp_path)
