"""Ends a task for certain."""

import asyncio
from typing import Any

AGAIN_SECONDS = 0.1


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it has ended.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, which nats-py is full
    of, swallows a cancellation that meets its result.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=AGAIN_SECONDS)
    if not task.cancelled():
        task.exception()  # looked at, so that it is not reported as forgotten
