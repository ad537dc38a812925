"""Puts a service's log lines into the LOG stream, never waiting for it."""

import asyncio
import logging
from collections import deque
from contextlib import AsyncExitStack, suppress
from threading import Lock
from types import TracebackType
from typing import Self

from contracts.bus import Bus
from contracts.logs import LogLine
from runtime.background import running
from runtime.logs import Line, on_line

LONGEST_QUEUE = 1_000
AGAIN_SECONDS = 1.0
log = logging.getLogger("runtime")


class LogShipping:
    """While entered, the lines of one service also go to `log.<service>.…`.

    A full queue drops the oldest line and counts it; the next line that leaves says so.
    """

    def __init__(self, bus: Bus, longest: int = LONGEST_QUEUE) -> None:
        self._bus = bus
        self._longest = longest
        self._lines: deque[Line] = deque()
        self._dropped = 0
        self._lock = Lock()
        self._more = asyncio.Event()
        self._woken = False
        self._shipping = AsyncExitStack()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def take(line: Line) -> None:
            # Lines come from threads too, and while the loop is busy.
            if self._put(line):
                with suppress(RuntimeError):  # the loop is gone: stdout has the line
                    loop.call_soon_threadsafe(self._more.set)

        on_line(self._bus.service, take)
        await self._shipping.enter_async_context(running(self._ship))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        on_line(self._bus.service, None)
        await self._shipping.aclose()
        await self._publish_all()

    def _put(self, line: Line) -> bool:
        """Keep a line; return whether the loop has to be told."""
        with self._lock:
            if len(self._lines) >= self._longest:
                self._lines.popleft()
                self._dropped += 1
            self._lines.append(line)
            woken, self._woken = self._woken, True
            return not woken

    async def _ship(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            self._woken = False
            await self._publish_all()
            if self._lines:  # disconnected
                await asyncio.sleep(AGAIN_SECONDS)
                self._more.set()

    async def _publish_all(self) -> None:
        while self._lines and self._bus.client.is_connected:
            with self._lock:
                line = self._lines.popleft()
                dropped, self._dropped = self._dropped, 0
            with suppress(Exception):  # stdout has the line
                await self._publish(line, dropped)

    async def _publish(self, line: Line, dropped: int) -> None:
        message = LogLine(
            source=str(line.pop("service")),
            level=line.pop("level"),
            **({"dropped": dropped} if dropped else {}),
            **{k: v for k, v in line.items() if k not in {"source", "dropped"}},
        )
        # Core publish: no acknowledgement is waited for.
        # no boundary: stdout has the line
        await self._bus.client.publish(message.subject, message.body())
