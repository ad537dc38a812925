"""Reads the event log once for all clients of this process, and hands it out."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from contracts.bus import Bus
from contracts.ending import end
from contracts.keys import KeyEntry
from contracts.streams import PUBLIC_WAKES
from gateway_http.live.follower import Follower
from gateway_http.live.kept import KeptEvents
from gateway_http.live.newer import Newer
from gateway_http.live.told import Told, comment

LOOK_SECONDS = 1.0  # should a call be lost; each event calls
PAUSE_SECONDS = 0.25
PINGS_LATE = 15  # by one part of so many, at most
AWAY = comment("the gateway has lost NATS; nothing is lost, this goes on with it")
BACK = comment("NATS is back")
CLOSING = comment("the gateway stops; come again, with the last id")
log = logging.getLogger("live")


class Hub:
    """While entered, followers are told what happens.

    `position` is how far the log was handed out. Who has read as far itself, and joins
    without waiting in between, misses nothing and gets nothing twice.
    """

    def __init__(self, bus: Bus, ping: float) -> None:
        self.events = KeptEvents(bus)
        self.position = 0
        self._bus = bus
        self._newer = Newer()
        self._called = asyncio.Event()
        self._of_task: dict[str, set[Follower]] = defaultdict(set)
        self._of_many: set[Follower] = set()
        self._connection = 0
        self._away = False
        self._open = False
        self._heard: list[Subscription] = []
        self._ping = ping
        self._work: list[asyncio.Task[None]] = []

    @property
    def open(self) -> bool:
        """Whether somebody may follow; not while the service stops."""
        return self._open

    async def __aenter__(self) -> Self:
        """Begin at the end of the log."""
        # Heard before the log is looked at, so that nothing comes between.
        hear = self._bus.client.subscribe
        self._heard.append(await hear(PUBLIC_WAKES, cb=self._on_call))
        self._heard.append(await hear(KeyEntry.pattern(), cb=self._on_key))
        self._connection = self._connections()
        while not self._open:
            with suppress(NatsError):
                self.position = (await self.events.ends())[1]
                self._open = True
                break
            await asyncio.sleep(PAUSE_SECONDS)
        for work in (self._run(), self._look_after_all()):
            self._work.append(asyncio.create_task(work))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        for work in self._work:
            await end(work)
        for heard in self._heard:
            with suppress(Exception):  # the connection may be gone, and this with it
                await heard.unsubscribe()

    def join(self, follower: Follower) -> None:
        """Tell this one too from now on."""
        if not self._open:
            follower.finish()
        if follower.over:
            return
        if follower.wanted.task:
            self._of_task[follower.wanted.task].add(follower)
        else:
            self._of_many.add(follower)

    def leave(self, follower: Follower) -> None:
        """Tell this one no more."""
        self._of_many.discard(follower)
        if (task := follower.wanted.task) and task in self._of_task:
            self._of_task[task].discard(follower)
            if not self._of_task[task]:
                del self._of_task[task]

    def close(self) -> None:
        """Let everybody go: the service stops."""
        self._open = False
        self._send_away(CLOSING)

    async def _on_call(self, _: Any) -> None:
        self._called.set()

    async def _on_key(self, message: Msg) -> None:
        """Let go whose key was changed: who may go on comes again.

        Should this be lost, a stream's longest time sees to it.
        """
        key = KeyEntry.parse(message.data)
        for follower in self._everybody():
            follower.hear_of(key)

    async def _run(self) -> None:
        while True:
            self._called.clear()
            try:
                await self._look()
            except NatsError as error:
                self._on_away(error)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            self._on_back()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._called.wait()

    async def _look_after_all(self) -> None:
        """Let streams that are silent say that they live."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._ping / PINGS_LATE)
            for follower in self._everybody():
                follower.look(clock(), self._ping)

    async def _look(self) -> None:
        """Hand out what is new."""
        await self._check_after_reconnect()
        more = True
        while more:
            batch = await self.events.after(self.position)
            for told in batch.told:
                self._tell(told)
            self.position = max(self.position, batch.reached)
            more = batch.more

    def _tell(self, told: Told) -> None:
        if self._newer.passes(told):
            for follower in self._interested(told):
                follower.offer(told)

    def _interested(self, told: Told) -> Iterable[Follower]:
        # Copies: who is cut off leaves.
        following = self._of_task.get(told.task, ()) if told.task else ()
        return [*following, *self._of_many]

    async def _check_after_reconnect(self) -> None:
        """Begin anew where the log is another, as after a restore of the streams."""
        if self._connection == (now := self._connections()):
            return
        _, last = await self.events.ends()
        self._connection = now
        if last < self.position:
            log.warning("the event log is another: it ends at %s", last)
            self.position = last
            self._newer = Newer()
            self._send_away(CLOSING)

    def _connections(self) -> int:
        return int(self._bus.client.stats["reconnects"])

    def _on_away(self, error: Exception) -> None:
        if not self._away:
            self._away = True
            log.warning("events cannot be read: %r", error)
            self._say(AWAY)

    def _on_back(self) -> None:
        if self._away:
            self._away = False
            log.info("events are read again")
            self._say(BACK)

    def _everybody(self) -> list[Follower]:
        return [*self._of_many, *(f for each in self._of_task.values() for f in each)]

    def _say(self, words: bytes) -> None:
        for follower in self._everybody():
            follower.put(words)

    def _send_away(self, words: bytes) -> None:
        for follower in self._everybody():
            follower.put(words)
            follower.finish()
