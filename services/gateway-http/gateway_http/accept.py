"""The moment a task is accepted: its create is stored in CMD, or it is refused."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nats.errors import ConnectionClosedError, NoServersError, OutboundBufferLimitError
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NoStreamResponseError

from contracts.bus import Bus
from contracts.tasks import CreateTask

PAUSE_SECONDS = 0.25
# With nothing buffered, each of these is raised before a byte has left.
_NOTHING_LEFT = (
    OutboundBufferLimitError,
    ConnectionClosedError,
    NoServersError,
    NoStreamResponseError,
)
T = TypeVar("T")
log = logging.getLogger("http")


class NotAcceptedError(Exception):
    """A create was not acknowledged; `certain` says that it is stored nowhere."""

    def __init__(self, why: str, *, certain: bool) -> None:
        super().__init__(why)
        self.certain = certain


async def accept(bus: Bus, create: CreateTask, seconds: float) -> None:
    """Store a create; returns when it is stored. Raises NotAcceptedError."""
    await insist(lambda: bus.send(create, f"create:{create.task}"), seconds)


async def insist(send: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Send until it is acknowledged. Raises NotAcceptedError.

    The bus buffers nothing: what is refused here is never sent later. A lost
    acknowledgement is asked for again; `send` must store nothing twice.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    left = False
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                return await send()
        except _NOTHING_LEFT as error:
            why = repr(error)
        except APIError as error:  # NATS said no: the stream is full, say
            log.error("a create was refused: %s", error)  # noqa: TRY400
            raise NotAcceptedError(repr(error), certain=not left) from None
        except (NatsError, TimeoutError) as error:
            why, left = repr(error), True
        if asyncio.get_running_loop().time() + PAUSE_SECONDS > deadline:
            raise NotAcceptedError(why, certain=not left)
        await asyncio.sleep(PAUSE_SECONDS)
