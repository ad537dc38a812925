"""Publishes what the commits left in the outbox, in order for each task."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from contracts.bus import Bus, Kept
from contracts.counting import CREDITS, add
from contracts.message import Command
from contracts.tasks import (
    PollSession,
    StoreResults,
    SubmitInPage,
    SubmitPlain,
    UploadReferences,
)
from scheduler.store import outbox
from scheduler.store.outbox import Parcel
from scheduler.writer import Turn, Writer

AT_ONCE = 32
FIRST_RETRY_SECONDS = 0.05  # a worker acknowledges a moment after it has told
RETRY_SECONDS = 1.0
log = logging.getLogger("scheduler")


class Relay:
    """Takes parcels after their commit and sees to it that they are stored in NATS.

    They wait in lines: the events of one task or session, the commands of one subject.
    Whoever is first in a line and cannot be published keeps its place, and is tried
    again each second. For a command that may mean that its predecessor is *still
    there*: it is being worked on, and may have begun before this one was known.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._new: list[Parcel] = []
        self._more = asyncio.Event()
        self._lines: dict[str, deque[Parcel]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._done: set[int] = set()
        self._asked = False
        self._unneeded: set[int] = set()
        self._awaited: dict[int, asyncio.Future[None]] = {}

    def take(self, parcels: Sequence[Parcel]) -> None:
        """Publish these soon."""
        if parcels:
            self._new += parcels
            self._more.set()

    async def run(self, writer: Writer) -> None:
        """Publish what was taken, for ever; the writer forgets what was sent."""
        async with asyncio.TaskGroup() as working:
            while True:
                await self._more.wait()
                self._more.clear()
                taken, self._new = self._new, []
                # Commands first, because somebody waits for them.
                for parcel in sorted(taken, key=lambda p: (p.stream != "CMD", p.id)):
                    name = _line_of(parcel)
                    if line := self._lines.get(name):
                        self._join(line, parcel, writer)
                        continue
                    self._lines[name] = deque([parcel])
                    working.create_task(self._work_off(name, writer))

    def _join(self, line: deque[Parcel], parcel: Parcel, writer: Writer) -> None:
        waiting = [p.body for p in line if p.id not in self._unneeded]
        if parcel.stream == "CMD" and parcel.body in waiting:  # of events each counts
            self._forget(parcel, writer)
        else:
            line.append(parcel)

    def awaited(self, parcels: Sequence[Parcel]) -> list[asyncio.Future[None]]:
        """Return what is done once these, not committed yet, are published."""
        loop = asyncio.get_running_loop()
        found = {parcel.id: loop.create_future() for parcel in parcels}
        self._awaited |= found
        return list(found.values())

    def unneeded(self, command: Command) -> None:
        """Try no more to issue a command: its worker is at work already.

        One that is said from now on may be needed: the worker may be about to end.
        """
        self._unneeded.update(p.id for p in self._lines.get(command.subject, ()))

    async def _work_off(self, name: str, writer: Writer) -> None:
        line, tries = self._lines[name], 0
        while line:
            async with self._room:
                sent = await self._send(line[0], tries)
            if sent:
                self._forget(line.popleft(), writer)
                tries = 0
            else:
                await asyncio.sleep(min(FIRST_RETRY_SECONDS * 2**tries, RETRY_SECONDS))
                tries += 1
            while line and line[0].id in self._unneeded:
                self._forget(line.popleft(), writer)
        del self._lines[name]

    async def _send(self, parcel: Parcel, tries: int) -> bool:
        try:
            if parcel.stream == CREDITS.stream:
                by, once = int(parcel.body), f"outbox:{parcel.id}"
                await add(self._bus.jetstream, parcel.subject, by, once)
                return True
            if parcel.stream != "CMD":
                message_id = parcel.message_id or f"outbox:{parcel.id}"
                await self._bus.emit_raw(
                    parcel.subject,
                    parcel.body,
                    message_id,
                    parcel.ttl_seconds,
                    stream=parcel.stream,
                )
                return True
            # A re-issue has an id of its own, or the deduplication would swallow it.
            message_id = f"outbox:{parcel.id}" + (f":{tries}" if tries else "")
            kept = await self._bus.send_raw(
                parcel.subject, parcel.body, message_id, _about(parcel)
            )
        except Exception:
            log.exception("not published, again soon", extra={"to": parcel.subject})
            return False
        return parcel.once or kept is not Kept.STILL_THERE

    def _forget(self, parcel: Parcel, writer: Writer) -> None:
        """Have it deleted with the next transaction; several in one statement."""
        self._unneeded.discard(parcel.id)
        if (awaited := self._awaited.pop(parcel.id, None)) and not awaited.done():
            awaited.set_result(None)
        self._done.add(parcel.id)
        if self._asked:
            return

        async def forget(turn: Turn) -> None:
            ids = list(self._done)
            await outbox.sent(turn.db, ids)
            turn.committed.append(lambda: self._done.difference_update(ids))

        def asked(_: object) -> None:
            self._asked = False

        self._asked = True
        writer.later(forget).add_done_callback(asked)


_POLLS = PollSession.pattern().removesuffix("*")
_OF_ATTEMPTS = tuple(
    kind.pattern().removesuffix("*")
    for kind in (UploadReferences, SubmitInPage, SubmitPlain, StoreResults)
)


def _line_of(parcel: Parcel) -> str:
    """Return which parcels must be published in order."""
    parts = parcel.subject.split(".")
    return ".".join(parts[:3]) if parcel.stream == "EVT" else parcel.subject


def _about(parcel: Parcel) -> str:
    """Return the task or session a command belongs to."""
    key = parcel.subject.rpartition(".")[2]
    of_attempt = parcel.subject.startswith(_OF_ATTEMPTS)
    return key.rpartition("-")[0] if of_attempt else key
