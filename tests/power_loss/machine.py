"""The machine whose power is cut: a disk of its own, and `jimeng up` on it.

The simulated site stands outside: what it was paid does not come undone by a cut.
"""

import asyncio
import json
import os
import secrets
import signal
import sqlite3
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx
import nats
from nats.aio.client import Client

from chaos import processes
from power_loss.disk import Habits
from standalone.nats_server import find_binary
from support import free_port

ACCOUNTS, CAP = 8, 3
SITE_SECONDS, MOUNT_SECONDS = 30.0, 20.0
EXISTS = 409
TESTS = Path(__file__).parent.parent
NO_BROWSER = "/bin/false"  # none is needed here, and none shall be found
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Short, but a permit must not lapse each time on a busy machine: five minutes of pause
# follow the third. SETTLE_SECS is at its floor; each cut may cost a task one send.
PACE = {
    "PERMIT_SECS": "5",
    "SUBMIT_TIMEOUT_SECS": "2",
    "LATE_SECS": "1",
    "SETTLE_SECS": "8.1",
    "MAX_SENDS": "10",
    "ACK_WAIT_SECS": "3",
    "ASK_SECS": "2",
    "MIN_FREE_DISK": "0",
    "POLL_INTERVAL_SECS": "0.5",
    "POLL_MIN_SECS": "0.5",
    "LEASE_SECS": "1",
    "RECONCILE_SECS": "1",
    "UPLOAD_DEADLINE_SECS": "30",
    "DOWNLOAD_DEADLINE_SECS": "60",
}


class CannotStartError(Exception):
    """After a cut the gateway does not start any more; the text is its last words."""


class Machine:
    """One data folder from its first start on. While entered, its site runs."""

    def __init__(self, folder: Path, *, weak: bool = False) -> None:
        self.folder = folder
        self.weak = weak
        self.backing, self.mount = folder / "backing", folder / "disk"
        self.data = self.mount / "data"
        self.outputs = folder / "output"
        self.sessions = [secrets.token_hex(16) for _ in range(ACCOUNTS)]
        self.canaries: dict[str, str] = {}
        self.port = free_port()
        self.api = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=10
        )
        self.may_be_asked = asyncio.Event()
        self.site: httpx.AsyncClient | None = None
        self.client: Client | None = None
        self._children: dict[str, asyncio.subprocess.Process] = {}

    async def __aenter__(self) -> Self:
        for folder in (self.backing, self.mount, self.outputs):
            folder.mkdir(parents=True)
        (self.folder / "boot_id").touch()
        processes.bind(self.folder / "boot_id", BOOT_ID)
        await self._start_site()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()
        await self.api.aclose()
        if self.site:
            await self.site.aclose()
        await self._kill("site")
        processes.unmount(BOOT_ID)

    # power

    async def mount_disk(self, habits: Habits) -> None:
        """Mount what survived; it is another boot."""
        (self.folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
        options = ["--names", habits.names, "--early", str(habits.early)]
        options += ["--seed", str(habits.seed)]
        await self._spawn(
            "disk", "power_loss.mounted", str(self.backing), str(self.mount), *options
        )
        async with asyncio.timeout(MOUNT_SECONDS):
            while not self.mount.is_mount():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)

    async def boot(self) -> None:
        """Start the gateway; it is not ready yet."""
        assert self.site
        given = {
            "JIMENG_UPSTREAM": str(self.site.base_url),
            "CHROMIUM_PATH": NO_BROWSER,
        }
        if self.weak:
            given |= {"NATS_SERVER_BIN": str(self._weak_nats())}
        module = "power_loss.weak" if self.weak else "standalone.cli.app"
        where = ("--data", str(self.data), "--port", str(self.port))
        await self._spawn("jimeng", module, "up", *where, **PACE, **given)

    async def ready(self, seconds: float) -> None:
        """Wait for /readyz. Raises CannotStartError."""
        last = "no answer"
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._children["jimeng"].returncode is None:
                    with suppress(httpx.HTTPError):
                        answer = await self.api.get("/readyz")
                        last = answer.text
                        if answer.status_code == httpx.codes.OK:
                            return await self._connect()
                    await asyncio.sleep(0.05)
        output = (self.outputs / "jimeng.log").read_text(errors="replace")
        raise CannotStartError(f"{last}; {output[-1500:]}")

    async def cut(self) -> None:
        """Cut the power: nothing more is said, nothing more is written."""
        jimeng = self._children.get("jimeng")
        mine = [jimeng.pid, *processes.descendants(jimeng.pid)] if jimeng else []
        for pid in mine:  # first of all silent: none may promise what no disk hears
            processes.send(pid, signal.SIGSTOP)
        await self._kill("disk")
        for pid in mine:
            processes.send(pid, signal.SIGKILL)
        await self._kill("jimeng")
        await processes.gone(mine)
        if self.client:
            with suppress(Exception):
                await self.client.close()
            self.client = None
        processes.unmount(self.mount)

    def integrity(self) -> str:
        """Check a copy of the database, if there is one yet: "ok", or what is wrong."""
        copy = self.folder / "copy.db"
        found = False
        for end in ("", "-wal"):
            source, target = Path(f"{self.data}/gateway.db{end}"), Path(f"{copy}{end}")
            target.unlink(missing_ok=True)
            if source.exists():
                target.write_bytes(source.read_bytes())
                found = True
        if not found:
            return "ok"
        connection = sqlite3.connect(copy)
        try:
            rows = connection.execute("PRAGMA integrity_check").fetchall()
            return "; ".join(str(row[0]) for row in rows)
        except sqlite3.DatabaseError as error:
            return str(error)
        finally:
            connection.close()

    # parts

    async def _connect(self) -> None:
        store = self.data / "nats"
        self.client = await nats.connect(
            (store / "url").read_text().strip(),
            user="admin",
            password=json.loads((store / "users.json").read_text())["admin"],
            allow_reconnect=False,
            error_cb=_quiet,
        )

    async def _start_site(self) -> None:
        port = free_port()
        state = ("--data", str(self.folder / "site"), "--scale", "0.02")
        await self._spawn("site", "simulator", "--port", str(port), *state)
        self.site = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30
        )
        async with asyncio.timeout(SITE_SECONDS):
            while True:
                with suppress(httpx.HTTPError):
                    await self.site.get("/_sim/health")
                    break
                await asyncio.sleep(0.02)
        knobs = {"dedupe": False, "share_films": True, "link_seconds": 600}
        (await self.site.post("/_sim/settings", json=knobs)).raise_for_status()
        for session in self.sessions:
            account = {
                "sessionid": session,
                "concurrency": 50,
                "credits": {"gift": 10_000_000},
            }
            (await self.site.post("/_sim/accounts", json=account)).raise_for_status()

    async def _spawn(
        self, name: str, module: str, *arguments: str, **environment: str
    ) -> None:
        base = {k: v for k, v in os.environ.items() if not k.startswith("JIMENG_")}
        with (self.outputs / f"{name}.log").open("ab") as out:
            self._children[name] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=base | {"PYTHONPATH": str(TESTS)} | environment,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=processes.die_with_parent,
            )

    async def _kill(self, name: str) -> None:
        if child := self._children.pop(name, None):
            processes.send(child.pid, signal.SIGKILL)
            await child.wait()

    def _weak_nats(self) -> Path:
        """A nats-server that keeps to its own default: sync every two minutes."""
        program = self.folder / "weak-nats-server"
        if not program.exists():
            program.write_text(
                "#!/bin/sh\n"
                'grep -v sync_interval: "$2" >"$2.weak"\n'
                f'exec {find_binary(None)} -c "$2.weak"\n'
            )
            program.chmod(0o755)
        return program


async def _quiet(_error: Exception) -> None:
    """Tell nothing: that NATS is gone is what a cut is."""
