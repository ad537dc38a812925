"""The gateway as separate processes over a real nats-server and the simulated site.

Each service reaches NATS through a proxy of its own, and all reach the site through
one. Which services run, and how many of each, is one table.
"""

import asyncio
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx
import nats
from nats.aio.client import Client

from chaos import processes
from chaos.processes import Unit
from chaos.proxy import Proxy
from chaos.times import SETTINGS, Times
from contracts.provision import provision
from standalone.nats_server import find_binary
from standalone.rights import USERS, rights
from support import free_port

ACCOUNTS = 8
CAP = 2
START_SECONDS = 60.0
SLOT_SECONDS = 0.05
EXISTS = 409
DATA_MIB, STORE_MIB = 256, 256


class Cluster:
    """While entered, everything runs; afterwards nothing of it is left."""

    def __init__(self, folder: Path, times: Times, *, standby: bool = False) -> None:
        self.folder = folder
        self.times = times
        self.data = folder / "data"
        self.store = folder / "nats"
        self.outputs = folder / "output"
        self.passwords = {user: secrets.token_hex(16) for user in USERS}
        self.sessions = [secrets.token_hex(16) for _ in range(ACCOUNTS)]
        self.secret = secrets.token_hex(32)
        self.port, self.nats_port = free_port(), free_port()
        self.instances = dict.fromkeys(SETTINGS, 1)
        self.instances["scheduler"] += standby
        self.units: dict[str, Unit] = {}
        self.links: dict[str, Proxy] = {}
        self.small = False
        self.clock_library = _clock_library(folder)
        self.site_link: Proxy | None = None
        self.site_url = ""
        self.site: httpx.AsyncClient | None = None
        self.api = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30
        )
        self.client: Client | None = None
        self.watcher: asyncio.Task[None] | None = None

    @property
    def planned(self) -> dict[str, str]:
        """Name of each unit -> its service."""
        return {
            service if number == 1 else f"{service}-{number}": service
            for service, count in self.instances.items()
            for number in range(1, count + 1)
        }

    @property
    def services(self) -> list[str]:
        """The units that are services."""
        return [name for name in self.units if name not in {"nats", "site"}]

    @property
    def canaries(self) -> dict[str, str]:
        """What must be seen nowhere, by name."""
        accounts = {f"session {i}": s for i, s in enumerate(self.sessions, 1)}
        users = {f"password of {u}": p for u, p in self.passwords.items()}
        return accounts | users | {"SECRET_KEY": self.secret}

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _start(self) -> None:
        processes.adopt_orphans()
        for folder in (self.data, self.store, self.outputs, self.folder / "tmp"):
            folder.mkdir(parents=True)
        if processes.private_mounts():
            self.small = processes.mount_small(self.data, DATA_MIB)
            processes.mount_small(self.store, STORE_MIB)
        await self._start_nats()
        await self._start_site()
        for name, service in self.planned.items():
            await self._start_service(service, name)
        await self.wait_ready(START_SECONDS)
        for number, session in enumerate(self.sessions, 1):
            wanted = {"session_id": session, "label": f"a{number}", "max_active": CAP}
            added = await self.api.post("/api/v1/sessions", json=wanted)
            if added.status_code != EXISTS:  # an answer that came late, asked again
                added.raise_for_status()

    async def close(self) -> None:
        """End everything, the services first, and take the file systems away."""
        with suppress(Exception):
            await self.api.aclose()
        if self.watcher:
            self.watcher.cancel()
        if self.site:
            await self.site.aclose()
        if self.client:
            with suppress(Exception):
                await self.client.close()
        stopping = [unit.stop() for name, unit in self.units.items() if name != "nats"]
        await asyncio.gather(*stopping, return_exceptions=True)
        if "nats" in self.units:
            await self.units["nats"].stop()
        for proxy in (*self.links.values(), self.site_link):
            if proxy:
                await proxy.close()
        processes.end_all_below()
        for folder in (self.data, self.store) if self.small else ():
            processes.unmount(folder)

    # parts

    def _unit(self, name: str, command: list[str], **environment: str) -> Unit:
        base = {k: v for k, v in os.environ.items() if not k.startswith("JIMENG_")}
        base |= {"TMPDIR": str(self.folder / "tmp")}
        unit = Unit(
            name=name,
            command=command,
            environment=base | environment,
            output=self.outputs / f"{name}.log",
            folder=self.folder,
        )
        self.units[name] = unit
        return unit

    async def _start_nats(self) -> None:
        config = self.folder / "nats.conf"
        config.write_text(_nats_config(self.nats_port, self.store, self.passwords))
        await self._unit("nats", [find_binary(None), "-c", str(config)]).start()
        await self.nats_ready()
        self.client = await nats.connect(
            f"nats://127.0.0.1:{self.nats_port}",
            user="admin",
            password=self.passwords["admin"],
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,
            error_cb=_quiet,
        )
        await provision(self.client.jetstream(), self.times.ack_wait)
        await self.client.subscribe("$KV.workers.>", cb=self._beat)
        self.watcher = asyncio.create_task(self._watch_slots())

    async def nats_ready(self) -> None:
        """Wait until the server greets."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                with suppress(OSError):
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", self.nats_port
                    )
                    greeting = await reader.readline()
                    writer.close()
                    if greeting.startswith(b"INFO") and (pid := self.units["nats"].pid):
                        self.units["nats"].ready(pid)
                        return
                await asyncio.sleep(0.01)

    async def _beat(self, message: Any) -> None:
        with suppress(ValueError):
            pid = json.loads(message.data or b"{}").get("pid")
            for unit in self.units.values():
                if pid and unit.pid == pid:
                    unit.ready(pid)

    async def _watch_slots(self) -> None:
        """A scheduler is back with its slot: one that waits for its turn beats not."""
        while True:
            await asyncio.sleep(SLOT_SECONDS)
            units = [
                self.units[n]
                for n, s in self.planned.items()
                if s == "scheduler" and n in self.units
            ]
            if any(unit.missing for unit in units):
                there = self.slots()
                for unit in units:
                    if unit.name in there and (pid := unit.pid):
                        unit.ready(pid)

    async def _start_site(self) -> None:
        port = free_port()
        scale = f"{1 / self.times.speed:g}"
        command = [sys.executable, "-m", "simulator", "--port", str(port)]
        state = ["--data", str(self.folder / "site"), "--scale", scale]
        await self._unit("site", [*command, *state]).start()
        self.site = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30
        )
        async with asyncio.timeout(START_SECONDS):
            while True:
                with suppress(httpx.HTTPError):
                    await self.site.get("/_sim/health")
                    break
                await asyncio.sleep(0.05)
        knobs = {"dedupe": False, "share_films": True, "link_seconds": 600}
        (await self.site.post("/_sim/settings", json=knobs)).raise_for_status()
        for session in self.sessions:
            account = {
                "sessionid": session,
                "concurrency": 50,  # more than the cap must show, not be refused
                "credits": {"gift": 10_000_000},
            }
            (await self.site.post("/_sim/accounts", json=account)).raise_for_status()
        self.site_link = Proxy(port)
        self.site_url = f"http://127.0.0.1:{await self.site_link.open()}"

    async def _start_service(self, service: str, name: str) -> None:
        link = self.links[name] = Proxy(self.nats_port)
        environment = self.times.environment | {
            "NATS_URL": f"nats://127.0.0.1:{await link.open()}",
            "NATS_USER": service,
            "NATS_PASSWORD": self.passwords[service],
            "DATA_DIR": str(self.data),
            "MIN_FREE_DISK": "0",  # ours is small, and is to be filled
            "SECRET_KEY": self.secret,
            "JIMENG_UPSTREAM": self.site_url,
            "PORT": str(self.port),
        }
        if self.clock_library:
            self.clock_file(name).write_text("0\n")
            environment |= {
                "LD_PRELOAD": self.clock_library,
                "CLOCK_FILE": str(self.clock_file(name)),
            }
        module = service.replace("-", "_")
        await self._unit(name, [sys.executable, "-m", module], **environment).start()

    def clock_file(self, name: str) -> Path:
        """The file that says how wrong a unit's clock is."""
        return self.folder / f"{name}.clock"

    def holder(self) -> str | None:
        """The scheduler that holds the lease, while it lives."""
        with suppress(sqlite3.Error):
            for row in database(self, "select owner from lease"):
                slots = self.slots()
                return next((n for n in slots if slots[n] == row["owner"]), None)
        return None

    def epoch(self) -> int:
        """How often a scheduler has taken the lease; 0 while that cannot be read."""
        with suppress(sqlite3.Error):
            return max(
                (r["epoch"] for r in database(self, "select epoch from lease")),
                default=0,
            )
        return 0

    def slots(self) -> dict[str, str]:
        """The schedulers that are at work or wait for it -> their slot's name."""
        found = {}
        for name in (n for n, s in self.planned.items() if s == "scheduler"):
            with suppress(OSError):
                for entry in Path(f"/proc/{self.units[name].pid}/fd").iterdir():
                    if (file := entry.resolve()).match("scheduler-*.lock"):
                        found[name] = file.read_text()
        return found

    async def wait_ready(self, seconds: float) -> None:
        """Wait until the gateway says that every service lives."""
        last = ""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    with suppress(httpx.HTTPError):
                        answer = await self.api.get("/readyz")
                        last = answer.text
                        if answer.status_code == 200:
                            return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise RuntimeError(f"not ready within {seconds:g} s: {last}") from None


def database(cluster: Cluster, statement: str) -> list[dict[str, Any]]:
    """Read the scheduler's database, and only read it."""
    url = f"file:{cluster.data / 'gateway.db'}?mode=ro"
    with sqlite3.connect(url, uri=True, timeout=10) as connection:
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute(statement)]
    connection.close()
    return found


def _nats_config(port: int, store: Path, passwords: dict[str, str]) -> str:
    users = []
    for name, password in passwords.items():
        user: dict[str, object] = {"user": name, "password": password}
        if allowed := rights(name):
            user["permissions"] = allowed
        users.append(json.dumps(user))
    return "\n".join(
        [
            f"listen: 127.0.0.1:{port}",
            "max_payload: 1MB",
            f"jetstream {{ store_dir: {json.dumps(str(store))}, max_file: 20G",
            "  sync_interval: always }",
            "authorization { users: [",
            *users,
            "] }",
            "",
        ]
    )


def _clock_library(folder: Path) -> str | None:
    """Compile what makes a clock wrong; None without a compiler."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        return None
    library = str(folder / "clock.so")
    source = str(Path(__file__).with_name("clock.c"))
    made = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library, source],
        check=False,
        capture_output=True,
    )
    return library if made.returncode == 0 else None


async def _quiet(_error: Exception) -> None:
    """Tell nothing: that NATS is away is what a storm is for."""
