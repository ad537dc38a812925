"""Work that goes on beside everything else while a context is entered."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from runtime.service import fatal

AGAIN_SECONDS = 0.1


@asynccontextmanager
async def running(
    work: Callable[[], Coroutine[Any, Any, None]], fatal: Callable[[str], None] = fatal
) -> AsyncIterator[None]:
    """Run endless work until the context is left; it is cancelled and waited for.

    Work that ends by itself is a defect, and a service without it only seems to
    live: `fatal` ends the process, for its supervisor to start again.
    """

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            fatal(f"{work} ended: {task.exception()!r}")

    task = asyncio.create_task(work())
    task.add_done_callback(ended)
    try:
        yield
    finally:
        # Once is not enough: before Python 3.12 asyncio.wait_for, which nats-py is full
        # of, swallows a cancellation that meets its result.
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=AGAIN_SECONDS)
