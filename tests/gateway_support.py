"""A running gateway, with a stand-in that answers as the scheduler would."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.bus import Bus
from contracts.message import now
from contracts.pool import (
    AddSession,
    DrainSession,
    EnableSession,
    ListSessions,
    ReadSession,
    RemoveSession,
    ReplaceCredential,
    Session,
    SessionReply,
    Sessions,
    SetProxy,
    SetSession,
    TestSession,
)
from contracts.requests import (
    Cancelled,
    CancelTask,
    Deleted,
    DeleteTask,
    ListTasks,
    ReadStats,
    ReadTask,
    Refusal,
    RequestRefusedError,
    ResolveTask,
    RetryTask,
    Stats,
    Task,
    TaskPage,
)
from contracts.sessions import Credits, SessionChanged
from contracts.tasks import CreateTask, TaskChanged
from contracts.values import TERMINAL, Job, ResultRef
from gateway_http.app import Gateway, create_app
from gateway_http.parts import Patience
from gateway_http.settings import GatewaySettings
from runtime.heartbeat import SERVICES
from runtime.settings import load
from support import PLAIN

JOB = Job(model="jimeng-video-3.0", prompt="p", duration=5, ratio="16:9")


class StandIn:
    """What the scheduler is to the gateway; its state is the test's to set."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.created: list[CreateTask] = []
        self.tasks: dict[str, Task] = {}
        self.sessions: dict[str, Session] = {}
        self.asked: list[Any] = []
        self.added: list[AddSession] = []
        self.hide_once: set[str] = set()
        self.outcome: str | None = "active"
        self.duplicate_of: str | None = None
        self.remedy: str | None = None
        self.rejected: str | None = None
        self.checks = 0
        self.on_listed: Callable[[], None] = lambda: None
        self.refused: dict[str, tuple[int, str]] = {}
        self.on_create: Callable[[Task], Task] = lambda task: task
        for request, handler in {
            ReadTask: self.read_task,
            ListTasks: self.list_tasks,
            CancelTask: self.cancel_task,
            ResolveTask: self.resolve_task,
            RetryTask: self.retry_task,
            DeleteTask: self.delete_task,
            ReadStats: self.stats,
            ListSessions: self.list_sessions,
            ReadSession: self.read_session,
            AddSession: self.add_session,
            RemoveSession: self.remove_session,
            EnableSession: self.enable_session,
            TestSession: self.test_session,
            ReplaceCredential: self.replace_credential,
            SetProxy: self.set_proxy,
            SetSession: self.change_session,
            DrainSession: self.drain_session,
        }.items():
            bus.answer(request)(handler)

    def take_creates(self) -> None:
        """Take creates from CMD, as the scheduler does."""
        self.bus.consume(CreateTask, concurrency=1)(self.create)

    async def create(self, command: CreateTask) -> None:
        self.created.append(command)
        shared = {n for n in CreateTask.model_fields if n in Task.model_fields}
        task = Task(
            id=command.task,
            status="queued",
            stage="waiting",
            revision=1,
            updated_at=command.created_at,
            **{n: getattr(command, n) for n in shared},
        )
        self.tasks[task.id] = self.on_create(task)
        await self.bus.emit(change_of(self.tasks[task.id]))

    def change(self, task: str, **fields: Any) -> Task:
        self.tasks[task] = self.tasks[task].model_copy(update=fields)
        return self.tasks[task]

    async def read_task(self, request: ReadTask) -> Task:
        self.asked.append(request)
        if request.task in self.hide_once:
            self.hide_once.discard(request.task)
            refuse(404, "task-not-found", "no such task")
        found = self._task(request.task)
        if request.seen_by not in {None, found.owner}:
            refuse(404, "task-not-found", "no such task")
        return found

    async def list_tasks(self, request: ListTasks) -> TaskPage:
        self.asked.append(request)
        again = {t.retry_of for t in self.tasks.values()}
        found = [
            task
            for task in sorted(self.tasks.values(), key=lambda t: t.id)
            if task.status in (request.statuses or {task.status})
            and request.retried in {None, task.id in again}
        ]
        counts = Stats(total=len(found)) if request.counted else None
        found = [task for task in found if task.id > (request.cursor or "")]
        page = tuple(found[: request.limit])
        more = page[-1].id if len(found) > request.limit else None
        self.on_listed()
        return TaskPage(tasks=page, cursor=more, counts=counts)

    async def delete_task(self, request: DeleteTask) -> Deleted:
        task = self._task(request.task)
        if task.status not in TERMINAL:
            refuse(409, "task-running", f"the task is {task.status}")
        del self.tasks[task.id]
        return Deleted(task=task.id, status=task.status)

    async def cancel_task(self, request: CancelTask) -> Cancelled:
        task = self._task(request.task)
        if task.status == "cancelled":
            return Cancelled(task=task, upstream_charged="unknown")
        if task.status in TERMINAL:
            refuse(409, "task-ended", f"the task is {task.status}")
        if task.id in self.refused:
            refuse(*self.refused[task.id], "no")
        task = self.change(task.id, status="cancelled", stage=None)
        return Cancelled(task=task, upstream_charged="unknown")

    async def resolve_task(self, request: ResolveTask) -> Task:
        self.asked.append(request)
        if self._task(request.task).stage != "held":
            refuse(409, "task-not-held", "the task is not held: it is generating")
        if request.action == "fail":
            return self.change(request.task, status="failed", stage=None)
        return self.change(request.task, stage="preparing")

    async def retry_task(self, request: RetryTask) -> Task:
        self.asked.append(request)
        old = self._task(request.task)
        if request.first and old.id in {t.retry_of for t in self.tasks.values()}:
            refuse(409, "task-retried", "there is a retry of it already")
        given = {"id": request.new_task, "status": "queued", "retry_of": old.id}
        given |= {n: v for n in ("job", "terms") if (v := getattr(request, n))}
        self.tasks[request.new_task] = old.model_copy(update=given)
        return self.tasks[request.new_task]

    async def stats(self, request: ReadStats) -> Stats:
        return Stats(total=len(self.tasks), queued=len(self.tasks))

    async def list_sessions(self, request: ListSessions) -> Sessions:
        return Sessions(sessions=tuple(self.sessions.values()))

    async def read_session(self, request: ReadSession) -> SessionReply:
        return SessionReply(session=self._session(request.id))

    async def add_session(self, request: AddSession) -> SessionReply:
        self.added.append(request)
        secret = request.credential.get_secret_value()
        lent = (s for s in self.sessions.values() if s.lent and request.lent)
        if known := next((s for s in lent if s.masked == mask(secret)), None):
            return SessionReply(session=known)
        if any(s.masked == mask(secret) for s in self.sessions.values()):
            refuse(409, "duplicate_session", "this credential is in the pool already")
        session = Session(
            id=f"s{len(self.sessions) + 1}",
            label=request.label,
            masked=mask(secret),
            region="cn",
            state="unchecked",
            max_active=request.max_active,
            lent=request.lent,
            created_at=now(),
            updated_at=now(),
        )
        self.sessions[session.id] = session
        await self.check(session.id)
        return SessionReply(session=session)

    async def test_session(self, request: TestSession) -> SessionReply:
        session = self._session(request.id)
        await self.check(session.id)
        return SessionReply(session=session)

    async def replace_credential(self, request: ReplaceCredential) -> SessionReply:
        self.asked.append(request)
        session = self._session(request.id)
        # Another check ends first, of the credential that is in use.
        await self.check(session.id, credential=1, rejected=None)
        if self.outcome == "active" and not self.rejected:
            secret = request.credential.get_secret_value()
            self.set_session(session.id, masked=mask(secret))
        await self.check(session.id, credential=2, rejected=self.rejected)
        return SessionReply(session=session, credential=2)

    async def set_proxy(self, request: SetProxy) -> SessionReply:
        self.asked.append(request)
        session = self._session(request.id)
        if not self.rejected:
            self.set_session(session.id, has_proxy=request.proxy is not None)
        await self.check(session.id, credential=2, rejected=self.rejected)
        return SessionReply(session=session, credential=2)

    async def change_session(self, request: SetSession) -> SessionReply:
        self.asked.append(request)
        given = request.model_dump(exclude={"id"}, exclude_none=True)
        return SessionReply(session=self.set_session(request.id, **given))

    async def drain_session(self, request: DrainSession) -> SessionReply:
        self._session(request.id)
        return SessionReply(session=self.set_session(request.id, state="draining"))

    async def enable_session(self, request: EnableSession) -> SessionReply:
        self._session(request.id)
        state = "unchecked" if request.enabled else "disabled"
        return SessionReply(session=self.set_session(request.id, state=state))

    async def remove_session(self, request: RemoveSession) -> SessionReply:
        session = self._session(request.id)
        if session.active:
            refuse(409, "session_busy", "2 tasks are unsettled on it")
        return SessionReply(session=self.sessions.pop(session.id))

    async def check(
        self, session: str, credential: int | None = None, rejected: str | None = None
    ) -> None:
        """Tell a check's outcome, if the test wants one."""
        if self.outcome is None:
            return
        self.checks += 1
        left = Credits(gift=60, vip=100) if self.outcome == "active" else None
        state = self.outcome if self.outcome != "wrong_region" else "expired"
        found = self.set_session(session, state=state, credits=left)
        await self.bus.emit(
            SessionChanged(
                session=session,
                n=self.checks,
                what="checked",
                label=found.label,
                state=found.state,
                credits=left,
                outcome=self.outcome,
                remedy=self.remedy,
                duplicate_of=self.duplicate_of,
                credential=credential,
                rejected=rejected,
            )
        )

    def set_session(self, session: str, **fields: Any) -> Session:
        self.sessions[session] = self.sessions[session].model_copy(update=fields)
        return self.sessions[session]

    def _task(self, task: str) -> Task:
        if task not in self.tasks:
            refuse(404, "task-not-found", "no such task")
        return self.tasks[task]

    def _session(self, session: str) -> Session:
        if session not in self.sessions:
            refuse(404, "not_found", "no such session")
        return self.sessions[session]


def change_of(task: Task, **fields: Any) -> TaskChanged:
    """Return the event by which the scheduler tells how a task stands."""
    shared = TaskChanged.model_fields.keys() & Task.model_fields.keys()
    given = {name: getattr(task, name) for name in shared} | {
        "task": task.id,
        "what": task.status,
        "at": task.updated_at,
        "model": task.job.model,
        "prompt": task.job.prompt,
    }
    return TaskChanged(**(given | fields))


def refuse(status: int, kind: str, detail: str) -> None:
    raise RequestRefusedError(Refusal(status=status, type=kind, detail=detail))


def mask(secret: str) -> str:
    return f"{secret[:4]}...{secret[-4:]}"


@pytest.fixture
def stand_in() -> type[StandIn]:
    """Give the class, for schedulers that a test starts itself."""
    return StandIn


@pytest.fixture
async def scheduler(nats, make_bus) -> AsyncIterator[StandIn]:
    """Give a scheduler that answers and takes creates."""
    await nats.provision()
    stand_in = StandIn(make_bus("scheduler"))
    stand_in.take_creates()
    await stand_in.bus.start()
    return stand_in


@pytest.fixture
def tasks(scheduler):
    """Have the scheduler know so many tasks that stand so, named a000, a001 …"""

    def make(count: int, status: str, letter: str) -> None:
        for n in range(count):
            name = f"{letter}{n:03}"
            scheduler.tasks[name] = Task(
                id=name,
                status=status,
                job=JOB,
                revision=1,
                created_at=now(),
                updated_at=now(),
            )

    return make


@pytest.fixture
async def beat(nats):
    """Say that services live: `await beat("signer", browser=True)`."""
    client = await nats.connect()

    async def say(*services: str, **state: Any) -> None:
        for service in services:
            body = {"service": service, "instance": "1", "at": now().isoformat()}
            await client.jetstream().publish(
                f"$KV.workers.{service}.1",
                json.dumps(body | state).encode(),
                headers={"Nats-TTL": "60"},
            )

    yield say
    await client.close()


@pytest.fixture
def all_beat(beat):
    """Say that every service lives, the gateway aside, which says it itself."""

    async def say(*, browser: bool = True) -> None:
        others = [s for s in SERVICES if s not in {"gateway-http", "signer"}]
        await beat(*others)
        await beat("signer", browser=browser)

    return say


class Running:
    """A running gateway and a client of it."""

    def __init__(self, app: Gateway, http: httpx.AsyncClient, blobs: Path) -> None:
        self.app = app
        self.http = http
        self.blobs = blobs

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.app.port}"

    def files(self) -> list[str]:
        """Everything that lies in the blob store."""
        found = (
            p.relative_to(self.blobs) for p in self.blobs.rglob("*") if p.is_file()
        )
        return sorted(map(str, found))

    def store(self, key: str, content: bytes) -> ResultRef:
        """Put a result where the downloader would."""
        from hashlib import sha256

        path = self.blobs / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return ResultRef(
            index=0,
            key=key,
            mime="video/mp4",
            size=len(content),
            sha256=sha256(content).hexdigest(),
        )


@pytest.fixture
def run_gateway(nats, tmp_path):
    """Run gateways: `async with run_gateway(public_url=...) as gateway`."""

    @asynccontextmanager
    async def run(
        patience: Patience | None = None,
        clock: Callable[[], datetime] = now,
        **settings: Any,
    ) -> AsyncIterator[Running]:
        given: dict[str, Any] = {
            "nats_url": nats.link.url,
            "nats_user": nats.link.user,
            "nats_password": nats.link.password,
            "data_dir": tmp_path / "data",
            "port": 0,
        }
        read = load(GatewaySettings, _env_file=None, **(given | settings))
        app = create_app(read, patience or Patience(accept=2, check=2), clock)
        await app.start()
        try:
            url = f"http://127.0.0.1:{app.port}"
            plain = httpx.AsyncClient(base_url=url, timeout=20, verify=PLAIN)
            async with plain as http:
                yield Running(app, http, tmp_path / "data" / "blobs")
        finally:
            async with asyncio.timeout(10):
                await app.stop()

    return run


@pytest.fixture
async def gateway(scheduler, all_beat, run_gateway) -> AsyncIterator[Running]:
    """Give a running gateway whose services all live, with a browser."""
    await all_beat()
    async with run_gateway() as running:
        yield running
