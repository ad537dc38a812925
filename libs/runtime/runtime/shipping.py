"""Puts a service's log lines into the LOG stream, never waiting for it."""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Self

from contracts.bus import Bus
from contracts.logs import LogLine
from runtime.logs import Line, on_line

LONGEST_QUEUE = 1_000
log = logging.getLogger("runtime")


class LogShipping:
    """While entered, the lines of one service also go to `log.<service>.…`.

    A full queue drops the oldest line and counts it; the next line that leaves says so.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._lines: deque[Line] = deque()
        self._dropped = 0
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def take(line: Line) -> None:
            # Lines come from threads too.
            with suppress(RuntimeError):  # the loop is gone: stdout has the line
                loop.call_soon_threadsafe(self._put, dict(line))

        on_line(self._bus.service, take)
        self._task = asyncio.create_task(self._ship())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        on_line(self._bus.service, None)
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _put(self, line: Line) -> None:
        if len(self._lines) >= LONGEST_QUEUE:
            self._lines.popleft()
            self._dropped += 1
        self._lines.append(line)
        self._more.set()

    async def _ship(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._lines and self._bus.client.is_connected:
                await self._publish(self._lines.popleft())

    async def _publish(self, line: Line) -> None:
        dropped, self._dropped = self._dropped, 0
        message = LogLine(
            source=str(line.pop("service")),
            level=line.pop("level"),
            **({"dropped": dropped} if dropped else {}),
            **{k: v for k, v in line.items() if k not in {"source", "dropped"}},
        )
        # Core publish: no acknowledgement is waited for.
        with suppress(Exception):  # stdout has the line
            await self._bus.client.publish(message.subject, message.body())
