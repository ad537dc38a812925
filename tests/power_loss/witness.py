"""What the world outside was told before a cut, and what is left of it afterwards.

Everything a client, or who listens to EVT, has been told is a promise: a task that was
answered 201, a session that was added, a status that was shown, an event, a film.
"""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig

from chaos.load import Answers
from contracts.values import TERMINAL
from power_loss.machine import Machine

LOOK_SECONDS = 0.2
BACK_SECONDS = 40.0
Json = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """What GET said of a task."""

    revision: int
    status: str
    films: tuple[str, ...] = ()
    """The sha256 of its results, where it has succeeded."""


@dataclass
class Promises:
    """What was told, by whom it matters to."""

    answers: Answers = field(default_factory=Answers)
    sessions: set[str] = field(default_factory=set)
    tasks: dict[str, Seen] = field(default_factory=dict)
    events: dict[int, str] = field(default_factory=dict)
    """Sequence in EVT -> digest of the message."""


class Witness:
    """Looks on while the machine works; afterwards compares."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.promised = Promises()
        self._fetched: set[str] = set()

    async def look(self) -> None:
        """Take note of everything that is told, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_at_tasks())
            group.create_task(self._listen(set()))

    async def compare(self, *, all_films: bool = False) -> list[str]:
        """Say of which promises nothing is left; the machine is ready again.

        Films are fetched once, after the first cut since they were promised, and all
        of them if asked.
        """
        if all_films:
            self._fetched.clear()
        promised = self.promised
        before = set(promised.events)
        lost: list[str] = []
        again: set[int] = set()
        changed = await self._listen(again, until_caught_up=True)
        if before - again:  # what a slow reader missed is there the second time
            changed |= await self._listen(again, until_caught_up=True)
        lost += [f"event {n} was told and is gone" for n in sorted(before - again)]
        lost += [f"event {n} is another now" for n in sorted(changed)]
        listed = (await self._machine.api.get("/api/v1/sessions")).json()["sessions"]
        kept = {session["label"] for session in listed}
        missing = sorted(promised.sessions - kept)
        lost += [f"session {label} was added and is gone" for label in missing]
        rows = await self._rows(set(promised.answers.accepted) | set(promised.tasks))
        for task, seen in promised.tasks.items():
            lost += taken_back(task, seen, rows.get(task))
        for task in promised.answers.accepted.keys() - promised.tasks.keys():
            if task not in rows:
                lost.append(f"task {task} was answered 201 and does not exist")
        lost += await self._spoilt(rows)
        self._forget(set(promised.events) - again, rows)
        return lost

    def _forget(self, events: set[int], rows: dict[str, Json]) -> None:
        """Count what is lost once."""
        for number in events:
            del self.promised.events[number]
        for told in (self.promised.tasks, self.promised.answers.accepted):
            for task in told.keys() - rows.keys():
                del told[task]

    async def _rows(self, tasks: set[str]) -> dict[str, Json]:
        """Ask for tasks; what was only just accepted may come a little later."""
        found: dict[str, Json] = {}
        limit = time.monotonic() + BACK_SECONDS
        while True:
            for task in tasks - found.keys():
                answer = await self._machine.api.get(f"/api/v1/tasks/{task}")
                if answer.status_code == httpx.codes.OK:
                    found[task] = answer.json()["task"]
            if len(found) == len(tasks) or time.monotonic() > limit:
                return found
            if self._machine.weak:  # nothing comes later of what was lost
                limit = min(limit, time.monotonic() + 3)
            await asyncio.sleep(LOOK_SECONDS)

    async def _spoilt(self, rows: dict[str, Json]) -> list[str]:
        """Fetch the films that clients were promised, and name those that differ."""
        lost = []
        for task, seen in self.promised.tasks.items():
            if seen.films and task in rows and task not in self._fetched:
                self._fetched.add(task)
                for place, wanted in enumerate(seen.films):
                    url = f"/api/v1/tasks/{task}/video?index={place}"
                    answer = await self._machine.api.get(url)
                    digest = hashlib.sha256(answer.content).hexdigest()
                    if not answer.is_success:
                        lost.append(f"film of {task}: HTTP {answer.status_code}")
                    elif digest != wanted:
                        lost.append(f"film of {task} differs")
        return lost

    async def _look_at_tasks(self) -> None:
        while True:
            with suppress(httpx.HTTPError, ValueError, KeyError):
                page = await self._machine.api.get("/api/v1/tasks?limit=40")
                for row in page.json()["tasks"]:
                    self._saw(row)
            await asyncio.sleep(LOOK_SECONDS)

    def _saw(self, row: Json) -> None:
        films = tuple(result["sha256"] for result in row["results"])
        self.promised.tasks[row["id"]] = Seen(row["revision"], row["status"], films)

    async def _listen(
        self, heard: set[int], *, until_caught_up: bool = False
    ) -> set[int]:
        """Read EVT from its beginning; return what was told otherwise before."""
        assert self._machine.client
        stream = self._machine.client.jetstream()
        look = ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=60)
        changed: set[int] = set()
        with suppress(NatsError):
            reader = await stream.pull_subscribe(">", stream="EVT", config=look)
            while True:
                try:
                    batch = await reader.fetch(200, timeout=0.3)
                except TimeoutError:  # the broker's are such, too
                    batch = []
                for message in batch:
                    number = message.metadata.sequence.stream
                    told = f"{message.subject} {message.data!r}"
                    digest = hashlib.sha256(told.encode()).hexdigest()
                    heard.add(number)
                    if self.promised.events.setdefault(number, digest) != digest:
                        changed.add(number)
                        self.promised.events[number] = digest
                # A batch that came late is no end: only the consumer knows.
                if until_caught_up and not (await reader.consumer_info()).num_pending:
                    break
        return changed


def taken_back(task: str, seen: Seen, row: Json | None) -> Iterator[str]:
    """Name what GET said of a task before, and does not stand by any more."""
    if row is None:
        yield f"task {task} was shown and does not exist"
        return
    if row["revision"] < seen.revision:
        now = f"{row['revision']}, {row['status']}"
        yield f"task {task} was at {seen.revision}, {seen.status}; it is at {now}"
    if seen.status in TERMINAL and row["status"] != seen.status:
        yield f"task {task} had {seen.status}; it is {row['status']}"
    films = tuple(result["sha256"] for result in row["results"])
    if seen.films and films != seen.films:
        yield f"task {task} has other films"
