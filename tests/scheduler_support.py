"""A running scheduler, and the hands that play every other service."""

import asyncio
from datetime import UTC, datetime

from contracts import pool, workers
from contracts import requests as asked
from contracts import tasks as said
from contracts.sessions import CheckSession, Credits, SessionChanged, SessionChecked
from contracts.tasks import CreateTask, TaskChanged
from contracts.values import Job
from runtime import hooks
from runtime.sealing import Ring, root_secret
from runtime.settings import load
from scheduler.app import create_app
from scheduler.settings import SchedulerSettings

SECRET = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)


class Stage:
    """A running scheduler, and the hands that play every other service."""

    def __init__(self, nats, make_bus, until, tmp_path, deaf=(), **settings):
        self.deaf = deaf
        self.settings = {"poll_min_secs": 0.1, "reconcile_secs": 0.3} | settings
        self.nats = nats
        self.until = until
        self.make_bus = make_bus
        self.data = tmp_path / "data"
        self.commands = asyncio.Queue()
        self.events = asyncio.Queue()
        self.told = []
        self.checks = 0

    async def __aenter__(self):
        await self.nats.provision()
        await self.start_scheduler()
        self.hands = self.make_bus("hands")
        for kind in (
            said.UploadReferences,
            said.SubmitPlain,
            said.SubmitInPage,
            said.PollSession,
            said.StoreResults,
            said.DeleteFiles,
            said.DeleteResults,
            CheckSession,
        ):
            if kind not in self.deaf:
                self.hands.consume(kind, concurrency=4)(self.commands.put)
        await self.hands.start()

        async def take(message):
            await self.events.put(TaskChanged.parse(message.data))

        async def note(message):
            self.told.append(SessionChanged.parse(message.data))

        await self.hands.client.subscribe("evt.task.*.scheduler.*", cb=take)
        await self.hands.client.subscribe("evt.session.*.scheduler.*", cb=note)
        await self.hands.client.flush()
        return self

    async def __aexit__(self, *_):
        await self.app.stop()

    async def start_scheduler(self, **more):
        link = self.nats.link
        settings = load(
            SchedulerSettings,
            nats_url=link.url,
            nats_user=link.user,
            nats_password=link.password,
            data_dir=self.data,
            **(self.settings | more),
        )
        self.app = create_app(settings)
        await self.app.start()

    async def next(self, kind):
        async with asyncio.timeout(10):
            while not isinstance(command := await self.commands.get(), kind):
                pass
        return command

    async def status(self, wanted):
        async with asyncio.timeout(10):
            while (event := await self.events.get()).status != wanted:
                pass
        return event

    async def session(self, secret=SECRET, outcome="active", uid="77"):
        wish = pool.AddSession(credential=secret, label="mine")
        session = (await self.hands.ask(wish)).session
        await self.found(outcome, upstream_uid=uid)
        return session.id

    async def found(self, outcome="active", credential=None, **more):
        """Answer the next check, also as one of another credential."""
        check = await self.next(CheckSession)
        self.checks += 1
        await self.hands.emit(
            SessionChecked(
                session=check.session,
                credential=credential or check.credential,
                outcome=outcome,
                credits=Credits(gift=60),
                n=self.checks,
                **more,
            )
        )
        return check

    async def tells(self, what, **wanted):
        """Await an event of a session with these values."""

        def seen():
            return next(
                (
                    event
                    for event in self.told
                    if event.what == what
                    and all(getattr(event, k) == v for k, v in wanted.items())
                ),
                None,
            )

        return await self.until(seen)

    async def look(self, session):
        """Return a session as operators see it."""
        return (await self.hands.ask(pool.ReadSession(id=session))).session

    async def runs(self, task="t1"):
        """Create a task and lead it to the site; return its attempt's command."""
        await self.create(task)
        submit = await self.next(said.SubmitPlain)
        assert (await self.permit(submit)).granted
        one = {"task": task, "attempt": submit.attempt}
        await self.hands.emit(said.Submitted(**one, n=1, upstream_id=f"7{task[1:]}"))
        await self.status("polling")
        return submit

    async def refuse(self, submit, code):
        """Refuse a permitted send with a code of the site."""
        one = {"task": submit.task, "attempt": submit.attempt, "n": submit.send}
        await self.hands.emit(said.Refused(**one, upstream_code=code, detail="words"))

    async def ends(self, submit):
        """Let a job end at the site, without a result."""
        one = {"task": submit.task, "attempt": submit.attempt, "n": 9}
        no = said.GenerationFailed(**one, upstream_code="2038", detail="no")
        await self.hands.emit(no)

    async def create(self, task="t1", **more):
        job = Job(model="jimeng-video-3.0", prompt="a fox", duration=5, ratio="16:9")
        command = CreateTask(task=task, job=job, created_at=datetime.now(UTC), **more)
        return await self.hands.send(command, f"create:{task}")

    def webhook(self, url, task="t1", secret=None):
        """Seal a webhook as the gateway does."""
        root = root_secret(None, self.data / "secret.key")
        hook = hooks.Hook(url, secret, "http://gateway.example")
        return hooks.seal(Ring(hooks.PURPOSE, root), hook, task, url)

    async def permit(self, submit, nonce="one", body_hash="h"):
        return await self.hands.ask(
            workers.AskPermit(
                task=submit.task,
                attempt=submit.attempt,
                send=submit.send,
                nonce=nonce,
                submit_id=submit.submit_id,
                body_hash=body_hash,
            )
        )

    async def taken(self, count):
        async def all_there():
            return (await self.hands.ask(asked.ReadStats())).total == count

        await self.until(all_there)

    async def read(self, task="t1"):
        return await self.hands.ask(asked.ReadTask(task=task))
