"""Waits for the end of a task: on its public events, not by asking again and again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from starlette.requests import ClientDisconnect, Request

from contracts.bus import Bus
from contracts.message import token
from contracts.requests import Task
from contracts.tasks import TaskChanged
from contracts.values import TERMINAL
from gateway_http.reading import no_answer, read_task

# An event may be lost with a connection: so long after the last one it is looked up.
QUIET_SECONDS = 20.0


async def ended_for(
    request: Request, bus: Bus, task: str, seconds: float
) -> Task | None:
    """Wait as `ended` does; raises ClientDisconnect once nobody waits any more."""
    if not seconds:
        return None
    waiting = asyncio.create_task(ended(bus, task, seconds))
    leaving = asyncio.create_task(_hung_up(request))
    try:
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait({waiting, leaving}, return_when=first)
        if not waiting.done():
            raise ClientDisconnect
        return waiting.result()
    finally:
        waiting.cancel()
        leaving.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def ended(bus: Bus, task: str, seconds: float) -> Task | None:
    """Return a task once it has ended; None: it takes longer than so many seconds.

    Raises RequestRefusedError when there is no such task any more.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), _events(bus, task) as events:
            # Heard from here on; what was before is read.
            while not (found := await _read(bus, task)) or found.status not in TERMINAL:
                await _an_end(events)
            return found
    return None


async def _read(bus: Bus, task: str) -> Task | None:
    with suppress(*no_answer):
        return await read_task(bus, task, None)
    return None


async def _an_end(events: Subscription) -> None:
    """Return when an event tells of an end, or nothing was heard for a while."""
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(QUIET_SECONDS):
                message = await anext(events.messages)
            if TaskChanged.parse(message.data).status in TERMINAL:
                return


@asynccontextmanager
async def _events(bus: Bus, task: str) -> AsyncIterator[Subscription]:
    subject = f"evt.task.{token(task)}.scheduler.*"
    subscription = await bus.client.subscribe(subject)
    try:
        yield subscription
    finally:
        with suppress(NatsError):  # the connection may be gone, and this with it
            await subscription.unsubscribe()
