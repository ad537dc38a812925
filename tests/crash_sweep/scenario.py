"""Three tasks from their wish to their end, and what is left of them."""

import asyncio
import hashlib
import json
from base64 import b64encode
from contextlib import suppress
from typing import Any

import httpx
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

import blobs
from chaos import invariants
from chaos.evidence import World, files_below
from chaos.invariants import Broken
from contracts.streams import FACTS_DURABLE
from contracts.values import TERMINAL
from crash_sweep.lane import CAP, Lane

QUIET_SECONDS = 60.0
ACCEPTED, CONFLICT, OK, NOT_FOUND = 201, 409, 200, 404
PLAIN: dict[str, Any] = {"prompt": "a lamp", "model": "jimeng-video-3.0", "duration": 5}
CANCELLED = {**PLAIN, "prompt": "a bell [[slow:2]]"}


def in_page(picture: bytes) -> dict[str, Any]:
    """Return a wish for the page, with a reference to upload."""
    file = {"data": b64encode(picture).decode(), "filename": "fox.png"}
    return {
        "prompt": "@1 runs",
        "model": "jimeng-video-seedance-2.0",
        "duration": 5,
        "files": [file],
    }


class Scenario:
    """One run of the three tasks on a lane; what earlier runs left is not its own."""

    def __init__(self, lane: Lane, picture: bytes) -> None:
        self._lane = lane
        self._wishes = [in_page(picture), PLAIN, CANCELLED]
        self._world = World(cap=CAP)
        self._before = {row["id"] for row in lane.rows("select id from tasks")}
        self._ledger: set[str] = set()
        self._letters = self._sequence = 0
        self._ids: list[str] = []

    async def live(self) -> list[str]:
        """Let them live to their ends; return why they did not."""
        lane = self._lane
        self._ledger = set(await self._entries())
        self._sequence = (await lane.jetstream.stream_info("EVT")).state.last_seq
        self._letters = (await lane.jetstream.stream_info("DLQ")).state.last_seq
        self._ids = [await self._create(wish) for wish in self._wishes]
        await self._cancel(self._ids[2])
        if (left := await self.quiet()) is not None:
            return [f"not quiet after {QUIET_SECONDS:g} s: {left}"]
        return []

    async def _create(self, wish: dict[str, Any]) -> str:
        while True:
            answer = await self._ask("POST", "/api/v1/tasks", json=wish)
            if answer is not None and answer.status_code == ACCEPTED:
                task = str(answer.json()["task_id"])
                self._world.accepted[task] = ""
                return task
            with suppress(ValueError, AttributeError):
                problem = answer.json()  # type: ignore[union-attr]
                if problem.get("type") == "not_accepted":
                    self._world.refused.add(str(problem["task_id"]))
            await asyncio.sleep(0.05)

    async def _cancel(self, task: str) -> None:
        """Cancel a task once its send was permitted."""
        permitted = "select 1 from attempts where task = ? and permitted_at"
        await self._lane.until_row(permitted, task)
        while True:
            answer = await self._ask("POST", f"/api/v1/tasks/{task}/cancel")
            code = answer.status_code if answer is not None else 0
            if code == OK:
                self._world.cancelled.add(task)
            if code in {OK, CONFLICT}:
                return
            await asyncio.sleep(0.05)

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response | None:
        with suppress(httpx.HTTPError):
            return await self._lane.api.request(method, path, **more)
        return None

    async def quiet(self) -> str | None:
        """Wait until nothing is left to do; return what is left after too long."""
        left = "nothing was looked at"
        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET_SECONDS):
                while True:
                    if not (left := await self._left()):
                        return None
                    await asyncio.sleep(0.05)
        return left

    async def _left(self) -> str:
        lane = self._lane
        tasks = lane.rows("select id, status, stage from tasks")
        tasks = [task for task in tasks if task["status"] not in TERMINAL]
        attempts = lane.rows("select * from attempts where state != 'ended'")
        outbox = lane.rows("select subject from outbox")
        if tasks or attempts or outbox:
            return f"tasks {tasks}, attempts {attempts}, outbox {outbox}"
        info = await lane.jetstream.stream_info("CMD", subjects_filter=">")
        if subjects := info.state.subjects:
            return f"commands {list(subjects)}"
        facts = await lane.jetstream.consumer_info("EVT", FACTS_DURABLE)
        if facts.num_pending or facts.num_ack_pending:
            return f"facts: {facts.num_pending} + {facts.num_ack_pending}"
        return ""

    # what is left

    async def judge(self) -> list[str]:
        """Look at everything, and return what is broken, each in a line."""
        world, lane, ids = self._world, self._lane, self._ids
        new = {row["id"] for row in lane.rows("select id from tasks")} - self._before
        for task in sorted(new | set(ids)):
            await self._look_at(task)
        await self._hear_events(new)
        entries = await self._entries()
        world.ledger = {k: v for k, v in entries.items() if k not in self._ledger}
        attempts = lane.rows("select * from attempts")
        world.attempts = [each for each in attempts if each["task"] in new]
        results = lane.rows("select * from results")
        world.results = [each for each in results if each["task"] in new]
        world.references |= {r["poster"] for r in world.results if r["poster"]}
        for row in lane.rows("select id, job from tasks"):
            if row["id"] in new:
                files = json.loads(row["job"])["files"]
                world.references |= {file["key"] for file in files}
        await self._see_files()
        broken = invariants.judge(world)
        for task, row in world.rows.items():
            if row["status"] != "succeeded" and task not in {*world.cancelled, ids[2]}:
                text = f"is {row['status']}, which nobody asked for"
                broken.append(Broken("unasked", f"{text}: {row.get('error')}", task))
        letters = (await lane.jetstream.stream_info("DLQ")).state.last_seq
        if letters > self._letters:
            broken.append(Broken("letters", f"{letters - self._letters} dead letters"))
        return list(map(str, broken))

    async def _look_at(self, task: str) -> None:
        answer = await self._read(f"/api/v1/tasks/{task}")
        if answer.status_code == OK:
            row = self._world.rows[task] = answer.json()["task"]
            if row["status"] == "succeeded":
                film = await self._read(row["video_url"])
                self._world.served[task] = hashlib.sha256(film.content).hexdigest()

    async def _read(self, path: str) -> httpx.Response:
        """Read what may be asked while a service is killed late, or starts again."""
        async with asyncio.timeout(QUIET_SECONDS):
            while True:
                answer = await self._ask("GET", path)
                if answer is not None and answer.status_code in {OK, NOT_FOUND}:
                    return answer
                await asyncio.sleep(0.05)

    async def _hear_events(self, tasks: set[str]) -> None:
        stream = self._lane.jetstream
        look = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._sequence + 1,
            inactive_threshold=60,
        )
        reader = await stream.pull_subscribe("evt.task.>", stream="EVT", config=look)
        with suppress(NatsTimeoutError):
            while batch := await reader.fetch(500, timeout=1):
                for message in batch:
                    subject = message.subject
                    task = subject.split(".")[2]
                    if task in tasks:
                        event = json.loads(message.data) | {"subject": subject}
                        self._world.events.setdefault(task, []).append(event)
                if batch[-1].metadata.num_pending == 0:
                    break
        await reader.unsubscribe()

    async def _entries(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self._lane.site.get("/_sim/ledger")).json()
        return found

    async def _see_files(self) -> None:
        """See this run's files; what an hour would sweep away is swept first."""
        folder = self._lane.data / "blobs"
        await blobs.Store(folder).sweep(0)
        files = await asyncio.to_thread(files_below, folder)
        self._world.files = {
            key: digest
            for key, digest in files.items()
            if key.partition("/")[0] not in self._before
        }
