"""The simulated site and a scheduler that answers, for the tests of the workers.

Each of their folders has a conftest.py that takes its fixtures from here.
"""

import asyncio
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from asgi_support import serving
from contracts.bus import Kept
from contracts.requests import Refusal, RequestRefusedError
from contracts.sessions import SessionChecked
from contracts.tasks import (
    Absent,
    Died,
    Generated,
    GenerationFailed,
    Progressed,
    Stored,
    StoreFailed,
    Uploaded,
    UploadFailed,
)
from contracts.workers import AskDue, Credential, DueAttempts, GetCredential
from jimeng import Account, Jimeng, Upstream, draft, fit
from runtime.settings import load
from simulator import DEMO_SESSIONS, Knobs
from simulator import Settings as SiteSettings
from simulator import create_app as create_site
from simulator.faults import Fault
from simulator.world import World

EVENTS = (
    Absent,
    Died,
    Generated,
    GenerationFailed,
    Progressed,
    SessionChecked,
    StoreFailed,
    Stored,
    UploadFailed,
    Uploaded,
)
SAYS = {".".join(kind.SUBJECT.split(".")[3:]): kind for kind in EVENTS}


@dataclass
class Site:
    """The simulated site: where it is, and what it has seen."""

    origin: str
    world: World

    def fault(self, kind, name, **more):
        self.world.faults.add(Fault(**({"kind": kind, "fault": name} | more)))

    def seen(self, kind):
        return self.world.traffic.counts[kind]

    async def submit(
        self, prompt="a cat", session="one", model="jimeng-video-3.0", **shape
    ):
        """Buy a video, or images, as the signer would; return the submit id."""
        account = account_of(session)
        submit_id = new()
        submission = draft(
            fit(prompt=prompt, model=model, **shape),
            (),
            submit_id=submit_id,
            account=account,
            now=datetime.now(UTC),
            ids=new,
        )
        async with Jimeng(account, Upstream(self.origin)) as client:
            await client.submit(submission)
        return submit_id

    async def finish(self, submit_id, session="one"):
        """Let time pass until a video is there."""
        account = self.world.accounts[account_of(session).sessionid.get_secret_value()]
        job = self.world.jobs[self.world.by_submit[account.uid, submit_id]]
        await self.world.studio.rendered(job)
        self.world.advance(60)
        async with Jimeng(account_of(session), Upstream(self.origin)) as client:
            await client.history([submit_id])  # success may come empty at first


def new():
    return str(uuid.uuid4())


SESSIONS = {"one": DEMO_SESSIONS[0], "two": DEMO_SESSIONS[1], "dead": "ab" * 16}


def account_of(session):
    return Account.parse(SESSIONS[session])


def credential_of(session, **more):
    account = account_of(session)
    given = {
        "session": session,
        "credential": 1,
        "sessionid": account.sessionid,
        "region": account.region,
        "web_id": account.web_id,
        "user_id": account.user_id,
    }
    return Credential(**(given | more))


class Scheduler:
    """Answers as the scheduler does, from memory, and hears what workers say."""

    def __init__(self, bus):
        self.bus = bus
        self.asked = asyncio.Queue()
        self.events = asyncio.Queue()
        self.due = lambda _: DueAttempts()
        self.proxy = None
        self.region = "cn"

    async def start(self):
        self.bus.answer(GetCredential)(self.credential)
        self.bus.answer(AskDue)(self.answer_due)
        await self.bus.start()
        await self.bus.client.subscribe("evt.>", cb=self.hear)

    async def credential(self, request: GetCredential):
        if request.session not in SESSIONS:
            refusal = Refusal(status=404, type="not-found", detail="no such session")
            raise RequestRefusedError(refusal)
        return credential_of(
            request.session,
            credential=request.credential or 1,
            region=self.region,
            proxy=self.proxy,
        )

    async def answer_due(self, request: AskDue):
        await self.asked.put(request)
        return self.due(request)

    async def hear(self, message):
        what = ".".join(message.subject.split(".")[3:])
        await self.events.put(SAYS[what].parse(message.data))

    async def next(self, kind=None):
        """Return the next event, or the next of a kind."""
        async with asyncio.timeout(15):
            while True:
                event = await self.events.get()
                if kind is None or isinstance(event, kind):
                    return event

    async def wants(self, command):
        """Send a command, once the last one is done, and return what is said of it."""
        async with asyncio.timeout(10):
            # Nothing tells of an ack.
            while await self.bus.send(command, new()) != Kept.STORED:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return await self.next()

    async def left(self):
        """Return how many commands there still are."""
        return (await self.bus.jetstream.stream_info("CMD")).state.messages

    async def dead(self):
        """Return how many dead letters there are."""
        return (await self.bus.jetstream.stream_info("DLQ")).state.messages


@asynccontextmanager
async def simulated(folder, **knobs):
    """Run the site in a folder; a submit there needs no page."""
    knobs = Knobs(**({"require_abogus": []} | knobs))
    settings = SiteSettings(data=folder, knobs=knobs)
    settings.data.mkdir()
    world = World(settings)
    async with serving(create_site(settings, world)) as origin:
        yield Site(origin, world)


@pytest.fixture
async def site(tmp_path):
    async with simulated(tmp_path / "site") as site:
        yield site


@pytest.fixture
async def scheduler(nats, make_bus):
    await nats.provision()
    scheduler = Scheduler(make_bus("scheduler"))
    await scheduler.start()
    return scheduler


def read_settings(kind, nats, folder, **more):
    given = {
        "_env_file": None,
        "nats_url": nats.link.url,
        "nats_user": nats.link.user,
        "nats_password": nats.link.password,
        "data_dir": folder / "data",
    }
    return load(kind, **(given | more))


@asynccontextmanager
async def running(app):
    """Run a service for as long as the block lasts."""
    await app.start()
    try:
        yield app
    finally:
        await app.stop()
