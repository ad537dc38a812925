"""`with boundary(name):` around every step that outlives the process that made it.

A commit, a publish, an acknowledgement, a request, bytes to the site, a rename: before
it nothing has happened, after it everything has, and only the process itself does not
know yet. In production it does nothing. A test can have each passage written down, and
end the process at any one of them.
"""

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from threading import Lock
from types import TracebackType

LOG = "BOUNDARY_LOG"
"""File each passage is appended to: service, number, side, name and what about."""
KILL = "BOUNDARY_KILL"
"""`<service>:<number>:before|after`: where the process kills itself, once."""

_NOTHING = nullcontext()


def boundary(name: str, about: str = "") -> AbstractContextManager[None]:
    """Enter around one durable step, in a thread or around an await alike.

    `about` says more than the name: a subject, the path of a request.
    """
    return _NOTHING if _watcher is None else _Passage(_watcher, name, about)


def watch(service: str, environment: Mapping[str, str]) -> None:
    """Begin to count as the environment says, from 1; without BOUNDARY_LOG: do not.

    Called at the import; again by a process that becomes another by forking.
    """
    global _watcher  # noqa: PLW0603 - one of each process
    log = environment.get(LOG)
    _watcher = _Watcher(service, Path(log), environment.get(KILL, "")) if log else None


class _Watcher:
    """Writes passages down, and ends the process where it was told to."""

    def __init__(self, service: str, log: Path, kill: str) -> None:
        self._service = service
        self._log = log
        self._number = 0
        self._lock = Lock()
        self._end: tuple[int, str] | None = None
        if kill:
            whom, number, side = kill.split(":")
            if side not in {"before", "after"}:
                raise ValueError(f"{KILL}: {side!r} is neither before nor after")
            self._end = (int(number), side) if whom == service else None

    def number(self) -> int:
        """Count one boundary more."""
        with self._lock:
            self._number += 1
            return self._number

    def passed(self, number: int, side: str, name: str, about: str) -> None:
        """Write one passage down, whole, and end here if it is the one."""
        fields = (self._service, str(number), side, name, about)
        line = "\t".join(fields).encode() + b"\n"
        _append(self._log, line, 0)
        if self._end == (number, side):
            with suppress(FileExistsError):  # it has been done: this is the restart
                _append(Path(f"{self._log}.killed"), line, os.O_EXCL)
                os.kill(os.getpid(), signal.SIGKILL)


class _Passage(AbstractContextManager[None]):
    """One boundary on its way from before to after, also where it raises."""

    def __init__(self, watcher: _Watcher, name: str, about: str) -> None:
        self._watcher = watcher
        self._name = name
        self._about = about
        self._number = watcher.number()

    def __enter__(self) -> None:
        self._watcher.passed(self._number, "before", self._name, self._about)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watcher.passed(self._number, "after", self._name, self._about)


def _append(file: Path, line: bytes, more: int) -> None:
    """Write a line in one call, so that several processes may share the file."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | more
    handle = os.open(file, flags, 0o600)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)


_watcher: _Watcher | None = None
# `python -m scheduler` runs the file scheduler/__main__.py.
watch(Path(sys.argv[0]).parent.name, os.environ)
