"""Which of several schedulers may write: the one that holds the lease.

The lease is a row with an epoch, and every transaction begins by checking it: one that
was asleep while another took over can write nothing more. No clocks are compared: a
standby takes over when it has seen no beat for LEASE_SECS on its own monotonic clock.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from time import monotonic

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from runtime.background import running
from scheduler.slot import end_stopped, slot
from scheduler.store import lease
from scheduler.store.engine import is_full, reading, writing

LOOKS = 10  # of a standby, in the life of a lease
LOOK_SECONDS = 1.0  # and at least so often: callers wait no longer for a new holder
BEATS = 4  # of a holder
LOCKED_SECONDS = 0.5  # longer than any transaction takes

log = logging.getLogger("scheduler")


class DeposedError(Exception):
    """Another scheduler holds the lease: nothing was written."""


class Lease:
    """The right to write, as this process has it or waits for it."""

    def __init__(
        self,
        writing: AsyncEngine,
        reads: AsyncEngine,
        folder: Path,
        seconds: float,
        fatal: Callable[[str], None],
    ) -> None:
        self._writing = writing
        self._reads = reads
        self._folder = folder
        self._seconds = seconds
        self._fatal = fatal
        self._epoch = 0
        self._upgrading = False
        self._ours = asyncio.Event()

    async def ours(self) -> None:
        """Wait until this process may write, as far as it knows."""
        await self._ours.wait()

    async def check(self, db: AsyncConnection) -> None:
        """Begin a transaction. Raises DeposedError."""
        if not await lease.holds(db, self._epoch):
            raise DeposedError

    def deposed(self, pieces: int) -> None:
        """End the process: it wakes up as a standby."""
        self._fatal(f"another scheduler took over; {pieces} stale writes were refused")

    @contextmanager
    def upgrading(self) -> Iterator[int]:
        """Give the epoch to upgrade with; beats that this keeps waiting are no harm."""
        self._upgrading = True
        try:
            yield self._epoch
        finally:
            self._upgrading = False

    @asynccontextmanager
    async def held(self, connected: Callable[[], bool]) -> AsyncIterator[None]:
        """Wait for the lease, keep it up, give it back.

        `connected` tells whether NATS is there: without it for as long as a lease
        lives, another, which may have it, shall take over.
        """
        with slot(self._folder) as owner:
            await self._acquire(owner)
            try:
                async with running(lambda: self._keep(owner, connected), self._fatal):
                    yield
            finally:
                with suppress(DeposedError, SQLAlchemyError):
                    await self._release()

    async def _acquire(self, owner: str) -> None:
        seen, since = await self._read(), monotonic()
        if seen.owner not in {None, owner}:
            log.info("standby: another scheduler is at work")
        said = ""
        while True:
            # Our own slot's last holder is dead: the kernel gave us its lock.
            free = seen.owner in {None, owner} or monotonic() - since > self._seconds
            try:
                if free and await self._take_from_stopped(owner, seen):
                    return
            except DBAPIError as error:
                if said != (said := str(error.orig)):
                    log.warning("the lease is free, but not to be had: %s", said)
            await asyncio.sleep(min(self._seconds / LOOKS, LOOK_SECONDS))
            if (now := await self._read()) != seen:
                seen, since = now, monotonic()

    async def _take_from_stopped(self, owner: str, seen: lease.Held) -> bool:
        """Take it, also from a holder that was stopped in the middle of a write."""
        taking = asyncio.create_task(self._take(owner, seen))
        await asyncio.wait({taking}, timeout=LOCKED_SECONDS)
        if not taking.done() and seen.owner and end_stopped(self._folder, seen.owner):
            log.warning("the holder was stopped with the database locked: it was ended")
        return await taking

    async def _read(self) -> lease.Held:
        async with reading(self._reads) as db:
            return await lease.read(db)

    async def _take(self, owner: str, seen: lease.Held) -> bool:
        async with writing(self._writing) as db:
            epoch = await lease.take(db, owner, seen)
        if epoch is None:
            return False
        self._epoch = epoch
        self._ours.set()
        log.info("this scheduler is at work now", extra={"epoch": epoch})
        return True

    async def _keep(self, owner: str, connected: Callable[[], bool]) -> None:
        """Beat; without SQL, or without NATS, for too long let another go on."""
        good = there = monotonic()
        while True:
            await asyncio.sleep(self._seconds / BEATS)
            there = monotonic() if connected() else there
            try:
                if monotonic() - there > self._seconds:
                    await self._stand_back(owner, connected)
                    there = monotonic()
                else:
                    await self._beat()
                    self._ours.set()  # also after standing back failed half-way
                good = monotonic()
            except DeposedError:
                self.deposed(0)
            except SQLAlchemyError as error:
                log.warning("the lease was not renewed: %s", error)
                if self._upgrading or is_full(error):  # nobody else can write either
                    good = monotonic()
                if monotonic() - good > self._seconds:
                    self._fatal("the database has been away for too long")

    async def _beat(self) -> None:
        async with writing(self._writing) as db:
            await self.check(db)
            await lease.beat(db)

    async def _release(self) -> None:
        async with writing(self._writing) as db:
            await self.check(db)
            await lease.release(db)

    async def _stand_back(self, owner: str, connected: Callable[[], bool]) -> None:
        """Give the lease up until NATS is there again; then have it, or end."""
        log.warning("NATS has been away for too long: another scheduler may go on")
        self._ours.clear()
        await self._release()
        while not connected():  # noqa: ASYNC110 - the connection tells nobody
            await asyncio.sleep(self._seconds / LOOKS)
        seen = await self._read()
        # Who had it meanwhile wrote what is not known here, though it has gone.
        mine = seen.owner is None and seen.epoch == self._epoch
        if not mine or not await self._take(owner, seen):
            self.deposed(0)
