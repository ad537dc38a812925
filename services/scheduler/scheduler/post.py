"""Sees to it that deliveries are sent when they are due, also after a restart."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from contracts.message import now
from contracts.webhooks import Deliver
from scheduler.domain.delivering import PATIENCE, Delivery
from scheduler.store import deliveries
from scheduler.writer import Turn, Writer

LONGEST_SECONDS = 60.0  # between two looks at the clock, which somebody may set
TROUBLE_SECONDS = 5.0
log = logging.getLogger("scheduler")


class Post:
    """Knows when the next delivery is due, and looks for more only then."""

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._sooner = asyncio.Event()

    def due(self, moment: datetime | None) -> None:
        """Look at this moment, at the latest."""
        if moment and (self._at is None or moment < self._at):
            self._at = moment
            self._sooner.set()

    async def run(self, writer: Writer) -> None:
        """Issue what is due, for ever; at first, what an earlier run has left."""
        self.due(now())
        while True:
            await self._wait()
            self._at = None
            try:
                self.due(await writer.do(issue_due))
            except Exception:
                log.exception("deliveries not looked after, again soon")
                await asyncio.sleep(TROUBLE_SECONDS)
                self.due(now())

    async def _wait(self) -> None:
        while (left := self._seconds_left()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._sooner.wait()
            self._sooner.clear()

    def _seconds_left(self) -> float:
        if self._at is None:
            return LONGEST_SECONDS
        return min((self._at - now()).total_seconds(), LONGEST_SECONDS)


async def issue_due(turn: Turn) -> datetime | None:
    """Have sent what is due; return when to look again."""
    for each in await deliveries.due(turn.db, turn.now):
        send(turn, each, once=True)
        await deliveries.save(turn.db, replace(each, due_at=turn.now + PATIENCE))
    return await deliveries.next_due(turn.db)


def send(turn: Turn, delivery: Delivery, *, once: bool = False) -> None:
    """Have the latest try of a delivery made."""
    command = Deliver(delivery=delivery.id, n=delivery.n, task=delivery.task or "-")
    turn.say(command, once=once)
