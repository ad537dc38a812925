"""The answer that does not end by itself: server-sent events, one client each."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from fastapi import Response
from nats.errors import Error as NatsError
from starlette.types import Receive, Scope, Send

from contracts.ending import end
from contracts.streams import PUBLIC_EVENTS, PUBLIC_TASK_EVENTS
from gateway_http.live.follower import Follower
from gateway_http.live.hub import Hub
from gateway_http.live.kept import of_task
from gateway_http.live.opening import Beginning
from gateway_http.live.wanted import Wanted

RETRY = b"retry: 3000\n\n"
SOCKET_BYTES = 64 * 1024
HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep it for itself
    "Connection": "close",  # it is used up: its socket has small buffers
}


class EventStream(Response):
    """Sends what a stream began with, then what was missed, then what happens."""

    media_type = "text/event-stream"

    def __init__(
        self,
        hub: Hub,
        follower: Follower,
        beginning: Beginning,
        freed: Callable[[], None],
    ) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._hub = hub
        self._follower = follower
        self._beginning = beginning
        self._freed = freed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve until the end, or until the client hangs up or does not read."""
        if connection := scope.get("extensions", {}).get("connection"):
            transport = connection["transport"]
            with suppress(OSError):  # the client has hung up already
                _narrow(transport)
            self._follower.cut_by(transport.drop)
        sending = asyncio.create_task(self._send(send))
        gone = asyncio.create_task(_hung_up(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            self._hub.leave(self._follower)
            self._freed()
            await end(gone)
            await end(sending)

    async def _send(self, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        with suppress(NatsError):  # what is missing is sent when the client comes again
            async for frames in self._frames():
                await send(
                    {"type": "http.response.body", "body": frames, "more_body": True}
                )
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _frames(self) -> AsyncIterator[bytes]:
        yield RETRY + self._beginning.first
        if self._beginning.done:
            return
        async for missed in self._missed():
            yield missed
        # Nothing is awaited between the last look at the hub's position and this.
        self._hub.join(self._follower)
        while frames := await self._follower.take():
            yield frames

    async def _missed(self) -> AsyncIterator[bytes]:
        """Read what the hub has handed out before, until that is nothing more."""
        follower, hub = self._follower, self._hub
        reached = self._beginning.newer.sequence
        while reached < hub.position and not follower.over:
            place = hub.position
            batch = await hub.events.surely_after(reached, _subject(follower.wanted))
            for told in batch.told:
                follower.offer(told)
                if frames := follower.drain():
                    yield frames
            reached = batch.reached if batch.reached > reached else place


def _subject(wanted: Wanted) -> str:
    if wanted.task:
        return of_task(wanted.task)
    return PUBLIC_EVENTS if wanted.sessions else PUBLIC_TASK_EVENTS


def _narrow(transport: Any) -> None:
    """Let little lie between us and a client that does not read."""
    connection = transport.get_extra_info("socket")
    if connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
