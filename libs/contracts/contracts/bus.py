"""The way messages come and go: connect, consume, answer, emit, send, ask.

FastStream over nats-py, with a guard for each way they can lose or repeat a message
or hang a process; `delivery.py` has what becomes of a delivered message.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar, cast

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from faststream.security import SASLPlaintext
from nats.aio.client import DEFAULT_PENDING_SIZE, Client
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import PubAck
from nats.js.errors import APIError, NotFoundError
from pydantic import BaseModel

from contracts.delivery import DeadLetter, Delivery, Scope, Taken, backoff
from contracts.message import Command, Event, Message
from contracts.requests import Answer, Refusal, Request, RequestRefusedError
from contracts.streams import FACTS_DURABLE, drift

PUBLISH_SECONDS = 5.0
ASK_SECONDS = 5.0
WATCH_SECONDS = 10.0
GONE_SECONDS = 60.0  # without a good round trip for so long, NATS is gone for good
STOP_SECONDS = 8.0

C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)
R = TypeVar("R", bound=BaseModel)
Fatal = Callable[[str], None]

log = logging.getLogger("bus")


class NotProvisionedError(Exception):
    """A stream or consumer is missing, or is not as declared."""


class Kept(Enum):
    """How a command came to be in CMD. Each of them means that it is there."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    STILL_THERE = "still there"


@dataclass(frozen=True)
class Link:
    """Where NATS is and who we are there."""

    url: str
    user: str | None = None
    password: str | None = None


class _Broker(NatsBroker):
    """FastStream's broker, without the error callback that kills a reconnect.

    The stock one raises on an authorisation error inside nats-py's reconnect task,
    after which the connection is neither connected, reconnecting nor closed.
    """

    def _log_connection_broken(self, error_cb: Any = None) -> Any:
        return error_cb


class Bus:
    """One service's connection to NATS."""

    def __init__(
        self,
        service: str,
        link: Link,
        *,
        fatal: Fatal,
        buffered: bool = True,
        scope: Scope = lambda _: nullcontext(),
        pause: Callable[[int], float] = backoff,
    ) -> None:
        self.service = service
        self.durables: list[str] = []
        self._fatal = fatal
        self._delivery = Delivery(self._bury, scope, pause)
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = False
        self.broker = _Broker(
            link.url,
            security=_security(link),
            name=service,
            connect_timeout=2,
            reconnect_time_wait=0.5,  # type: ignore[arg-type]  # it is only slept
            # A finite number drops the server and closes the connection, after which
            # FastStream's pull loop starves the process.
            max_reconnect_attempts=-1,
            ping_interval=5,
            max_outstanding_pings=2,
            inbox_prefix=f"_INBOX_{service}".encode(),
            # What was published while disconnected is sent later, even after the
            # caller was told that it failed; with no buffer it fails at once.
            pending_size=DEFAULT_PENDING_SIZE if buffered else 0,
            error_cb=self._on_error,
            closed_cb=self._on_closed,
            graceful_timeout=STOP_SECONDS,
            middlewares=(self._delivery.middleware,),
            logger=None,
        )

    # what a service takes

    def consume(
        self, command: type[C], *, concurrency: int
    ) -> Callable[[Callable[[C], Awaitable[None]]], Callable[[C], Awaitable[None]]]:
        """Take commands of one class, so many at a time."""
        taken = Taken(command, self.service, command.DEADLINE_SECONDS)

        def register(
            handler: Callable[[C], Awaitable[None]],
        ) -> Callable[[C], Awaitable[None]]:
            async def decoded(body: Any) -> None:
                await handler(body)

            decoded.__annotations__["body"] = command
            self._subscribe("CMD", command.durable(), command.pattern(), concurrency)(
                decoded
            )
            self._delivery.taken[command.durable()] = taken
            return handler

        return register

    def hear(
        self, subjects: dict[str, type[Event]], *, concurrency: int
    ) -> Callable[[Callable[[Event], Awaitable[None]]], None]:
        """Take the workers' facts; `subjects` maps `<service>.<what>` to a class."""

        def register(handler: Callable[[Event], Awaitable[None]]) -> None:
            async def undecoded(message: NatsMessage) -> None:
                name = ".".join(message.raw_message.subject.split(".")[3:])
                if kind := subjects.get(name):
                    await handler(kind.parse(message.body))
                else:
                    log.warning("unknown fact", extra={"subject": name})

            self._subscribe("EVT", FACTS_DURABLE, "evt.>", concurrency)(undecoded)
            self._delivery.taken[FACTS_DURABLE] = Taken(Event, self.service, None)

        return register

    def answer(
        self, request: type[Request[R]], *, concurrency: int = 64
    ) -> Callable[[Callable[[Any], Awaitable[R]]], None]:
        """Answer requests of one class; a raised RequestRefusedError travels."""

        def register(handler: Callable[[Any], Awaitable[R]]) -> None:
            async def reply(body: Any, message: NatsMessage) -> None:
                answer = await _answer(handler, body)
                await self.broker.publish(
                    answer.model_dump_json(exclude_none=True).encode(),
                    message.raw_message.reply,
                    correlation_id=message.correlation_id,
                )

            reply.__annotations__["body"] = request
            self.broker.subscriber(
                request.SUBJECT, max_workers=concurrency, no_reply=True
            )(reply)

        return register

    def _subscribe(
        self, stream: str, durable: str, subject: str, concurrency: int
    ) -> Any:
        self.durables.append(durable)
        return self.broker.subscriber(
            subject,
            stream=JStream(stream, declare=False),
            durable=durable,
            # One message a fetch: larger ones stall on an orphaned request, and
            # prefetched messages age in memory. A lost pull is noticed after 2 s.
            pull_sub=PullSub(batch_size=1, timeout=2),
            max_workers=concurrency,
            # The default deletes a message on any exception.
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
        )

    # what a service says

    async def emit(self, event: Event) -> None:
        """Tell that something happened; returns when it is stored."""
        await self.emit_raw(event.subject, event.body(), event.id, event.TTL_SECONDS)

    async def send(self, command: Command, message_id: str) -> Kept:
        """Issue a command; every return means that it is in CMD, or was done."""
        return await self.send_raw(
            command.subject, command.body(), message_id, command.correlation
        )

    async def send_raw(
        self, subject: str, body: bytes, message_id: str, correlation: str
    ) -> Kept:
        """Issue a command that is already as it travels."""
        try:
            ack = await self._publish(
                subject, body, "CMD", message_id=message_id, correlation=correlation
            )
        except APIError as error:
            # 10077 is the code of any store failure; only this text means that a
            # command with this subject still waits or is worked on.
            if "maximum messages per subject exceeded" in str(error.description):
                return Kept.STILL_THERE
            raise
        return Kept.DUPLICATE if ack.duplicate else Kept.STORED

    async def emit_raw(
        self, subject: str, body: bytes, message_id: str, ttl_seconds: int | None
    ) -> None:
        """Tell an event that is already as it travels."""
        headers = {"Nats-TTL": str(ttl_seconds)} if ttl_seconds else {}
        task = subject.split(".")[2]
        await self._publish(
            subject,
            body,
            "EVT",
            message_id=message_id,
            correlation=task,
            headers=headers,
        )

    async def ask(self, request: Request[R], seconds: float = ASK_SECONDS) -> R:
        """Ask the scheduler.

        Raises RequestRefusedError when it says no, and NatsTimeoutError or
        NoRespondersError when nobody answered, twice.
        """
        try:
            reply = await self._ask_once(request, seconds)
        except (NatsTimeoutError, NoRespondersError):
            reply = await self._ask_once(request, seconds)
        answer = Answer.model_validate_json(reply)
        if answer.refused:
            raise RequestRefusedError(answer.refused)
        return cast("R", request.REPLY.model_validate(answer.ok))

    async def _ask_once(self, request: Request[R], seconds: float) -> bytes:
        reply = await self.client.request(
            request.subject, request.body(), timeout=seconds
        )
        return bytes(reply.data)

    async def _publish(
        self,
        subject: str,
        body: bytes,
        stream: str,
        *,
        message_id: str,
        correlation: str,
        headers: dict[str, str] | None = None,
    ) -> PubAck:
        # Without `stream` this is a core publish: no acknowledgement, silently lost
        # where no stream listens. Without an id, a retry after a lost
        # acknowledgement is a second message.
        return await self.broker.publish(
            body,
            subject,
            stream=stream,
            timeout=PUBLISH_SECONDS,
            headers={
                "Nats-Msg-Id": message_id,
                "content-type": "application/json",
                **(headers or {}),
            },
            correlation_id=correlation,
        )

    async def _bury(self, letter: DeadLetter) -> None:
        """Tell first that the step died, so that no slot is stranded."""
        if died := letter.died():
            await self.emit(died)
        await self.broker.publish(
            letter.raw.data,
            letter.subject,
            stream="DLQ",
            timeout=PUBLISH_SECONDS,
            headers=letter.headers,
            correlation_id=letter.headers["Dlq-Subject"],
        )

    # the connection

    @property
    def client(self) -> Client:
        """The nats-py connection, for what has no policy: KV, core subscriptions."""
        connection = self.broker._connection  # noqa: SLF001 - no public accessor
        if connection is None:
            raise RuntimeError(f"{self.service} is not connected")
        return connection

    @property
    def jetstream(self) -> JetStreamContext:
        """JetStream itself, for streams no policy is about."""
        return self.client.jetstream(timeout=PUBLISH_SECONDS)

    async def start(self) -> None:
        """Connect, check what was declared, begin to take messages.

        Raises NotProvisionedError when a durable is missing or drifted.
        """
        await self.broker.connect()
        if problems := await drift(self.jetstream, self.durables):
            await self.broker.stop()
            raise NotProvisionedError(
                "; ".join(problems) + ". Run `jimeng provision` first."
            )
        await self.broker.start()
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop taking, let handlers finish within their limit, disconnect."""
        self._stopping = True
        if self._watcher:
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher
        await self.broker.stop()

    async def _watch(self) -> None:
        """Notice what nats-py and FastStream do not: a dead read loop, a lost durable.

        A pull on a deleted consumer spins in silence at full speed.
        """
        loop = asyncio.get_running_loop()
        last_good = loop.time()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                await self.client.flush(timeout=2)
                for durable in self.durables:
                    stream = "EVT" if durable == FACTS_DURABLE else "CMD"
                    await self.jetstream.consumer_info(stream, durable)
                last_good = loop.time()
            except NotFoundError as error:
                self._fatal(f"a consumer of {self.service} was deleted: {error}")
            except Exception as error:  # noqa: BLE001 - counted, then fatal
                if loop.time() - last_good > GONE_SECONDS:
                    self._fatal(f"NATS is gone for good: {error}")

    async def _on_error(self, error: Exception) -> None:
        # A refused publish or subscribe shows here only; its caller sees a time-out.
        log.warning("nats: %s", error, extra={"error": repr(error)})

    async def _on_closed(self) -> None:
        if not self._stopping:
            self._fatal(f"the NATS connection of {self.service} was closed")


def _security(link: Link) -> SASLPlaintext | None:
    if link.user is None:
        return None
    return SASLPlaintext(link.user, link.password or "", use_ssl=False)


async def _answer(handler: Callable[[Any], Awaitable[R]], body: Any) -> Answer:
    try:
        reply = await handler(body)
    except RequestRefusedError as no:
        return Answer(refused=no.refusal)
    except Exception:
        log.exception("request failed", extra={"request": type(body).__name__})
        return Answer(
            refused=Refusal(status=500, type="internal", detail="internal error")
        )
    return Answer(ok=reply.model_dump(mode="json"))


__all__ = ["Bus", "Kept", "Link", "Message", "NotProvisionedError"]
