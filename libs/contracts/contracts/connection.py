"""The connection to NATS: how it is made, and what notices that it is lost."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from faststream.nats import NatsBroker
from faststream.security import SASLPlaintext
from nats.aio.client import DEFAULT_PENDING_SIZE, Client
from nats.errors import ConnectionReconnectingError
from nats.js.errors import NotFoundError

from contracts.ending import end
from contracts.streams import ACK_WAIT_SECONDS

ASK_SECONDS = 5.0
WATCH_SECONDS = 10.0
LOOK_SECONDS = 2.0
GONE_SECONDS = 60.0  # without a good round trip for so long, NATS is gone for good

Fatal = Callable[[str], None]

log = logging.getLogger("bus")


@dataclass(frozen=True)
class Link:
    """Where NATS is and who we are there."""

    url: str
    user: str | None = None
    password: str | None = None
    ack_wait: float = ACK_WAIT_SECONDS
    """After how many seconds of silence what we took is given to another."""
    ask_seconds: float = ASK_SECONDS
    """How long an answer of the scheduler is waited for, twice."""


class Connection(NatsBroker):
    """FastStream's broker with the settings that keep it from losing or hanging."""

    def __init__(
        self, service: str, link: Link, *, fatal: Fatal, buffered: bool, **more: Any
    ) -> None:
        self._service = service
        self._fatal = fatal
        self._once_connected = False
        self._stopping = False
        self._said = ""
        super().__init__(
            link.url,
            security=_security(link),
            name=service,
            connect_timeout=2,
            reconnect_time_wait=0.5,  # type: ignore[arg-type]  # it is only slept
            # A finite number drops the server and closes the connection.
            max_reconnect_attempts=-1,
            drain_timeout=1,  # a stop waits for handlers before, not for this
            ping_interval=5,
            max_outstanding_pings=2,
            inbox_prefix=inbox_of(service),
            # What was published while disconnected is sent later, even after the
            # caller was told that it failed; with no buffer it fails at once.
            pending_size=DEFAULT_PENDING_SIZE if buffered else 0,
            error_cb=self._on_error,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed,
            logger=None,
            # Its injection of a handler's message goes through a thread each time.
            apply_types=False,
            **more,
        )

    async def open(self) -> None:
        """Connect, however long it takes; raises nats.errors.Error when refused."""
        await self.connect()
        self._once_connected = True

    async def shut(self) -> None:
        """Stop taking, let handlers finish within their limit, disconnect."""
        self._stopping = True
        client = self._connection
        with suppress(Exception):  # unsubscribing fails where the server is away
            await self.stop()
        if client and not client.is_closed:
            with suppress(Exception):  # so does saying the last words
                await client.close()

    def _log_connection_broken(self, error_cb: Any = None) -> Any:
        """Leave out the stock callback, which kills a reconnect.

        It raises on an authorisation error inside nats-py's reconnect task, after
        which the connection is neither connected, reconnecting nor closed.
        """
        return error_cb

    async def _on_error(self, error: Exception) -> None:
        # A refused publish or subscribe shows here only; its caller sees a time-out.
        # Tries to connect fail twice a second, so the same again is said quietly.
        level = logging.DEBUG if repr(error) == self._said else logging.WARNING
        self._said = repr(error)
        log.log(level, "nats: %s", error, extra={"error": repr(error)})
        if not self._once_connected and "authorization" in str(error).lower():
            raise error

    async def _on_reconnected(self) -> None:
        self._said = ""
        log.info("connected to NATS again")

    async def _on_closed(self) -> None:
        if self._once_connected and not self._stopping:
            self._fatal(f"the NATS connection of {self._service} was closed")


class Watch:
    """While running, notices what nats-py and FastStream do not.

    A read loop that died, a server that does not come back, a consumer that was
    deleted: each of them looks like silence to who waits for messages.
    """

    def __init__(self, fatal: Fatal, every_seconds: float, gone_seconds: float) -> None:
        self._fatal = fatal
        self._every = every_seconds
        self._gone = gone_seconds
        self._task: asyncio.Task[None] | None = None
        self._last_good = 0.0

    @property
    def alive(self) -> bool:
        """Whether it looks, and what it saw was good, lately enough to wait."""
        looks = self._task is not None and not self._task.done()
        return looks and self._silent_seconds() <= self._gone

    def _silent_seconds(self) -> float:
        return asyncio.get_running_loop().time() - self._last_good

    def start(self, client: Client, consumers: Sequence[tuple[str, str]]) -> None:
        """Look at the connection and at these (stream, consumer) pairs."""
        self._last_good = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._watch(client, consumers))

    async def stop(self) -> None:
        """Look no more."""
        if self._task:
            await end(self._task)

    async def _watch(
        self, client: Client, consumers: Sequence[tuple[str, str]]
    ) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await _look(client, consumers)
                self._last_good = asyncio.get_running_loop().time()
            except NotFoundError as error:
                self._fatal(f"a consumer of {consumers} was deleted: {error}")
            except Exception as error:  # noqa: BLE001 - counted, then fatal
                if self._silent_seconds() > self._gone:
                    self._fatal(f"NATS is gone for good: {error!r}")


async def _look(client: Client, consumers: Sequence[tuple[str, str]]) -> None:
    if not client.is_connected:
        raise ConnectionReconnectingError
    jetstream = client.jetstream(timeout=LOOK_SECONDS)
    # nats-py's own flush succeeds without a round trip when its read loop is dead.
    await jetstream.account_info()
    for stream, consumer in consumers:
        await jetstream.consumer_info(stream, consumer)


def _security(link: Link) -> SASLPlaintext | None:
    if link.user is None:
        return None
    return SASLPlaintext(link.user, link.password or "", use_ssl=False)


def inbox_of(service: str) -> bytes:
    """Return where answers to a service come; only it may listen there."""
    return f"_INBOX_{service}".encode()
