"""Keeps the services of one gateway running: started by forking, restarted when dead.

A process of its own without threads, which has imported every service: a fork of it is
a service a moment later, where a new interpreter would import for a second. It reads
orders from stdin and tells what happened on stdout, a line of JSON each.
"""

import ctypes
import gc
import json
import os
import runpy
import select
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import boundary
from chaos.processes import adopt_orphans, end_all_below

RESTART_SECONDS = 0.05
_PDEATHSIG = 1
SERVICES = ("scheduler", "gateway_http", "signer", "poller", "uploader", "downloader")


@dataclass
class Child:
    """A service that is to run, and the process it runs in."""

    environment: dict[str, str]
    pid: int = 0
    due: float = 0.0


class Nursery:
    """The services that are to run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: dict[str, Child] = {}

    def obey(self, order: dict[str, Any]) -> None:
        """Start a service, instead of the one that runs, or end it."""
        name = order["service"]
        if child := self._children.pop(name, None):
            self._kill(child)
        if order["do"] == "start":
            self._children[name] = Child(order["environment"])
            self.start_due()
        tell(service=name, event=order["do"])

    def start_due(self) -> float | None:
        """Start what does not run and is due; return in how many seconds to look."""
        waits = []
        for name, child in self._children.items():
            if child.pid:
                continue
            if (wait := child.due - time.monotonic()) <= 0:
                child.pid = self._fork(name, child.environment)
            else:
                waits.append(wait)
        return min(waits, default=None)

    def bury(self) -> None:
        """Take note of who has died: services, and browsers they left behind."""
        with suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                for name, child in self._children.items():
                    if child.pid == pid:
                        child.pid, child.due = 0, time.monotonic() + RESTART_SECONDS
                        tell(service=name, event="died")

    def end(self) -> None:
        """Let nothing run on."""
        for child in self._children.values():
            self._kill(child)
        end_all_below()

    def _kill(self, child: Child) -> None:
        if child.pid:
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)

    def _fork(self, name: str, environment: dict[str, str]) -> int:
        if pid := os.fork():
            return pid
        try:
            _become(name, environment, self._folder / f"{name}.log")
        finally:
            os._exit(70)


def _become(name: str, environment: dict[str, str], output: Path) -> None:
    """Be the service, as `python -m` would have made it."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    out = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, handle in ((0, null), (1, out), (2, out)):
        os.dup2(handle, number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [name]
    boundary.watch(name, environment)
    code: object = 0
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        code = ending.code
    except BaseException as error:  # noqa: BLE001 - told in its output
        sys.stderr.write(f"{error!r}\n")
        code = 1
    sys.stdout.flush()
    os._exit(code if isinstance(code, int) else 1)


def tell(**what: Any) -> None:
    """Say one thing that happened."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Obey until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ends with who started it
    for service in SERVICES:
        import_module(f"{service}.app")
        import_module(f"{service}.settings")
    import_module("uvloop")
    adopt_orphans()
    gc.freeze()
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    nursery = Nursery(Path(sys.argv[1]))
    tell(event="ready")
    pending = b""
    try:
        while True:
            ready, _, _ = select.select([0, wake], [], [], nursery.start_due())
            if wake in ready:
                with suppress(BlockingIOError):
                    os.read(wake, 4096)
                nursery.bury()
            if 0 in ready:
                if not (more := os.read(0, 65536)):
                    return
                *lines, pending = (pending + more).split(b"\n")
                for line in lines:
                    nursery.obey(json.loads(line))
    finally:
        nursery.end()


if __name__ == "__main__":
    main()
