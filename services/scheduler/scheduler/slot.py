"""A slot: the name of a scheduler, kept in a file that its process has locked."""

import fcntl
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from boundary import boundary
from runtime.durable import sync_folder

SLOTS = 64
_FILES = "scheduler-{}.lock"


@contextmanager
def slot(folder: Path) -> Iterator[str]:
    """Give a name that no other living scheduler of this host has."""
    for number in range(1, SLOTS + 1):
        with (folder / _FILES.format(number)).open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield _name_in(file)
            return
    raise RuntimeError(f"{SLOTS} schedulers on one folder are enough")


def _name_in(file: IO[str]) -> str:
    """Return the slot's name for ever; the first holder gives it one."""
    file.seek(0)
    if not (name := file.read()):
        name = uuid.uuid4().hex
        file.write(name)
        file.flush()
        # A name that a power cut takes away holds the lease that we then wait for.
        with boundary("fsync", Path(file.name).name):
            os.fsync(file.fileno())
        sync_folder(Path(file.name).parent)
    return name


def end_stopped(folder: Path, owner: str) -> bool:
    """Kill the scheduler of this name if its process is stopped: SIGSTOP, a debugger.

    Only on Linux, and where we may see it; elsewhere it is waited for.
    """
    for path in folder.glob(_FILES.format("*")):
        if path.read_text() == owner and (pid := _locked_by(path)):
            with suppress(OSError):  # it has gone, or is not ours to kill
                return _kill_stopped(pid, path)
    return False


def _kill_stopped(pid: int, path: Path) -> bool:
    process = os.pidfd_open(pid)
    try:
        # Asked again: a number is given to another once its process has gone.
        if _locked_by(path) != pid:
            return False
        stat = Path(f"/proc/{pid}/stat").read_text()
        stopped = stat.rpartition(")")[2].split()[0] in {"T", "t"}
        if stopped:
            signal.pidfd_send_signal(process, signal.SIGKILL)
        return stopped
    finally:
        os.close(process)


def _locked_by(path: Path) -> int | None:
    """Return whose lock a file has, by the kernel's list; 0 there is a stranger."""
    found = path.stat()
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    locks = Path("/proc/locks")
    for line in locks.read_text().splitlines() if locks.exists() else ():
        _, kind, _, _, pid, file, *_ = line.replace("-> ", "").split()
        if (kind, file) == ("FLOCK", f"{device}:{found.st_ino}") and int(pid) > 0:
            return int(pid)
    return None
