"""A disk on a real mount, for tests that cut its power."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from power_loss.missing import why_no_fuse

MOUNT_SECONDS = 20.0
TESTS = Path(__file__).parent.parent


class Powered:
    """A mounted disk; `cut()` leaves what survived, mounted anew."""

    def __init__(self, folder: Path, names: str) -> None:
        self._backing, self.path = folder / "backing", folder / "disk"
        self._names = names
        self._backing.mkdir()
        self.path.mkdir()
        self._mount()

    def cut(self) -> None:
        """Cut the power, and give it back."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._unmount()
        self._mount()

    def close(self) -> None:
        """Take the disk away."""
        self._unmount()
        self._process.kill()
        self._process.wait()

    def _mount(self) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "power_loss.mounted"),
                *(self._backing, self.path, "--names", self._names),
            ],
            cwd=TESTS,
        )
        limit = time.monotonic() + MOUNT_SECONDS
        while not self.path.is_mount():
            assert self._process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.01)

    def _unmount(self) -> None:
        subprocess.run(["umount", "-l", self.path], check=True)  # noqa: S607


@pytest.fixture(params=["by folder", "at once"])
def powered(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Powered]:
    """Give a disk of the strictest habits, and one whose names come before bytes."""
    if why := why_no_fuse():
        pytest.skip(why)
    disk = Powered(tmp_path, request.param)
    yield disk
    disk.close()
