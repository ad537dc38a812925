"""Reads server-sent events as a client does, and tells them as the scheduler does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from contracts.bus import Bus
from contracts.message import now
from contracts.requests import Task
from contracts.values import Job
from gateway_support import StandIn, change_of

SECONDS = 15


@dataclass
class Event:
    """One event, as it came."""

    name: str
    id: int | None
    body: dict[str, Any]

    @property
    def revision(self) -> int:
        return self.body["task"]["revision"]


class Stream:
    """An open stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.headers = response.headers
        self.comments: list[str] = []
        self.retry: str | None = None
        self._lines = response.aiter_lines()

    async def next(self) -> Event | None:
        """Return the next event; None: the stream is over."""
        async with asyncio.timeout(SECONDS):
            while fields := await self._block():
                if event := self._read(fields):
                    return event
        return None

    async def rest(self) -> list[Event]:
        """Return all events up to the end of the stream."""
        found = []
        while event := await self.next():
            found.append(event)
        return found

    async def until_comment(self, words: str) -> None:
        """Read on until somebody says so; no event may come before."""
        async with asyncio.timeout(SECONDS):
            while not any(words in each for each in self.comments):
                fields = await self._block()
                event = self._read(fields or [])
                assert not event, f"{event} came before {words!r}"
                assert fields is not None, f"the end came before {words!r}"

    async def _block(self) -> list[tuple[str, str]] | None:
        fields: list[tuple[str, str]] = []
        async for line in self._lines:
            if not line:
                return fields or [("", "")]
            name, _, value = line.partition(":")
            fields.append((name, value.removeprefix(" ")))
        assert not fields, f"broken off in the middle: {fields}"
        return None

    def _read(self, fields: list[tuple[str, str]]) -> Event | None:
        self.comments += [value for name, value in fields if not name and value]
        found = dict(fields)
        self.retry = found.get("retry", self.retry)
        if "data" not in found:
            return None
        place = int(found["id"]) if "id" in found else None
        return Event(found["event"], place, json.loads(found["data"]))


@asynccontextmanager
async def following(
    http: httpx.AsyncClient, path: str, last_id: int | str | None = None, **query: Any
) -> AsyncIterator[Stream]:
    """Open a stream; its answer must be a good one."""
    headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
    async with http.stream("GET", path, headers=headers, params=query) as response:
        if response.status_code != 200:
            raise AssertionError(f"{response.status_code}: {await response.aread()}")
        yield Stream(response)


async def tell(bus: Bus, task: Task, **fields: Any) -> None:
    """Tell how a task stands."""
    await bus.emit(change_of(task, **fields))


class Teller:
    """Tells through a real scheduler's bus; what it tells is in no database."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.tasks: dict[str, Task] = {}

    def change(self, task: str, **fields: Any) -> Task:
        self.tasks[task] = self.tasks[task].model_copy(update=fields)
        return self.tasks[task]


class Story:
    """One task of the scheduler's; each step is stored first, then told."""

    def __init__(
        self,
        scheduler: StandIn | Teller,
        task: str = "t1",
        model: str = "jimeng-video-3.0",
        **fields: Any,
    ) -> None:
        self.scheduler = scheduler
        self.path = f"/api/v1/tasks/{task}/events"
        moment = now()
        self.task = Task(
            id=task,
            status="queued",
            stage="waiting",
            revision=1,
            job=Job(model=model, prompt="a fox", duration=5, ratio="1:1"),
            created_at=moment,
            updated_at=moment,
            **fields,
        )
        scheduler.tasks[task] = self.task

    def store(self, status, **fields):
        step = {"status": status, "revision": self.task.revision + 1}
        self.task = self.scheduler.change(self.task.id, **(step | fields))

    async def tell(self, **fields):
        await tell(self.scheduler.bus, self.task, **fields)

    async def go(self, *statuses, **fields):
        for status in statuses:
            same = status == self.task.status
            self.store(status, **fields)
            await self.tell(what="progressed" if same else status)
