"""What every test may use: a real nats-server of its own, buses, a way to await."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

from contracts.bus import Bus
from power_loss.missing import why_no_fuse
from support import Nats, why_no_mounts

LOOPBACK = ("127.", "::1", "localhost")


def _loopback_only(event: str, arguments: tuple[Any, ...]) -> None:
    """Let no test speak to anything but this machine."""
    if event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
        raise PermissionError(f"a test must not connect to {address[0]}")


sys.addaudithook(_loopback_only)

ROOM = 4 * 1024**3


def pytest_configure() -> None:
    """Keep what tests write in memory: each nats-server and database syncs often.

    And let Ctrl-C reach what tests start: a run in a shell's background is begun with
    SIGINT ignored, which every process below it would inherit.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    memory = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own in it
    if memory.is_dir() and shutil.disk_usage(memory).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


LONGEST = ("e2e", "standalone", "signer", "cli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, lest one worker is left with it at the end."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


BROWSER = Path(__file__).parent.parent / ".venv" / "browser"
OIDC_PROVIDER = BROWSER.parent.parent / ".tools" / "oidc-provider" / "node_modules"
_EXCUSES: dict[str, Callable[[], bool]] = {
    "Chromium": lambda: not (BROWSER.exists() and BROWSER.read_text()),
    "nats CLI": lambda: shutil.which("nats") is None,
    "curl": lambda: shutil.which("curl") is None,
    "node": lambda: shutil.which("node") is None,
    "oidc-provider": lambda: not OIDC_PROVIDER.is_dir(),
    "mounts": lambda: bool(why_no_mounts()),
    "FUSE": lambda: bool(why_no_fuse()),
}
_unexcused: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """With CI=true, keep what was skipped though this machine could have run it."""
    if report.skipped and os.environ.get("CI") == "true":
        text = str(report.longrepr)
        if not any(name in text and missing() for name, missing in _EXCUSES.items()):
            _unexcused.add(f"{report.nodeid}: {text}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let such a skip fail the session."""
    if _unexcused:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which skips those were."""
    for line in sorted(_unexcused):
        terminalreporter.write_line(f"SKIPPED WITHOUT NEED {line}")


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    """Give a running nats-server without streams; `await nats.provision()` makes them.

    `kill()`, `restart()`, `stop()`, `start(password=)`, `link`, `connect()`, `log`.
    """
    folder = tmp_path / "nats"
    folder.mkdir()
    server = Nats(folder)
    server.start()
    yield server
    server.kill()


MakeBus = Callable[..., Bus]


@pytest.fixture
async def make_bus(nats: Nats) -> AsyncIterator[MakeBus]:
    """Make buses at this test's server; each is stopped at the end.

    `make_bus("scheduler", **options)`: register handlers, then `await bus.start()`.
    A bus that calls `fatal` fails the test, unless the test gave a `fatal` itself.
    """
    made: list[Bus] = []
    fatal: list[str] = []

    def make(service: str, **options: Any) -> Bus:
        link = options.pop("link", nats.link)
        bus = Bus(service, link, **({"fatal": fatal.append} | options))
        made.append(bus)
        return bus

    yield make
    for bus in reversed(made):
        await bus.stop()
    assert fatal == []


Until = Callable[..., Awaitable[Any]]


@pytest.fixture
def until() -> Until:
    """Await a condition that nothing signals: `await until(lambda: ...)`.

    Returns what the condition returned once that is true; it may be awaitable.
    """

    async def wait(condition: Callable[[], Any], seconds: float = 10) -> Any:
        async with asyncio.timeout(seconds):
            while True:
                found = condition()
                if isawaitable(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.01)

    return wait
