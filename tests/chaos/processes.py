"""Processes of a storm: started, watched, restarted, and ended without trace."""

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

STOP_SECONDS = 4.0
RESTART_SECONDS = 0.1  # RestartSec of a unit that restarts at once
_PDEATHSIG, _CHILD_SUBREAPER = 1, 36
_NEW_NAMESPACE, _RECURSIVE_PRIVATE = 0x00020000, 0x4000 | (1 << 18)
_BIND = 4096
_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Make what our children leave behind ours, so that all can be ended."""
    if sys.platform == "linux":
        _libc.prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)


def private_mounts() -> bool:
    """Let what is mounted from now on end with us; False: we may not mount."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    if _libc.unshare(_NEW_NAMESPACE) != 0:
        return False
    return bool(_libc.mount(b"none", b"/", None, _RECURSIVE_PRIVATE, None) == 0)


def mount_small(folder: Path, mebibytes: int) -> bool:
    """Mount a file system of this size on a folder."""
    options = f"size={mebibytes}m".encode()
    return bool(_libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, options) == 0)


def unmount(folder: Path) -> None:
    """Take it away again, also while a dying process still has it open."""
    _libc.umount2(bytes(folder), 2)


def bind(source: Path, target: Path) -> None:
    """Let what lies at one path be seen at another, below the private mounts."""
    _libc.mount(bytes(source), bytes(target), None, _BIND, None)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def descendants(pid: int) -> list[int]:
    """Return all processes below one, children first."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                below.setdefault(parent, []).append(int(entry.name))

    def walk(parent: int) -> Iterator[int]:
        for child in below.get(parent, ()):
            yield child
            yield from walk(child)

    return list(walk(pid))


def command_of(pid: int) -> str:
    """Return a process's command line; empty when it is gone."""
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "cmdline").read_text().replace("\0", " ")
    return ""


def browsers_below(pid: int) -> list[int]:
    """Return the processes of the browsers below one, the main ones first."""
    found = [(p, command_of(p)) for p in descendants(pid)]
    mine = [(p, c) for p, c in found if "--user-data-dir" in c or "--type=" in c]
    return [p for p, _ in sorted(mine, key=lambda each: "--type=" in each[1])]


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def end_all_below() -> int:
    """Kill every process below us, by its id; return how many there were."""
    count = 0
    for _ in range(50):
        left = descendants(os.getpid())
        if not left:
            break
        count = max(count, len(left))
        for pid in left:
            send(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.02)
    return count


async def gone(pids: Sequence[int]) -> None:
    """Wait until processes that were killed have ended."""
    for pid in pids:
        while (Path("/proc") / str(pid)).exists():
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 - it does not wait
            await asyncio.sleep(0.002)


@dataclass
class Unit:
    """One service as a supervisor keeps it: restarted at once whenever it ends."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    output: Path
    folder: Path
    on_exit: Callable[["Unit", int], None] = lambda _, __: None
    process: asyncio.subprocess.Process | None = None
    kills: int = 0
    started: float = 0.0
    own_exits: list[int] = field(default_factory=list)
    recovered: list[float] = field(default_factory=list)
    _killed: int = 0
    _killed_at: float | None = None
    _wanted: bool = True
    _keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The running process."""
        running = self.process and self.process.returncode is None
        return self.process.pid if self.process and running else None

    async def start(self) -> None:
        """Start it, and keep it running."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep())

    def kill(self) -> bool:
        """Kill it as a crash would; its supervisor restarts it."""
        if (pid := self.pid) is None:
            return False
        self.kills += 1
        self._killed, self._killed_at = pid, time.monotonic()
        send(pid, signal.SIGKILL)
        return True

    def ready(self, pid: int) -> None:
        """Take note that the process with this id works."""
        if self._killed_at is not None and self._killed != pid == self.pid:
            self.recovered.append(time.monotonic() - self._killed_at)
            self._killed_at = None

    @property
    def missing(self) -> bool:
        """Whether it was killed and does not work yet."""
        return self._killed_at is not None

    def restart(self) -> None:
        """Let the supervisor start it anew."""
        if pid := self.pid:
            send(pid, signal.SIGTERM)

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End it: asked first, then killed."""
        self._wanted = False
        if self.process and (pid := self.pid):
            send(pid, signal.SIGCONT)
            send(pid, signal.SIGTERM)
            try:
                async with asyncio.timeout(seconds):
                    await self.process.wait()
            except TimeoutError:
                send(pid, signal.SIGKILL)
        if self._keeper:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _spawn(self) -> None:
        self.started = time.time()
        with self.output.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                stdout=out,
                stderr=out,
                stdin=asyncio.subprocess.DEVNULL,
                env=dict(self.environment),
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for us, not for them
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
            )

    async def _keep(self) -> None:
        while self._wanted and self.process:
            code = await self.process.wait()
            if not self._wanted:
                return
            if self._killed_at is None:
                self.own_exits.append(code)
                self._killed_at = time.monotonic()
            self.on_exit(self, code)
            await asyncio.sleep(RESTART_SECONDS)
            await self._spawn()
