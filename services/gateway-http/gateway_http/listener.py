"""The HTTP listener: a socket bound before all else, and uvicorn on it."""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from gateway_http.progress import SWEEP_SECONDS, Connection
from runtime.settings import SettingsError

GRACE_SECONDS = 2  # what still answers then is cut: a stop takes less than 3 s
BACKLOG = 2048


class Listening:
    """While entered, the address is ours. An occupied one ends the start at once."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._wanted = port
        self.socket: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; the wanted one until then."""
        return int(self.socket.getsockname()[1]) if self.socket else self._wanted

    async def __aenter__(self) -> Self:
        """Bind. Raises SettingsError with what to do."""
        info = socket.getaddrinfo(self._host, self._wanted, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(info[0], socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by what is accepted. asyncio sets it only on sockets it made itself,
        # and without it every answer waits 40 ms for a delayed acknowledgement.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            bound.bind(info[4])
            # At once, so that of two starts the second is refused.
            bound.listen(BACKLOG)
        except OSError as error:
            bound.close()
            raise SettingsError(self._refusal(error)) from None
        bound.settimeout(0)
        self.socket = bound
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.socket:
            self.socket.close()

    def _refusal(self, error: OSError) -> str:
        if error.errno == errno.EADDRINUSE:
            return (
                f"PORT {self._wanted} is in use: stop what listens there, or choose "
                f"another with --port or PORT (0 takes any free one)"
            )
        return f"HOST {self._host}, PORT {self._wanted}: {error.strerror}"


class Serving:
    """While entered, requests are answered; `stopping` ends what does not end."""

    def __init__(
        self, web: ASGIApp, listening: Listening, stopping: Callable[[], None]
    ) -> None:
        self._listening = listening
        self._stopping = stopping
        self._server = _Server(
            uvicorn.Config(
                web,
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,  # our own line says it, without the query
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
                backlog=BACKLOG,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        bound = self._listening.socket
        if bound is None:
            raise RuntimeError("Listening is entered first")
        self._task = asyncio.create_task(self._server.serve(sockets=[bound]))
        await self._server.begun(self._task)
        self._watch = asyncio.create_task(self._server.watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping()
        self._server.should_exit = True
        if self._task:
            await self._task
        if self._watch:
            self._watch.cancel()
        self._server.cut()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process's own decide."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._begun = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._begun.set()

    async def begun(self, serving: asyncio.Task[None]) -> None:
        """Wait until requests are taken; raises what prevented it."""
        waiting = asyncio.create_task(self._begun.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if serving.done():
            serving.result()

    async def watch(self) -> None:
        """Close the connections that stand still."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.look(clock())

    def cut(self) -> None:
        """End the connections that did not end within the grace."""
        for connection in list(self.server_state.connections):
            with suppress(Exception):
                connection.transport.abort()
