"""The way messages come and go: connect, consume, answer, emit, send, ask.

FastStream over nats-py, with a guard for each way they can lose or repeat a message
or hang a process. What becomes of a delivered message is in `delivery.py`, how one gets
into its stream in `publishing.py`.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any, TypeVar

from faststream.nats import NatsMessage
from nats.aio.client import Client
from nats.js import JetStreamContext
from pydantic import BaseModel

from boundary import boundary
from contracts.answering import answer_to
from contracts.asking import ask
from contracts.connection import (
    GONE_SECONDS,
    WATCH_SECONDS,
    Connection,
    Fatal,
    Link,
    Watch,
    inbox_of,
)
from contracts.dead import DeadLetter
from contracts.delivery import HEARTBEATS, Delivery, Scope, backoff
from contracts.marks import Marks
from contracts.message import Command, Event, Message
from contracts.provision import NotProvisionedError, require
from contracts.publishing import PUBLISH_SECONDS, bury, issue, tell
from contracts.pulling import pull_when_free, subscriber_of
from contracts.requests import Request
from contracts.streams import (
    FACTS_DURABLE,
    NEEDED_TO_TAKE,
    Kept,
)
from contracts.taking import Taken, as_it_came, read

STOP_SECONDS = 8.0

C = TypeVar("C", bound=Command)
R = TypeVar("R", bound=BaseModel)

log = logging.getLogger("bus")


class Bus:
    """One service's connection to NATS.

    `needed` are the streams it uses, beside those of the commands it takes.
    """

    def __init__(
        self,
        service: str,
        link: Link,
        *,
        fatal: Fatal,
        needed: frozenset[str] = frozenset(),
        buffered: bool = True,
        scope: Scope = lambda _, __: nullcontext(),
        pause: Callable[[int], float] = backoff,
        heartbeat_seconds: float | None = None,
        stop_seconds: float = STOP_SECONDS,
        watch_seconds: float = WATCH_SECONDS,
        gone_seconds: float = GONE_SECONDS,
    ) -> None:
        self.service = service
        self.durables: list[str] = []
        self._ack_wait = link.ack_wait
        self._ask_seconds = link.ask_seconds
        self.needed = needed
        self._takers: list[Callable[[], None]] = []
        marks = Marks(lambda: self.client)
        beat = heartbeat_seconds or link.ack_wait / HEARTBEATS
        self._delivery = Delivery(self._bury, scope, pause, beat, marks)
        self._watch = Watch(fatal, watch_seconds, gone_seconds)
        self.broker = Connection(
            service,
            link,
            fatal=fatal,
            buffered=buffered,
            graceful_timeout=stop_seconds,
            middlewares=(self._delivery.middleware,),
        )

    # what a service takes

    def consume(
        self,
        command: type[C],
        *,
        concurrency: int,
        restartable: bool = False,
        deadline_seconds: float | None = None,
    ) -> Callable[[Callable[[C], Awaitable[None]]], Callable[[C], Awaitable[None]]]:
        """Take commands of one class, so many at a time.

        A `restartable` handler may be cut off anywhere at no cost: a stop hands its
        command to another at once, instead of waiting for its end. `deadline_seconds`
        is instead of the class's own.
        """
        taken = Taken(
            command,
            self.service,
            deadline_seconds or command.DEADLINE_SECONDS,
            remembered=not command.ENDLESS,
        )

        def register(
            handler: Callable[[C], Awaitable[None]],
        ) -> Callable[[C], Awaitable[None]]:
            async def take(message: NatsMessage) -> None:
                await handler(read(command, message.body))

            self._subscribe(
                "CMD",
                command.durable(),
                command.pattern(),
                concurrency,
                restartable=restartable,
            )(take)
            self._delivery.taken[command.durable()] = taken
            return handler

        return register

    def hear(
        self, subjects: dict[str, type[Event]], *, concurrency: int
    ) -> Callable[[Callable[[Event], Awaitable[None]]], None]:
        """Take the workers' facts; `subjects` maps `<service>.<what>` to a class."""

        def register(handler: Callable[[Event], Awaitable[None]]) -> None:
            async def take(message: NatsMessage) -> None:
                name = ".".join(message.raw_message.subject.split(".")[3:])
                if kind := subjects.get(name):
                    await handler(read(kind, message.body))
                else:
                    log.warning("unknown fact", extra={"subject": name})

            self._subscribe("EVT", FACTS_DURABLE, "evt.>", concurrency)(take)
            self._delivery.taken[FACTS_DURABLE] = Taken(
                Event, self.service, None, remembered=False
            )

        return register

    def answer(
        self, request: type[Request[R]], *, concurrency: int = 64
    ) -> Callable[[Callable[[Any], Awaitable[R]]], None]:
        """Answer requests of one class; a raised RequestRefusedError travels."""

        def register(handler: Callable[[Any], Awaitable[R]]) -> None:
            async def reply(message: NatsMessage) -> None:
                answer = await answer_to(request, handler, message.body)
                with boundary("reply", request.SUBJECT):
                    await self.broker.publish(
                        answer.model_dump_json(exclude_none=True).encode(),
                        message.raw_message.reply,
                        correlation_id=message.correlation_id,
                    )

            self.broker.subscriber(
                request.SUBJECT,
                decoder=as_it_came,
                max_workers=concurrency,
                no_reply=True,
            )(reply)

        return register

    def _subscribe(
        self,
        stream: str,
        durable: str,
        subject: str,
        concurrency: int,
        *,
        restartable: bool = False,
    ) -> Any:
        self.durables.append(durable)
        inbox = inbox_of(self.service) + b"."
        subscriber = subscriber_of(self.broker, stream, durable, subject, inbox)
        self._takers.append(
            pull_when_free(subscriber, concurrency, restartable=restartable)
        )
        return subscriber

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
        return await issue(self.broker, subject, body, message_id, correlation)

    async def emit_raw(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        ttl_seconds: int | None,
        *,
        stream: str = "EVT",
    ) -> None:
        """Tell an event, or what a bucket holds, that is already as it travels."""
        await tell(
            self.broker, subject, body, message_id, ttl_seconds=ttl_seconds, to=stream
        )

    async def ask(self, request: Request[R], seconds: float | None = None) -> R:
        """Ask the scheduler.

        Raises RequestRefusedError when it says no, NatsTimeoutError when it did not
        answer, twice, and NoRespondersError when nobody listened for a while.
        """
        return await ask(lambda: self.client, request, seconds or self._ask_seconds)

    async def _bury(self, letter: DeadLetter) -> None:
        """Tell first that the step died, so that no slot is stranded."""
        if died := letter.died():
            await self.emit(died)
        await bury(self.broker, letter)

    # the connection

    @property
    def client(self) -> Client:
        """The nats-py connection, for what has no policy: KV, core subscriptions."""
        connection = self.broker._connection  # noqa: SLF001 - no public accessor
        if connection is None:
            raise RuntimeError(f"{self.service} is not connected")
        return connection

    @property
    def connected(self) -> bool:
        """Whether NATS is there now."""
        connection = self.broker._connection  # noqa: SLF001 - no public accessor
        return connection is not None and connection.is_connected

    @property
    def alive(self) -> bool:
        """Whether messages come and go, or NATS is away no longer than it may be."""
        return self._watch.alive

    @property
    def jetstream(self) -> JetStreamContext:
        """JetStream itself, for streams no policy is about."""
        return self.client.jetstream(timeout=PUBLISH_SECONDS)

    async def start(self) -> None:
        """Connect, check what was declared, begin to take messages.

        Raises NotProvisionedError when a durable or a stream is missing or drifted.
        """
        await self.broker.open()
        try:
            takes = NEEDED_TO_TAKE if self.durables else frozenset()
            needed = takes | self.needed
            await require(self.jetstream, self.durables, needed, self._ack_wait)
        except NotProvisionedError:
            await self.stop()
            raise
        await self.broker.start()
        self._watch.start(
            self.client,
            [("EVT" if d == FACTS_DURABLE else "CMD", d) for d in self.durables],
        )

    async def stop(self) -> None:
        """Stop taking, let handlers finish within their limit, disconnect.

        Those that may begin again at no cost are not waited for.
        """
        await self._watch.stop()
        for stop_taking in self._takers:
            stop_taking()
        await self.broker.shut()


__all__ = ["Bus", "Kept", "Link", "Message", "NotProvisionedError"]
