"""Waits for the end of a task by what is told of it, and asks nobody in between."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from math import inf
from typing import TypeVar

from fastapi import Request
from nats.errors import Error as NatsError
from starlette.requests import ClientDisconnect

from contracts.ending import end
from contracts.requests import Task
from contracts.tasks import CreateTask, TaskChanged
from contracts.values import TERMINAL
from gateway_http.links import Links
from gateway_http.live.follower import Follower
from gateway_http.live.newer import Newer
from gateway_http.live.told import Told
from gateway_http.live.wanted import Wanted
from gateway_http.parts import Parts
from gateway_http.prefer import Wait
from gateway_http.reading import as_queued, read_task

AGAIN_SECONDS = 1.0  # between two questions, while the scheduler does not answer
_TOLD = {
    "revision",
    "status",
    "stage",
    "attempt",
    "queue_position",
    "queue_total",
    "queue_eta_seconds",
}
T = TypeVar("T")


async def ended(parts: Parts, task: Task, seconds: float) -> Task:
    """Return a task once it has ended, or as it is after so long.

    `task` is what is known of it. A gateway that stops waits no longer.
    """
    async with aclosing(changes(parts, task, seconds)) as told:
        async for found in told:
            last = found
    return last


async def changes(parts: Parts, task: Task, seconds: float) -> AsyncGenerator[Task]:
    """Give a task as it is now, and whenever it changes, to its end or for so long.

    It is the asker's own: whose tasks it may see does not matter.

    Once it has ended it is read whole; before that, events say enough.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    watcher = _Watcher(task.id)
    parts.hub.join(watcher)
    try:
        found = await _read(parts, task, deadline)
        yield found
        while found.status not in TERMINAL:
            told = await watcher.next(deadline)
            if told is None:
                return
            changed = found.model_copy(update=told.model_dump(include=_TOLD))
            if changed.status in TERMINAL:
                changed = await _read(parts, found, deadline)
            if changed.revision > found.revision:
                found = changed
                yield found
    finally:
        parts.hub.leave(watcher)


async def _read(parts: Parts, known: Task, deadline: float) -> Task:
    """Ask for a task until somebody answers; return what is known, if nobody does."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            while True:
                with suppress(NatsError):
                    return await read_task(parts.bus, known.id, None)
                await asyncio.sleep(AGAIN_SECONDS)
    return known


async def with_silences(
    told: AsyncGenerator[T], seconds: float
) -> AsyncGenerator[T | None]:
    """Give what is told, and None after each so long a silence; close it at the end."""
    upcoming = asyncio.ensure_future(anext(told))
    try:
        while True:
            await asyncio.wait({upcoming}, timeout=seconds)
            if not upcoming.done():
                yield None
                continue
            try:
                yield upcoming.result()
            except StopAsyncIteration:
                return
            upcoming = asyncio.ensure_future(anext(told))
    finally:
        await end(upcoming)
        await told.aclose()


class _Watcher(Follower):
    """Keeps what is told of one task."""

    def __init__(self, task: str) -> None:
        super().__init__(Wanted(task=task), Links(""), Newer(), seconds=inf)
        self._told: deque[TaskChanged] = deque()

    def offer(self, told: Told) -> None:
        """Keep it."""
        if isinstance(told.event, TaskChanged):
            self._told.append(told.event)
            self._more.set()

    def put(self, frame: bytes) -> None:
        """Leave out what is said to clients of a stream."""

    def look(self, now: float, ping: float) -> None:
        """Leave out what keeps a stream open."""

    async def next(self, deadline: float) -> TaskChanged | None:
        """Return what is told next; None: nothing until then, or nothing more."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._more.wait()
        if not self._told:
            return None
        found = self._told.popleft()
        if not self._told and not self.over:
            self._more.clear()
        return found


async def ended_for(
    request: Request, parts: Parts, made: CreateTask, wait: Wait
) -> Task:
    """Wait as `ended` does, for a client whose body is read.

    Raises ClientDisconnect when it leaves: its task goes on.
    """
    task = as_queued(made)
    if not wait.seconds:
        return task
    doing = asyncio.create_task(ended(parts, task, wait.seconds))
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise ClientDisconnect
    finally:
        await end(doing)
        await end(leaving)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
