"""How messages are fetched: one at a time, and only when a handler is free."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from nats.aio.msg import Msg

from boundary import boundary
from contracts.taking import as_it_came

FETCH_SECONDS = 2.0  # a pull lost in a restart of the server is noticed after this
PAUSE_SECONDS = 1.0

log = logging.getLogger("bus")


def subscriber_of(
    broker: NatsBroker, stream: str, durable: str, subject: str, inbox: bytes
) -> Any:
    """Return what takes the messages of a durable, which stands already."""
    return broker.subscriber(
        subject,
        stream=JStream(stream, declare=False),
        durable=durable,
        pull_sub=PullSub(batch_size=1),
        decoder=as_it_came,
        inbox_prefix=inbox,
        # The default deletes a message on any exception.
        ack_policy=AckPolicy.MANUAL,
        no_reply=True,
    )


def pull_when_free(
    subscriber: Any, concurrency: int, *, restartable: bool
) -> Callable[[], None]:
    """Let a FastStream pull subscriber take messages in this way instead of its own.

    Returns what makes it take no more; restartable work is then cancelled.

    Its own fetches one more than it can work on, which grows old in memory until the
    server gives it to another as well, and it spins without a pause when the
    connection is closed or the consumer is deleted.
    """
    free = asyncio.Semaphore(concurrency)
    tasks: set[asyncio.Task[None]] = set()

    async def pull(cb: Any) -> None:
        async def work(message: Msg) -> None:
            try:
                await cb(message)
            finally:
                free.release()

        async with asyncio.TaskGroup() as working:
            while await free.acquire() and subscriber.running:
                if message := await _next(subscriber):
                    task = working.create_task(work(message))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                else:
                    free.release()
            await _ask_no_more(subscriber)
            for task in tasks if restartable else ():
                task.cancel()

    def stop() -> None:
        subscriber.running = False
        free.release()  # wakes what waits for a free handler

    subscriber._consume_pull = pull  # noqa: SLF001 - the one hook there is
    return stop


async def _ask_no_more(subscriber: Any) -> None:
    """Take back our interest in answers.

    The server holds the last request open a moment longer than we do; what is handed
    back in that moment would come to us again, and lie unread until ack_wait.
    """
    subscription, subscriber.subscription = subscriber.subscription, None
    with suppress(Exception):  # the connection is away, and with it the interest
        await subscription.unsubscribe()


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
    with boundary("nak", message.subject):
        await message.nak()  # the service stops: another may have it at once
    return None
