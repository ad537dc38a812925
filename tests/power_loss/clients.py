"""Clients that go on asking, whatever happens to the machine."""

import asyncio
import random
from base64 import b64encode
from io import BytesIO

import httpx
from PIL import Image

from power_loss.machine import CAP, Machine
from power_loss.witness import Promises

CLIENTS = 3
PAUSE_SECONDS = 0.05
MOST_SECONDS = 0.8  # between two wishes of one client
CREATED, CONFLICT = 201, 409


async def ask_on(machine: Machine, promised: Promises, rng: random.Random) -> None:
    """Add the sessions, then send wishes until cancelled; note every 201."""
    for number, session in enumerate(machine.sessions, 1):
        label = f"a{number}"
        wish = {"session_id": session, "label": label, "max_active": CAP}
        while label not in promised.sessions:
            if await _post(machine, "/api/v1/sessions", wish) in {CREATED, CONFLICT}:
                promised.sessions.add(label)
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            seed = rng.random()
            group.create_task(_wish_on(machine, promised, random.Random(seed)))  # noqa: S311


async def _wish_on(machine: Machine, promised: Promises, rng: random.Random) -> None:
    while True:
        await asyncio.sleep(rng.uniform(0, MOST_SECONDS))
        await machine.may_be_asked.wait()
        wish = {"prompt": "power", "model": "jimeng-video-3.0", "duration": 5}
        if rng.random() < 0.3:
            wish |= {"files": [{"data": _picture(rng), "filename": "a.png"}]}
        await _post(machine, "/api/v1/tasks", wish, promised)


async def _post(
    machine: Machine, path: str, wish: object, promised: Promises | None = None
) -> int:
    try:
        answer = await machine.api.post(path, json=wish)
    except httpx.HTTPError:
        await asyncio.sleep(PAUSE_SECONDS)
        return 0
    if promised and answer.status_code == CREATED:
        promised.answers.accepted[str(answer.json()["task_id"])] = ""
    if answer.status_code in {400, 413, 415, 422}:
        raise RuntimeError(f"the wish is wrong: {answer.text[:500]}")
    if answer.status_code != CREATED:
        await asyncio.sleep(PAUSE_SECONDS)
    return answer.status_code


def _picture(rng: random.Random) -> str:
    colour = tuple(rng.randint(0, 255) for _ in range(3))
    out = BytesIO()
    Image.new("RGB", (400, 400), colour).save(out, "PNG")
    return b64encode(out.getvalue()).decode()
