"""What the scheduler can do: transitions a second, with a backlog and without.

A transition is one task's next step, decided, written and committed. The workers are
played in this process, so that the scheduler's own work is what is measured; the
baseline is the same number of bare commits to the same kind of database. On a busy
machine the times tell of its load; the CPU of a transition tells of us.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from rig import heading
from sqlalchemy import text

from contracts import tasks as said
from contracts.message import now
from contracts.pool import AddSession
from contracts.tasks import CreateTask
from contracts.values import Item, Job, ResultRef
from contracts.workers import AskPermit
from runtime.settings import load
from scheduler import pool_work, queueing, sends, work
from scheduler.lease import Lease
from scheduler.settings import SchedulerSettings
from scheduler.store.engine import database_url, reading_engine, writing_engine
from scheduler.store.migrate import migrate
from scheduler.vault import Vault
from scheduler.writer import Writer

JOB = Job(model="jimeng-video-3.0", prompt="a fox", duration=5, ratio="16:9")
ITEM = Item(id="i", urls=("http://127.0.0.1/v.mp4",))
RESULT = ResultRef(index=0, key="k", mime="video/mp4", size=1, sha256="0")
SESSIONS = 20
LONGEST = 60.0  # seconds, on a machine that is busy otherwise


class Bench:
    """A writer with its database, and every worker's part in one place."""

    def __init__(self, folder: Path) -> None:
        self.settings = load(SchedulerSettings, data_dir=folder)
        self.url = database_url("", folder)
        migrate(self.url)
        self.engine = writing_engine(self.url)
        reads = reading_engine(self.url)
        self.commands: asyncio.Queue[said.AttemptCommand] = asyncio.Queue()
        lease = Lease(self.engine, reads, folder, 10, print)
        self.lease = lease.held(lambda: True)
        self.done = 0

        lookout = queueing.Lookout(self.settings.rules)
        self.writer = Writer(self.engine, lease, lookout.look, self.tell)
        self.kinds = {"plain": said.SubmitPlain, "store": said.StoreResults}

    def tell(self, parcels):
        for parcel in parcels:
            kind = self.kinds.get(parcel.subject.split(".")[2])
            if parcel.stream == "CMD" and kind:
                self.commands.put_nowait(kind.parse(parcel.body))

    async def add_sessions(self):
        vault = Vault("0" * 32)
        for n in range(SESSIONS):
            wish = AddSession(credential=f"{n:032x}", max_active=2)
            reply = await self.writer.do(lambda t, w=wish: pool_work.add(t, w, vault))

            async def activate(turn, name=reply.session.id):
                await turn.db.execute(
                    text("UPDATE sessions SET state='active' WHERE id=:id"),
                    {"id": name},
                )

            await self.writer.do(activate)

    async def fact(self, event):
        await self.writer.do(lambda t: work.fact(t, event, self.settings.rules))
        self.done += 1

    async def worker(self):
        while True:
            command = await self.commands.get()
            about = {"task": command.task, "attempt": command.attempt}
            if isinstance(command, said.StoreResults):
                await self.fact(said.Stored(**about, results=(RESULT,)))
                continue
            asked = AskPermit(
                **about,
                send=1,
                nonce="n",
                submit_id=command.submit_id,
                body_hash="h",
            )
            await self.writer.do(
                lambda t, a=asked: sends.permit(t, a, self.settings.rules)
            )
            self.done += 2  # reserved and permitted
            await self.fact(said.Submitted(**about, n=1, upstream_id="7"))
            await self.fact(said.Progressed(**about, n=1, stage="generating"))
            await self.fact(said.Generated(**about, n=2, items=(ITEM,)))

    async def create(self, count):
        async def one(n):
            command = CreateTask(task=f"t{n:08}", job=JOB, created_at=now())
            await self.writer.do(lambda t: work.create(t, command))

        for start in range(0, count, 64):
            await asyncio.gather(*(one(n) for n in range(start, start + 64)))

    async def bare_commits(self, count):
        began, spent = time.perf_counter(), time.process_time()
        for n in range(count):
            async with self.engine.begin() as db:
                await db.execute(
                    text("INSERT INTO inbox (id, seen_at) VALUES (:id, '')"),
                    {"id": f"bare{n}"},
                )
        self.bare_ms = (time.process_time() - spent) / count * 1000
        return count / (time.perf_counter() - began)


async def main(tasks: int = 256) -> None:
    """Measure, and print a line."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        baseline = await bench.bare_commits(500)
        async with bench.lease:
            writing = asyncio.create_task(bench.writer.run())
            await bench.add_sessions()
            began = time.perf_counter()
            await bench.create(tasks)
            created = tasks / (time.perf_counter() - began)
            began, before = time.perf_counter(), bench.done
            spent = time.process_time()
            workers = [asyncio.create_task(bench.worker()) for _ in range(64)]
            while bench.done < tasks * 6 and time.perf_counter() - began < LONGEST:
                await asyncio.sleep(0.01)
            rate = (bench.done - before) / (time.perf_counter() - began)
            cpu = (time.process_time() - spent) / (bench.done - before) * 1000
            for task in (*workers, writing):
                task.cancel()
            await asyncio.gather(*workers, writing, return_exceptions=True)
    heading("Deciding: the scheduler's writer on its own, its workers played")
    print(f"bare commits            {baseline:8.0f} /s")
    print(f"creates taken in        {created:8.0f} /s  ({created / baseline:.2f} x)")
    print(
        f"transitions, {SESSIONS} sessions, backlog {tasks} "
        f"{rate:8.0f} /s  ({rate / baseline:.2f} x)"
    )
    times = cpu / bench.bare_ms
    print(f"CPU of a transition     {cpu:8.2f} ms  ({times:.1f} x a commit)")


if __name__ == "__main__":
    asyncio.run(main())
