"""A gateway with sign-in, a real scheduler and NATS, and hands that play the workers.

Nobody here dials what a request names: uploader, notifier and poller do not run.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import httpx

from contracts import tasks as said
from contracts.bus import Bus
from contracts.ending import end
from contracts.message import now
from contracts.sessions import CheckSession, Credits, SessionChecked
from contracts.values import Item, ResultRef
from contracts.workers import AskPermit
from gateway_http.app import create_app as gateway
from gateway_http.parts import Patience
from gateway_http.settings import GatewaySettings
from runtime.heartbeat import SERVICES
from runtime.service import fatal
from runtime.settings import load
from scheduler.app import create_app as scheduler
from scheduler.settings import SchedulerSettings
from support import PLAIN, Nats

TOKEN = "the-token-of-who-asks-by-machine-0123456789"
FILM = bytes(range(256)) * 40
POOL = 2
BEAT_SECONDS = 3


@dataclass(frozen=True)
class Place:
    """Where it runs, and the keys that open it."""

    url: str
    admin: str
    key: str
    folder: Path


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Place]:
    """Run all of it below a folder."""
    async with AsyncExitStack() as closing:
        nats = Nats(folder)
        nats.start()
        closing.callback(nats.kill)
        await nats.provision()
        beating = asyncio.create_task(_beat(nats))
        closing.push_async_callback(end, beating)
        link = nats.link
        where = {"nats_url": link.url, "nats_user": link.user}
        where |= {"nats_password": link.password}
        store = folder / "gateway" / "blobs"
        for app in (
            scheduler(_settings(SchedulerSettings, folder / "scheduler", where)),
            hands := Hands(Bus("hands", link, fatal=fatal), store),
            served := gateway(
                _settings(
                    GatewaySettings,
                    folder / "gateway",
                    where | {"port": 0, "auth_enabled": True, "admin_token": TOKEN},
                ),
                Patience(accept=5, check=3, wait=30),
            ),
        ):
            await app.start()
            closing.push_async_callback(app.stop)
        assert hands.bus.connected
        url = f"http://127.0.0.1:{served.port}"
        yield Place(url, TOKEN, await _filled(url), folder)


def _settings(kind, folder, where):
    return load(kind, _env_file=None, data_dir=folder, **where)


async def _beat(nats: Nats) -> None:
    """Say that every service lives, again and again."""
    client = await nats.connect()
    while True:
        for service in SERVICES:
            told = {"service": service, "instance": "1", "at": now().isoformat()}
            await client.jetstream().publish(
                f"$KV.workers.{service}.1",
                json.dumps(told | {"browser": True}).encode(),
                headers={"Nats-TTL": "60"},
            )
        await asyncio.sleep(BEAT_SECONDS)


async def _filled(url: str) -> str:
    """Add accounts and a key; return the key."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    asking = httpx.AsyncClient(base_url=url, headers=headers, verify=PLAIN, timeout=30)
    async with asking as http:
        for n in range(POOL):
            body = {"session_id": f"{n:032x}", "max_active": 50}
            answer = await http.post("/api/v1/sessions", json=body)
            assert answer.status_code == 201, answer.text
        made = await http.post("/api/v1/keys", json={"name": "k", "rate_limit": 0})
        return str(made.json()["key"]["key"])


class Hands:
    """Every worker: what is asked for comes to a good end at once."""

    def __init__(self, bus: Bus, store: Path) -> None:
        self.bus = bus
        self._store = store
        self._checks = 0
        for kind in (said.SubmitPlain, said.SubmitInPage):
            bus.consume(kind, concurrency=4)(self.submit)
        bus.consume(said.UploadReferences, concurrency=4)(self.upload)
        bus.consume(CheckSession, concurrency=4)(self.check)
        bus.consume(said.StoreResults, concurrency=4)(self.keep)
        for kind in (said.PollSession, said.DeleteFiles, said.DeleteResults):
            bus.consume(kind, concurrency=4)(self.pass_over)

    async def start(self) -> None:
        await self.bus.start()

    async def stop(self) -> None:
        await self.bus.stop()

    async def pass_over(self, command) -> None:
        """Nothing is to be done."""

    async def check(self, command: CheckSession) -> None:
        """Find the account well."""
        self._checks += 1
        await self.bus.emit(
            SessionChecked(
                session=command.session,
                credential=command.credential,
                outcome="active",
                credits=Credits(gift=10_000_000),
                n=self._checks,
                upstream_uid=command.session,
            )
        )

    async def upload(self, command: said.UploadReferences) -> None:
        """Bring the references to the site; what URLs name is fetched by nobody."""
        there = tuple({"uri": file.key} for file in command.files)
        one = {"task": command.task, "attempt": command.attempt}
        await self.bus.emit(said.Uploaded(**one, materials=there))

    async def submit(self, command: said.Submit) -> None:
        """Send it, and have the site make it."""
        asked = AskPermit(
            task=command.task,
            attempt=command.attempt,
            send=command.send,
            nonce="one",
            submit_id=command.submit_id,
            body_hash="h",
        )
        if not (await self.bus.ask(asked)).granted:
            return
        one = {"task": command.task, "attempt": command.attempt}
        upstream = str(int.from_bytes(command.task.encode()[-6:]))
        await self.bus.emit(said.Submitted(**one, n=command.send, upstream_id=upstream))
        item = Item(id="i", urls=("https://films.example/v",))
        await self.bus.emit(said.Generated(**one, n=2, items=(item,)))

    async def keep(self, command: said.StoreResults) -> None:
        """Store a film."""
        key = f"{command.task}/result-0"
        path = self._store / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILM)
        result = ResultRef(
            index=0,
            key=key,
            mime="image/png" if command.kind == "image" else "video/mp4",
            size=len(FILM),
            sha256=sha256(FILM).hexdigest(),
        )
        one = {"task": command.task, "attempt": command.attempt}
        await self.bus.emit(said.Stored(**one, results=(result,)))
