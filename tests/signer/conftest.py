"""The simulated site, a scheduler that answers the signer, and a signer at work."""

import asyncio
import uuid
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from asgi_support import serving
from browser_support import found_browser
from contracts.tasks import Refused, SubmitInPage, SubmitPlain, Submitted, Unknown
from contracts.values import Job
from contracts.workers import AskPermit, Credential, GetCredential, Permit
from jimeng import Account, Upstream
from runtime.settings import load
from signer.app import create_app
from signer.browser import Browser, Limits
from signer.exit import Fence
from signer.settings import Settings
from simulator import DEMO_SESSIONS, Knobs
from simulator import Account as SiteAccount
from simulator import Settings as SiteSettings
from simulator import create_app as create_site
from simulator.world import World

SESSIONS = dict(zip(("one", "two"), DEMO_SESSIONS, strict=True))
SAYS = {"submitted": Submitted, "refused": Refused, "unknown": Unknown}


@dataclass
class Site:
    """The simulated site: where it is, and what it has seen."""

    origin: str
    world: World

    @property
    def upstream(self):
        return Upstream(self.origin)

    def submits(self):
        return self.world.traffic.counts["submit.arrived"]

    async def submit_arrives(self, count=1):
        assert await self.world.traffic.wait("submit.arrived", count, 10) == count

    def fault(self, name, **more):
        from simulator.faults import Fault

        more = {"kind": "submit", "times": 1, "seconds": 0.3} | more
        self.world.faults.add(Fault(fault=name, **more))


@pytest.fixture
async def site(tmp_path):
    settings = SiteSettings(
        data=tmp_path / "site",
        accounts=[
            SiteAccount(sessionid=session, uid=name, concurrency=100)
            for name, session in SESSIONS.items()
        ],
        knobs=Knobs(sdk_delay_ms=20),
        renders=0,
    )
    settings.data.mkdir()
    world = World(settings)
    async with serving(create_site(settings, world)) as origin:
        yield Site(origin, world)


@pytest.fixture(scope="session")
def chromium_path():
    """Where a browser is; the test is skipped where there is none."""
    return found_browser()


@pytest.fixture
def account():
    """Make the account of a session."""
    return lambda session="one", **more: Account.parse(SESSIONS[session], **more)


@pytest.fixture
async def browser(site, chromium_path, tmp_path):
    async with make_browser(site, chromium_path, tmp_path) as browser:
        yield browser


def make_browser(site, path, folder, *, contexts=8, idle_seconds=600, ready_seconds=10):
    return Browser(
        path,
        site.upstream,
        Fence(site.origin, ()),
        Limits(contexts, idle_seconds, ready_seconds),
        folder / "logs" / "chromium.log",
    )


@pytest.fixture
def browser_with(site, chromium_path, tmp_path):
    """Make a browser with limits of one's own, or of another program."""

    def make(path=chromium_path, **limits):
        return make_browser(site, path, tmp_path, **limits)

    return make


@pytest.fixture
def program(tmp_path):
    """Give a program that can be run; what it does is its text's to say."""

    def write(text):
        draft = tmp_path / "draft"
        draft.write_text(f"#!/bin/sh\n{text}\n")
        draft.chmod(0o755)
        return draft.rename(tmp_path / "a-browser")

    return write


class Scheduler:
    """Answers as the scheduler does, from memory, and hears what the signer says."""

    def __init__(self, bus):
        self.bus = bus
        self.asked = []
        self.granted = set()
        self.answer = lambda _: None
        self.events = asyncio.Queue()
        self.told = Counter()
        self.proxies = {}

    async def start(self):
        self.bus.answer(GetCredential)(self.credential)
        self.bus.answer(AskPermit)(self.permit)
        await self.bus.start()
        await self.bus.client.subscribe("evt.task.*.signer.*", cb=self.hear)

    async def credential(self, request: GetCredential):
        account = Account.parse(SESSIONS[request.session])
        return Credential(
            session=request.session,
            credential=1,
            sessionid=account.sessionid,
            region=account.region,
            web_id=account.web_id,
            user_id=account.user_id,
            proxy=self.proxies.get(request.session),
        )

    async def permit(self, request: AskPermit):
        """Once for each send, as the real one; or what a test wants said."""
        self.asked.append(request)
        if answer := self.answer(request):
            return answer
        key = (request.task, request.attempt, request.send)
        if key in self.granted:
            return Permit(granted=False, reason="already_granted")
        self.granted.add(key)
        return Permit(granted=True, valid_seconds=15)

    async def hear(self, message):
        what = message.subject.rpartition(".")[2]
        self.told[what] += 1
        kind = SAYS.get(what)
        await self.events.put(kind.parse(message.data) if kind else message.data)

    async def next(self):
        return await asyncio.wait_for(self.events.get(), 20)

    async def wants(self, command, *, message_id=None):
        """Send a command and return what the signer says of it."""
        await self.bus.send(command, message_id or str(uuid.uuid4()))
        return await self.next()


@pytest.fixture
async def scheduler(nats, make_bus):
    await nats.provision()
    scheduler = Scheduler(make_bus("scheduler"))
    await scheduler.start()
    return scheduler


@pytest.fixture
def settings(nats, site, tmp_path):
    """Make the signer's settings."""

    def make(**more):
        given = {
            "_env_file": None,
            "nats_url": nats.link.url,
            "nats_user": nats.link.user,
            "nats_password": nats.link.password,
            "data_dir": tmp_path / "data",
            "jimeng_upstream": site.origin,
        }
        return load(Settings, **(given | more))

    return make


@pytest.fixture
def running(settings):
    """Run a signer for as long as the block lasts."""

    @asynccontextmanager
    async def run(candidates=None, **more):
        app = create_app(settings(**more), candidates)
        await app.start()
        try:
            yield app
        finally:
            await app.stop()

    return run


@pytest.fixture(params=["page", "plain"])
def way(request):
    """Run a test once for each of the two ways to submit."""
    if request.param == "page":
        request.getfixturevalue("chromium_path")
    return request.param


@pytest.fixture
def wish(way, in_page, plain):
    """Make a command of one way."""
    return in_page if way == "page" else plain


@pytest.fixture
def working(way, running, scheduler):
    """Run a signer that can go that way, with the browser only where it must be."""
    return lambda **more: running(None if way == "page" else [], **more)


@pytest.fixture
async def worker(working):
    async with working() as app:
        yield app


@pytest.fixture
async def signer(running, chromium_path, scheduler):
    async with running() as app:
        yield app


def _command(kind, model, session="one", prompt="a cat", **more):
    number = uuid.uuid4()
    return kind(
        task=str(number),
        attempt=1,
        session=session,
        job=Job(model=model, prompt=prompt, duration=5, ratio="16:9"),
        submit_id=str(uuid.uuid4()),
        **more,
    )


@pytest.fixture
def in_page():
    """Make a command for a model that is submitted inside the page."""
    return lambda *a, **k: _command(SubmitInPage, "seedance-2.0-fast", *a, **k)


@pytest.fixture
def plain():
    """Make a command for a model that is submitted by a plain request."""
    return lambda *a, **k: _command(SubmitPlain, "jimeng-video-3.0", *a, **k)
