"""What the gateway adds to the site: times, start-up and memory, against a bare site.

Run by `make bench`. One process of `jimeng up` against a simulated site that answers at
once; tasks go one after another through a warm browser context. Prints a table; it
judges nothing, but says what was aimed at.
"""

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import nats

from contracts.tasks import TaskChanged
from contracts.values import TERMINAL

TASKS = 50
WARM = 3
SESSION = "51e0de305e55104d0000000000000001"
PING_SECONDS = 0.02


def spawn(*command: str, **environment: str) -> subprocess.Popen[str]:
    """Start a part of this run."""
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
    )


def line_of(process: subprocess.Popen[str], pattern: str) -> str:
    """Read its output until a line matches."""
    assert process.stdout
    for line in process.stdout:
        if found := re.search(pattern, line):
            return found[1]
    raise SystemExit("a part of the run ended before it was ready")


def wait_ready(url: str) -> None:
    """Wait for /readyz."""
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        time.sleep(0.01)


class Run:
    """The tasks of one run, and when what happened to them."""

    def __init__(self, url: str, site: str, data: Path) -> None:
        self.client = httpx.AsyncClient(base_url=url, trust_env=False, timeout=30)
        self.site = httpx.AsyncClient(base_url=site, trust_env=False, timeout=30)
        self.data = data
        self.seen: dict[tuple[str, str], float] = {}
        self.ended: asyncio.Queue[TaskChanged] = asyncio.Queue()
        self.posted: dict[str, float] = {}
        self.pings: list[float] = []

    async def listen(self) -> Any:
        """Note when each public event arrives."""
        users = json.loads((self.data / "nats" / "users.json").read_text())
        url = (self.data / "nats" / "url").read_text().strip()
        connection = await nats.connect(url, user="viewer", password=users["viewer"])

        async def take(message: Any) -> None:
            event = TaskChanged.parse(message.data)
            self.seen.setdefault((event.task, event.status), time.monotonic())
            if event.status in TERMINAL:
                await self.ended.put(event)

        await connection.subscribe("evt.task.*.scheduler.*", cb=take)
        return connection

    async def make(self, model: str) -> str:
        """Make one video and return its id."""
        wish = {"model": model, "prompt": "a fox", "duration": 5}
        began = time.monotonic()
        answer = await self.client.post("/api/v1/tasks", json=wish)
        answer.raise_for_status()
        task_id = str(answer.json()["task_id"])
        self.posted[task_id] = began
        async with asyncio.timeout(60):
            while (event := await self.ended.get()).task != task_id:
                pass
        if event.status != "succeeded":
            raise SystemExit(f"a task failed: {event.error_message}")
        return task_id

    async def ping(self) -> None:
        """Ask for the shortest answer again and again: it waits for the loop."""
        while True:
            began = time.monotonic()
            await self.client.get("/ping")
            self.pings.append((time.monotonic() - began) * 1000)
            await asyncio.sleep(PING_SECONDS)

    async def requests(self, kind: str) -> list[dict[str, Any]]:
        """Return what the site has received of one kind."""
        answer = await self.site.get("/_sim/requests", params={"kind": kind})
        return list(answer.json())


async def measure(run: Run, model: str) -> tuple[list[float], list[float]]:
    """Return both medians' samples in milliseconds: to the site, and from it."""
    for _ in range(WARM):
        await run.make(model)
    before = len(await run.requests("submit"))
    made = [await run.make(model) for _ in range(TASKS)]
    submits = (await run.requests("submit"))[before:]
    polls = await run.requests("history")
    out = [
        (s["at_monotonic"] - run.posted[t]) * 1000
        for s, t in zip(submits, made, strict=True)
    ]
    back = []
    for task_id in made:
        known = run.seen[task_id, "downloading"]
        ends = [p["at_monotonic"] + (p["took_ms"] or 0) / 1000 for p in polls]
        answered = max(e for e in ends if e <= known)
        back.append((run.seen[task_id, "succeeded"] - answered) * 1000)
    return out, back


def memory_mb(pid: int) -> float:
    """Return the resident memory of one process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else 0.0


def say(what: str, samples: list[float], unit: str, aim: str) -> None:
    """Print one row."""
    samples = sorted(samples)
    p99 = samples[min(len(samples) - 1, int(len(samples) * 0.99))]
    median = statistics.median(samples)
    print(f"{what:<52}{median:8.1f}{p99:9.1f} {unit:<4} {aim}")


async def bench(folder: Path) -> None:
    """Measure and print everything."""
    site = spawn(
        "simulator", "--port", "0", "--data", str(folder / "site"), "--instant"
    )
    origin = line_of(site, r"simulator ready (\S+)")
    began = time.monotonic()
    gateway = spawn(
        *("standalone.cli.app", "up", "--port", "0", "--data", str(folder / "data")),
        JIMENG_UPSTREAM=origin,
        POLL_MIN_SECS="0.1",
        POLL_INTERVAL_SECS="0.1",
        LOG_LEVEL="warning",
    )
    try:
        url = line_of(gateway, r"ready at (\S+)")
        wait_ready(url)
        started = time.monotonic() - began
        run = Run(url, origin, folder / "data")
        connection = await run.listen()
        added = await run.client.post(
            "/api/v1/sessions", json={"session_id": SESSION, "label": "bench"}
        )
        added.raise_for_status()
        idle = memory_mb(gateway.pid)
        print(f"{'':<52}{'median':>8}{'p99':>9}")
        say("start-up to ready", [started], "s", "aim 3")
        for name, model in (
            ("Seedance, in the page", "jimeng-video-seedance-2.0"),
            ("3.0, plainly", "jimeng-video-3.0"),
        ):
            out, back = await measure(run, model)
            say(f"POST to submit at the site, {name}", out, "ms", "aim 60")
            say(f"answer 50 to succeeded, {name}", back, "ms", "aim 100")
        pinging = asyncio.create_task(run.ping())
        for _ in range(10):
            await run.make("jimeng-video-seedance-2.0")
        pinging.cancel()
        say("GET /ping meanwhile (how long the loop is kept)", run.pings, "ms", "")
        bare = [float(p["took_ms"] or 0) for p in await run.requests("submit")]
        say("the site's own time for a submit (baseline)", bare, "ms", "")
        say("memory of the process, idle", [idle], "MB", "aim 200")
        say("memory of the process, after", [memory_mb(gateway.pid)], "MB", "aim 200")
        await connection.close()
    finally:
        for process in (gateway, site):
            process.terminate()
            process.wait(15)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(bench(Path(made)))
