"""Work that goes on beside everything else while a context is entered."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from contracts.ending import end
from runtime.exits import fatal


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
        await end(task)
