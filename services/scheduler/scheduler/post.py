"""What every transaction may ask of deliveries: who listens, and when one is due."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.message import now
from contracts.webhooks import Occasion
from scheduler.domain.endpoints import Endpoint
from scheduler.store import endpoints

LONGEST_SECONDS = 60.0  # between two looks at the clock, which somebody may set
TROUBLE_SECONDS = 5.0
log = logging.getLogger("scheduler")


class Post:
    """Knows the standing endpoints, and when the next delivery is due.

    There is one writer, so what it has read holds until it writes: a task's end costs
    no query where nobody listens.
    """

    def __init__(self) -> None:
        self._known: list[Endpoint] | None = None
        self._changing = False
        self._at: datetime | None = None
        self._sooner = asyncio.Event()

    async def listeners(self, db: AsyncConnection, occasion: Occasion) -> list[str]:
        """Return which endpoints are told of this."""
        known = self._known
        if known is None:
            known = await endpoints.every(db)
            # Before its commit, nobody knows whether a change will hold.
            self._known = None if self._changing else known
        return [each.id for each in known if each.wants(occasion)]

    def changing(self, committed: list[Callable[[], None]]) -> None:
        """Take the endpoints for unknown until the present change is committed."""
        self._known, self._changing = None, True
        committed.append(self._changed)

    def _changed(self) -> None:
        self._known, self._changing = None, False

    def due(self, moment: datetime | None) -> None:
        """Look at this moment, at the latest."""
        if moment and (self._at is None or moment < self._at):
            self._at = moment
            self._sooner.set()

    async def run(self, issue: Callable[[], Awaitable[datetime | None]]) -> None:
        """Have issued what is due, for ever; at first, what an earlier run has left.

        `issue` returns when to look again.
        """
        self.due(now())
        while True:
            await self._wait()
            self._at = None
            try:
                self.due(await issue())
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
