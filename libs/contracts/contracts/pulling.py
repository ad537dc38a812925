"""How messages are fetched: one at a time, and only when a handler is free."""

import asyncio
import logging
from typing import Any

from nats.aio.msg import Msg

FETCH_SECONDS = 2.0  # a pull lost in a restart of the server is noticed after this
PAUSE_SECONDS = 1.0

log = logging.getLogger("bus")


def pull_when_free(subscriber: Any, concurrency: int) -> None:
    """Let a FastStream pull subscriber take messages in this way instead of its own.

    Its own fetches one more than it can work on, which grows old in memory until the
    server gives it to another as well, and it spins without a pause when the
    connection is closed or the consumer is deleted.
    """

    async def pull(cb: Any) -> None:
        free = asyncio.Semaphore(concurrency)

        async def work(message: Msg) -> None:
            try:
                await cb(message)
            finally:
                free.release()

        async with asyncio.TaskGroup() as working:
            while subscriber.running:
                await free.acquire()
                if message := await _next(subscriber):
                    working.create_task(work(message))
                else:
                    free.release()

    subscriber._consume_pull = pull  # noqa: SLF001 - the one hook there is


async def _next(subscriber: Any) -> Msg | None:
    """Return the next message, or None when there was none for a while.

    One message a fetch: larger fetches stall on an orphaned request.
    """
    if not subscriber.connection.is_connected:
        # Pulls asked for now would all be sent on reconnecting, and all be answered.
        await asyncio.sleep(PAUSE_SECONDS / 10)
        return None
    try:
        fetched = await subscriber.subscription.fetch(1, timeout=FETCH_SECONDS)
        message: Msg = fetched[0]
    except TimeoutError:
        return None
    except Exception as error:  # noqa: BLE001 - whatever it is, not at full speed
        log.warning("cannot take messages: %s", error, extra={"error": repr(error)})
        await asyncio.sleep(PAUSE_SECONDS)
        return None
    if subscriber.running:
        return message
    await message.nak()  # the service stops: another may have it at once
    return None
