"""A steady load over HTTP: wishes of several kinds, some cancelled in between."""

import asyncio
import io
import random
from base64 import b64encode
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image

from chaos.times import LATE_SECONDS

OWNERS = ("ann", "bob", "cleo")
CANCELLED = 0.15
ACCEPTED, CONFLICT = 201, 409
PAUSE_SECONDS = 0.3
# What the site does to a task's own submit, and how often.
TROUBLES = {
    "": 0.50,
    "late": 0.16,
    "lost": 0.10,
    "invisible": 0.10,
    "late invisible": 0.04,
    "reset": 0.06,
    "fail": 0.04,
}


@dataclass
class Wish:
    """One task to ask for, decided before the storm."""

    at: float
    fields: dict[str, Any]
    trouble: str
    cancel_after: float | None


@dataclass
class Answers:
    """What the clients of a storm were told."""

    accepted: dict[str, str] = field(default_factory=dict)
    """Task id -> what the site was to do to it."""
    refused: set[str] = field(default_factory=set)
    """Task ids that were said not to be accepted."""
    cancelled: set[str] = field(default_factory=set)
    codes: Counter[int] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)
    """Every answer, to look for secrets in."""


def plan(seed: int, tasks: int, seconds: float) -> list[Wish]:
    """Return the wishes of a storm: the same for the same seed."""
    rng = random.Random(f"load {seed}")  # noqa: S311 - a schedule
    wishes = []
    for number in range(tasks):
        trouble = rng.choices(list(TROUBLES), list(TROUBLES.values()))[0]
        cancelled = rng.random() < CANCELLED
        wishes.append(
            Wish(
                at=seconds * (number + rng.random()) / tasks,
                fields=_fields(rng, number, trouble),
                trouble=trouble,
                cancel_after=rng.uniform(0, seconds / 5) if cancelled else None,
            )
        )
    return wishes


def _fields(rng: random.Random, number: int, trouble: str) -> dict[str, Any]:
    switches = {
        "late": f"[[late:{rng.uniform(0.2, LATE_SECONDS):.2f}]]",
        "lost": "[[lost]]",
        "invisible": f"[[invisible:{rng.uniform(0.2, LATE_SECONDS):.2f}]]",
        "reset": "[[reset]]",
        "fail": "[[fail:2038]]",
    }
    asked = " ".join(switches[word] for word in trouble.split())
    fields: dict[str, Any] = {
        "prompt": f"@1 storm {number} {asked}",
        "model": "jimeng-video-seedance-2.0",
        "duration": 5,
        "ratio": "16:9",
        "priority": rng.randint(0, 9),
        "metadata": {"owner": rng.choice(OWNERS), "number": str(number)},
    }
    if rng.random() < 0.5:
        return fields | {"files": [{"data": _picture(rng), "filename": "a.png"}]}
    plain = {"prompt": f"storm {number} {asked}", "model": "jimeng-video-3.0"}
    return fields | plain


def _picture(rng: random.Random) -> str:
    colour = tuple(rng.randint(0, 255) for _ in range(3))
    out = io.BytesIO()
    Image.new("RGB", (400, 400), colour).save(out, "PNG")
    return b64encode(out.getvalue()).decode()


class Load:
    """Sends the wishes when they are due, each until it is accepted."""

    def __init__(self, api: httpx.AsyncClient, wishes: list[Wish]) -> None:
        self.answers = Answers()
        self._api = api
        self.wishes = wishes

    async def run(self) -> None:
        """Send everything; returns when all are accepted and cancels were answered."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for wish in self.wishes:
                now = asyncio.get_running_loop().time() - began
                await asyncio.sleep(max(0.0, wish.at - now))
                group.create_task(self._serve(wish))

    async def _serve(self, wish: Wish) -> None:
        task = await self._accepted(wish)
        if wish.cancel_after is not None:
            await asyncio.sleep(wish.cancel_after)
            await self._cancel(task)

    async def _accepted(self, wish: Wish) -> str:
        while True:
            answer = await self._ask("POST", "/api/v1/tasks", json=wish.fields)
            if answer is not None and answer.status_code == ACCEPTED:
                task = str(answer.json()["task_id"])
                self.answers.accepted[task] = wish.trouble
                return task
            if answer is not None:
                self._note_refusal(answer)
            await asyncio.sleep(PAUSE_SECONDS)

    def _note_refusal(self, answer: httpx.Response) -> None:
        with suppress(ValueError):
            problem = answer.json()
            if problem.get("type") == "not_accepted":
                self.answers.refused.add(str(problem["task_id"]))

    async def _cancel(self, task: str) -> None:
        while True:
            answer = await self._ask("POST", f"/api/v1/tasks/{task}/cancel")
            code = answer.status_code if answer is not None else 0
            if code == httpx.codes.OK:
                self.answers.cancelled.add(task)
            if code in {httpx.codes.OK, CONFLICT}:
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response | None:
        """Return the answer, None where there was none."""
        try:
            answer = await self._api.request(method, path, **more)
        except httpx.HTTPError:
            self.answers.codes[0] += 1
            return None
        self.answers.codes[answer.status_code] += 1
        self.answers.texts.append(answer.text)
        if answer.status_code in {400, 413, 415, 422}:
            raise RuntimeError(f"the load is wrong: {answer.text[:500]}")
        return answer
