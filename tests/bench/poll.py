"""5,000 jobs in flight on 500 accounts, each asked every 10 s: what that takes.

Poller, scheduler and nats-server are processes of their own, as in production. The
site is a stand-in that answers `get_history_by_ids` at once and notes who asked when:
the simulator, which does much more for each answer, would be what is measured.
"""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import uvloop
from rig import cpu_seconds, heading, memory_mb, percentile, rig, row, service
from sqlalchemy import text

from contracts.message import now
from contracts.pool import AddSession
from contracts.values import Belonging, Job
from poller.domain import Pace, pause
from runtime.settings import load
from scheduler import pool_work
from scheduler.domain.rows import Attempt, Task
from scheduler.settings import SchedulerSettings
from scheduler.store import attempts, tasks
from scheduler.store.engine import database_url, writing, writing_engine
from scheduler.store.migrate import migrate
from scheduler.vault import Vault
from scheduler.writer import Turn
from support import Nats, free_port

SESSIONS = 500
JOBS_EACH = 10
INTERVAL = 10.0
LONGEST_WARM_SECONDS = 60.0
SECONDS = 60.0
SECRET = "0" * 32
FILLER = "x" * 2_000  # of a real node: the draft, above all


def node(submit_id: str) -> dict[str, object]:
    """Return a job that waits in the site's queue."""
    queue = {"queue_idx": 40_000, "queue_length": 90_000, "queue_status": 1}
    return {
        "submit_id": submit_id,
        "history_record_id": submit_id[:8],
        "status": 20,
        "task": {"status": 20, "submit_id": submit_id},
        "queue_info": queue | {"polling_config": {"interval_seconds": int(INTERVAL)}},
        "draft_content": FILLER,
    }


async def site(port: int, log: Path) -> None:
    """Stand in for the site; one line an answer: account, asked, answered, how many."""
    with log.open("w", buffering=1) as lines:

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode()
                    asked = time.monotonic()
                    length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                    body = await reader.readexactly(int(length[1]) if length else 0)
                    ids = json.loads(body or b"{}").get("submit_ids", ())
                    data = {each: node(each) for each in ids}
                    answer = json.dumps({"ret": "0", "data": data}).encode()
                    writer.write(
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n%s" % (len(answer), answer)
                    )
                    await writer.drain()
                    found = re.search(r"sessionid=(\w+)", head)
                    name = found[1] if found else "-"
                    lines.write(f"{name} {asked} {time.monotonic()} {len(ids)}\n")

        async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
            await server.serve_forever()


async def seed(folder: Path) -> dict[str, str]:
    """Put the accounts and their jobs into a database; return ids by credential."""
    data = folder / "data"
    data.mkdir()
    settings = load(SchedulerSettings, data_dir=data, secret_key=SECRET)
    url = database_url(settings.database_url, data)
    migrate(url)
    engine, vault = writing_engine(url), Vault(SECRET)
    ids: dict[str, str] = {}
    async with writing(engine) as db:
        turn = Turn(db, now())
        for n in range(SESSIONS):
            credential = f"{n:032x}"
            wish = AddSession(credential=credential, max_active=JOBS_EACH)
            session = (await pool_work.add(turn, wish, vault)).session.id
            ids[credential] = session
            for job in range(JOBS_EACH):
                await _follow(turn, f"{session}{job:04}", session)
        await db.execute(text("UPDATE sessions SET state = 'active'"))
        await db.execute(text("UPDATE credentials SET state = 'current'"))
        await db.execute(text("UPDATE tasks SET session = substr(id, 1, 12)"))
    await engine.dispose()
    return ids


async def _follow(turn: Turn, name: str, session: str) -> None:
    job = Job(model="jimeng-video-3.0", prompt="a fox", duration=5, ratio="16:9")
    task = Task(name, Belonging(), job, turn.now, status="polling", attempt=1)
    attempt = Attempt(
        task=name,
        n=1,
        session=session,
        submit_id=f"submit-{name}",
        reserved_at=turn.now,
        state="known",
        sends=1,
        permitted_at=turn.now,
        upstream_id=name,
    )
    await tasks.create(turn.db, task, turn.now)
    await attempts.adopt(turn.db, attempt)


def lateness(log: Path, ids: dict[str, str], since: float) -> tuple[list[float], int]:
    """Return by how much each question came after its due moment; and how many asked.

    Due is a pause after the answer before, by the poller's own rule.
    """
    pace = Pace(INTERVAL, INTERVAL)
    answered: dict[str, float] = {}
    late: list[float] = []
    of: defaultdict[int, int] = defaultdict(int)
    for line in _lines(log):
        name, asked, done, count = line.split()
        if float(asked) >= since and name in answered:
            due = answered[name] + pause(ids[name], INTERVAL, None, pace)
            late.append(float(asked) - due)
            of[int(count)] += 1
        answered[name] = float(done)
    return late, of[JOBS_EACH]


def start_site(port: int, log: Path) -> subprocess.Popen[bytes]:
    """Start the stand-in."""
    return subprocess.Popen([sys.executable, __file__, "site", str(port), str(log)])


async def warm(log: Path) -> None:
    """Wait until every account was asked, but not for ever, and two rounds more."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_WARM_SECONDS):
            while len({each.split()[0] for each in _lines(log)}) < SESSIONS:
                await asyncio.sleep(0.5)
    await asyncio.sleep(2 * INTERVAL)


def _lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


async def measure(folder: Path, server: Nats, seconds: float) -> None:
    """Let it run for a while, and print."""
    ids = await seed(folder)
    port, log = free_port(), folder / "site.log"
    shared = {
        "jimeng_upstream": f"http://127.0.0.1:{port}",
        "secret_key": SECRET,
        "log_level": "warning",
    }
    stand_in = start_site(port, log)
    try:
        with (
            service("scheduler", folder, server, **shared) as scheduler,
            service("poller", folder, server, **shared) as poller,
        ):
            await warm(log)
            began = time.monotonic()
            parts = {"poller": poller.pid, "scheduler": scheduler.pid}
            before = {name: cpu_seconds(pid) for name, pid in parts.items()}
            await asyncio.sleep(seconds)
            spent = {n: cpu_seconds(pid) - before[n] for n, pid in parts.items()}
            took = time.monotonic() - began
            memory = memory_mb(poller.pid)
    finally:
        stand_in.terminate()
        stand_in.wait()
    late, whole = lateness(log, ids, began)
    if not late:
        raise SystemExit(f"nothing was asked: {(folder / 'poller.log').read_text()}")
    wanted = SESSIONS / INTERVAL
    row("calls of the site", len(late) / took, "/s", f"{wanted:.0f} at no lateness")
    share = f"{whole} of {len(late)}"
    row("of them for all jobs of an account", 100 * whole / len(late), "%", share)
    row("CPU of the poller", 100 * spent["poller"] / took, "%", "of a core", "50")
    per_call = 1000 * spent["poller"] / len(late)
    row("CPU of the poller, a call", per_call, "ms")
    row("CPU of the scheduler", 100 * spent["scheduler"] / took, "%", "of a core")
    row("memory of the poller", memory, "MB", "", "150")
    row("lateness, median", percentile(late, 0.5), "s")
    row("lateness, p99", percentile(late, 0.99), "s", "", "1")


async def main(seconds: float = SECONDS) -> None:
    """Measure, and print."""
    heading(f"Following: {SESSIONS * JOBS_EACH} jobs, {SESSIONS} accounts, 10 s")
    async with rig() as (folder, server):
        await measure(folder, server, seconds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["site"]:
        uvloop.run(site(int(sys.argv[2]), Path(sys.argv[3])))
    else:
        uvloop.run(main())
