"""One gateway to crash: nats-server, the site, and the services over both.

Only what is to be killed starts anew for a run; server, site and the other services go
on. Several lanes share nothing.
"""

import asyncio
import json
import secrets
import shutil
import sqlite3
import sys
from contextlib import suppress
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any, Self

import httpx
import nats
from nats.aio.client import Client
from nats.js import JetStreamContext

from boundary import KILL, LOG
from contracts.provision import provision
from contracts.streams import streams
from crash_sweep.nursery import SERVICES
from support import Nats, free_port

START_SECONDS = 60.0
CAP = 6
EXISTS = 409
# A task is through in two seconds, and what a dead one leaves is taken up in two more.
TIMES = {
    "ACK_WAIT_SECS": "1.5",
    "ASK_SECS": "1",
    "POLL_MIN_SECS": "0.25",
    "POLL_INTERVAL_SECS": "0.25",
    "PERMIT_SECS": "2",
    "SUBMIT_TIMEOUT_SECS": "2.5",
    "LATE_SECS": "0.5",
    "SETTLE_SECS": "5.1",
    "RECONCILE_SECS": "1",
    "LEASE_SECS": "60",
    "UPLOAD_DEADLINE_SECS": "30",
    "DOWNLOAD_DEADLINE_SECS": "30",
}
SCALE = "0.12"
# Without dedupe, so that a second send of one submit_id is a second charge.
KNOBS = {"dedupe": False, "share_films": True, "link_seconds": 600, "sdk_delay_ms": 20}


@dataclass(frozen=True, order=True)
class Point:
    """Where a service is killed: at its n-th boundary, counted from its start."""

    fresh: bool
    """On an empty data folder, where a start does more."""
    service: str
    number: int
    side: str
    name: str = ""

    @property
    def kill(self) -> str:
        """What the service is told."""
        return f"{self.service}:{self.number}:{self.side}"

    def __str__(self) -> str:
        where = " on an empty folder" if self.fresh else ""
        return f"{self.kill} ({self.name}){where}"


class Lane:
    """While entered, everything runs; afterwards nothing of it is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.secret = secrets.token_hex(32)
        self.session = secrets.token_hex(16)
        self.site_url = ""
        self.site = httpx.AsyncClient(trust_env=False, timeout=30)
        self.api = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=15
        )
        self.deaths: list[str] = []
        self.data = folder / "data-0"
        self._number = 0
        self._client: Client | None = None
        self._site: asyncio.subprocess.Process | None = None
        self._nursery: asyncio.subprocess.Process | None = None
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._hearing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        (self.folder / "nats").mkdir(parents=True)
        (self.folder / "output").mkdir()
        self._nats = Nats(self.folder / "nats")
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for child in (self._nursery, self._site):
            if child and child.returncode is None:
                if child is self._nursery and child.stdin:
                    child.stdin.close()
                else:
                    child.kill()
                await child.wait()
        if self._hearing:
            self._hearing.cancel()
        with suppress(Exception):
            await asyncio.gather(self.api.aclose(), self.site.aclose())
        if self._client:
            with suppress(Exception):
                await self._client.close()
        self._nats.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _start(self) -> None:
        self._nats.start()
        python = sys.executable
        nursery = self._spawn(python, "-m", "crash_sweep.nursery", self.output)
        site = (python, "-m", "simulator", "--data", self.folder / "site")
        self._nursery, self._site = await asyncio.gather(
            nursery, self._spawn(*site, "--scale", SCALE, "--die-with-parent")
        )
        assert self._site.stdout
        line = (await self._site.stdout.readline()).decode()
        self.site_url = line.split()[-1]
        self.site.base_url = httpx.URL(self.site_url)
        self._hearing = asyncio.create_task(self._hear())
        await self._heard("ready")
        (await self.site.post("/_sim/settings", json=KNOBS)).raise_for_status()
        link = self._nats.link
        self._client = await nats.connect(
            link.url, user=link.user, password=link.password
        )
        await self.be_fresh({})

    async def _spawn(self, *command: str | Path) -> asyncio.subprocess.Process:
        errors = (self.output / "children.log").open("ab")
        with errors:
            return await asyncio.create_subprocess_exec(
                *map(str, command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for us, not for them
            )

    @property
    def output(self) -> Path:
        """Where everything writes what it has to say."""
        return self.folder / "output"

    @property
    def jetstream(self) -> JetStreamContext:
        """JetStream, as one who may do everything."""
        assert self._client
        return self._client.jetstream()

    # services

    async def be_fresh(self, environments: dict[str, dict[str, str]]) -> None:
        """Begin on an empty data folder with empty streams and one account."""
        for service in SERVICES:
            await self._order("stop", service)
        for stream in streams():
            with suppress(Exception):
                await self.jetstream.delete_stream(str(stream.name))
        await provision(self.jetstream, float(TIMES["ACK_WAIT_SECS"]))
        shutil.rmtree(self.data, ignore_errors=True)
        self._number += 1
        self.data = self.folder / f"data-{self._number}"
        self.session = secrets.token_hex(16)
        account = {
            "sessionid": self.session,
            "concurrency": 50,
            "credits": {"gift": 10_000_000},
        }
        (await self.site.post("/_sim/accounts", json=account)).raise_for_status()
        for service in SERVICES:
            await self.start(service, environments.get(service, {}))
        async with asyncio.timeout(START_SECONDS):
            await self._add_session()

    async def start(self, service: str, more: dict[str, str]) -> None:
        """Start a service anew; the one that runs is killed."""
        link = self._nats.link
        inherited = {k: v for k, v in environ.items() if not k.startswith("JIMENG_")}
        own = {
            "NATS_URL": link.url,
            "NATS_USER": str(link.user),
            "NATS_PASSWORD": str(link.password),
            "DATA_DIR": str(self.data),
            "SECRET_KEY_FILE": str(self.data / "secret.key"),
            "JIMENG_UPSTREAM": self.site_url,
            "PORT": str(self.port),
        }
        environment = inherited | own | TIMES | more
        await self._order("start", service, environment=environment)

    async def _add_session(self) -> None:
        await self.until_row("select 1 from lease where owner is not null")
        body = {"session_id": self.session, "label": "one", "max_active": CAP}
        while True:
            with suppress(httpx.HTTPError):
                answer = await self.api.post("/api/v1/sessions", json=body)
                if answer.is_success or answer.status_code == EXISTS:
                    break
            await asyncio.sleep(0.3)
        await self.until_row("select 1 from sessions where state = 'active'")

    async def _order(self, what: str, service: str, **more: Any) -> None:
        assert self._nursery
        assert self._nursery.stdin
        order = json.dumps({"do": what, "service": service} | more)
        self._nursery.stdin.write(order.encode() + b"\n")
        await self._heard(what)

    async def _hear(self) -> None:
        assert self._nursery
        assert self._nursery.stdout
        while line := await self._nursery.stdout.readline():
            told = json.loads(line)
            if told["event"] == "died":
                self.deaths.append(told["service"])
            else:
                self._told.put_nowait(told)

    async def _heard(self, event: str) -> None:
        async with asyncio.timeout(START_SECONDS):
            while (await self._told.get())["event"] != event:
                pass

    # looking

    def rows(self, statement: str, *values: str) -> list[dict[str, Any]]:
        """Read the scheduler's database, and only read it."""
        try:
            url = f"file:{self.data / 'gateway.db'}?mode=ro"
            connection = sqlite3.connect(url, uri=True, timeout=10)
        except sqlite3.OperationalError:
            return []
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement, values)]
        except sqlite3.OperationalError:  # it is only being made
            return []
        finally:
            connection.close()

    async def until_row(self, statement: str, *values: str) -> None:
        """Wait until there is such a row; raises TimeoutError."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                if self.rows(statement, *values):
                    return
                await asyncio.sleep(0.02)


def watching(log: Path, point: Point | None = None) -> dict[str, str]:
    """Return what makes a service write its boundaries down, and die at one."""
    return {LOG: str(log)} | ({KILL: point.kill} if point else {})
