"""A service from start to clean stop; the same in a process of its own and in one."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    nullcontext,
)
from typing import Any, TypeVar

from nats.errors import Error
from pydantic_settings import BaseSettings

from contracts.bus import Bus, NotProvisionedError
from contracts.ending import end
from contracts.streams import NEEDED_TO_LIVE
from runtime import logs
from runtime.data import DataFolder
from runtime.exits import end_within, fatal
from runtime.heartbeat import Heartbeat, State
from runtime.settings import Settings, SettingsError, load, unknown_names
from runtime.shipping import LogShipping
from runtime.watchdog import watched

STOP_SECONDS = 10.0
S = TypeVar("S", bound=Settings)
log = logging.getLogger("runtime")


class App:
    """One service: its bus, and what must be open while it runs, in order.

    `before` is opened before the first message is taken and closed after the last;
    `after` is opened once messages are taken (an HTTP listener, say).
    """

    def __init__(
        self,
        bus: Bus,
        *,
        before: Sequence[AbstractAsyncContextManager[Any]] = (),
        after: Sequence[AbstractAsyncContextManager[Any]] = (),
        state: State = dict,
    ) -> None:
        self.bus = bus
        bus.needed |= NEEDED_TO_LIVE
        self._before = before
        self._after = after
        self._state = state
        self._open = AsyncExitStack()

    async def start(self) -> None:
        """Open everything; on a failure what was opened is closed again."""
        with logs.service_scope(self.bus.service):
            async with AsyncExitStack() as opening:
                for resource in self._before:
                    await opening.enter_async_context(resource)
                opening.push_async_callback(self.bus.stop)
                await self.bus.start()
                await opening.enter_async_context(LogShipping(self.bus))
                for resource in self._after:
                    await opening.enter_async_context(resource)
                await opening.enter_async_context(Heartbeat(self.bus, self._state))
                log.info("%s is ready", self.bus.service)
                self._open = opening.pop_all()

    async def stop(self) -> None:
        """Close everything in reverse order."""
        with logs.service_scope(self.bus.service):
            await self._open.aclose()


def main(
    settings: type[S],
    create_app: Callable[[S], App],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    stop_seconds: float = STOP_SECONDS,
) -> None:
    """Run a service until SIGTERM or Ctrl-C.

    Exit status 2: a setting is wrong; 1: it was given up, or its stop hung.
    """
    if unknown := unknown_names():
        raise SystemExit(_usage(f"{', '.join(unknown)}: there is no such setting"))
    try:
        read = load(settings)
    except SettingsError as error:
        raise SystemExit(_usage(str(error))) from None
    logs.configure(read.log_level, read.log_format)
    try:
        with _folder(read), asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_serve(create_app(read), stop_seconds))
    except (SettingsError, NotProvisionedError) as error:
        raise SystemExit(_usage(str(error))) from None
    except Error as error:
        where = logs.scrub_text(read.nats_url)
        wrong = _usage(f"NATS_URL {where}: {error}")
        # A refused login stays refused; a server that is away comes back.
        raise SystemExit(wrong if "uthorization" in str(error) else 1) from None


def _folder(read: Settings) -> AbstractContextManager[Any]:
    """Hold the data folder, so that what speaks to a site speaks to the folder's."""
    upstream = getattr(read, "jimeng_upstream", None)
    if upstream is None:
        return nullcontext()
    return DataFolder(read.data_dir, upstream, alone=False)


def _usage(text: str) -> int:
    sys.stderr.write(text + "\n")
    return 2


async def _serve(app: App, stop_seconds: float) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def want_stop() -> None:
        if not stop.is_set():
            stop.set()
            end_within(stop_seconds)

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, want_stop)
    starting = asyncio.create_task(app.start())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        await end(starting)  # NATS may be away: a start waits for it
    else:
        await starting
        async with watched(lambda: app.bus.alive):
            await stopped
    await end(stopped)
    await app.stop()


__all__ = ["App", "BaseSettings", "fatal", "main"]
