"""Publishes what the commits left in the outbox, in order for each task."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence

from contracts.bus import Bus, Kept
from scheduler.store import outbox
from scheduler.store.outbox import Parcel
from scheduler.writer import Turn, Writer

AT_ONCE = 32
RETRY_SECONDS = 1.0
log = logging.getLogger("scheduler")


class Relay:
    """Takes parcels after their commit and sees to it that they are stored in NATS.

    A command answered *still there* is tried again each second: its predecessor is
    being worked on, and may have begun before this one was known.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: list[Parcel] = []
        self._more = asyncio.Event()
        self._tries: dict[int, int] = {}
        self._still: dict[str, int] = {}  # one of a kind waits, others are the same

    def take(self, parcels: Sequence[Parcel]) -> None:
        """Publish these soon."""
        if parcels:
            self._waiting += parcels
            self._more.set()

    async def run(self, writer: Writer) -> None:
        """Publish what was taken, for ever; the writer forgets what was sent."""
        room = asyncio.Semaphore(AT_ONCE)
        while True:
            await self._more.wait()
            self._more.clear()
            batch, self._waiting = self._waiting, []
            groups: dict[str, list[Parcel]] = defaultdict(list)
            for parcel in batch:
                groups[_about(parcel)].append(parcel)
            sent = await asyncio.gather(
                *(self._send_group(room, group) for group in groups.values())
            )
            self._forget(writer, [i for ids in sent for i in ids])

    async def _send_group(
        self, room: asyncio.Semaphore, group: list[Parcel]
    ) -> list[int]:
        """Send in order; commands first, because somebody waits for them."""
        sent: list[int] = []
        async with room:
            for parcel in sorted(group, key=lambda p: (p.stream != "CMD", p.id)):
                waits = self._still.get(parcel.subject, parcel.id) != parcel.id
                if not waits and not await self._send(parcel):
                    self._later([p for p in group if p.id not in sent])
                    break
                sent.append(parcel.id)
        return sent

    async def _send(self, parcel: Parcel) -> bool:
        try:
            if parcel.stream == "EVT":
                await self._bus.emit_raw(
                    parcel.subject,
                    parcel.body,
                    parcel.message_id or f"outbox:{parcel.id}",
                    parcel.ttl_seconds,
                )
                return True
            kept = await self._issue(parcel)
        except Exception:
            log.exception("not published, again soon", extra={"to": parcel.subject})
            return False
        return parcel.once or kept is not Kept.STILL_THERE

    async def _issue(self, parcel: Parcel) -> Kept:
        tries = self._tries.get(parcel.id, 0)
        self._tries[parcel.id] = tries + 1
        # A re-issue has an id of its own, or the deduplication would swallow it.
        message_id = f"outbox:{parcel.id}" + (f":{tries}" if tries else "")
        about = _about(parcel)
        kept = await self._bus.send_raw(parcel.subject, parcel.body, message_id, about)
        if kept is Kept.STILL_THERE:
            if not parcel.once:
                self._still[parcel.subject] = parcel.id
        else:
            self._still.pop(parcel.subject, None)
        return kept

    def _later(self, parcels: list[Parcel]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(RETRY_SECONDS, self.take, parcels)

    def _forget(self, writer: Writer, ids: list[int]) -> None:
        for parcel_id in ids:
            self._tries.pop(parcel_id, None)
        if ids:

            async def forget(turn: Turn) -> None:
                await outbox.sent(turn.db, ids)

            writer.later(forget)


def _about(parcel: Parcel) -> str:
    """Return the task or session whose order must be kept."""
    parts = parcel.subject.split(".")
    if parts[0] == "evt":
        return parts[2]
    if parts[1] == "poller":  # may be there still for long, and holds up nobody
        return parcel.subject
    return parts[-1].rpartition("-")[0]
