"""Tells systemd how the process is: ready, alive, stopping (`Type=notify`)."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from runtime.background import running


def tell(state: str) -> None:
    """Send one line of sd_notify(3); nothing where nobody listens."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if where.startswith("@"):  # in the abstract namespace
        where = "\0" + where[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        if where:
            out.settimeout(0)
            out.sendto(state.encode(), where)


@asynccontextmanager
async def watched(alive: Callable[[], bool]) -> AsyncIterator[None]:
    """While entered, systemd knows the process as ready, and hears that it lives.

    Signs of life come from the event loop, and only while `alive`: a process that only
    seems to live is restarted after WatchdogSec.
    """
    async with AsyncExitStack() as stack:
        tell("READY=1")
        stack.callback(tell, "STOPPING=1")
        if seconds := _every_seconds():
            await stack.enter_async_context(running(lambda: _ping(alive, seconds)))
        yield


async def _ping(alive: Callable[[], bool], seconds: float) -> None:
    while True:
        if alive():
            tell("WATCHDOG=1")
        await asyncio.sleep(seconds)


def _every_seconds() -> float | None:
    """Return half of WatchdogSec, where systemd watches this very process."""
    usec, pid = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
    if not usec or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 2e6
