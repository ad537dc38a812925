"""The one writer: everything that waits in one transaction, then acks and answers.

Each piece of work has a savepoint of its own, so that one that fails does not roll back
its neighbours. No timer: a transaction begins as soon as there is work, and what comes
meanwhile is the next one's.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from contracts.message import now
from contracts.requests import Refusal, RequestRefusedError
from scheduler.lease import DeposedError, Lease
from scheduler.post import Post
from scheduler.store import outbox
from scheduler.store.engine import is_full, writing
from scheduler.store.outbox import Parcel, Said

MOST = 256  # pieces of work in one transaction
LATER_SECONDS = 1.0
T = TypeVar("T")
log = logging.getLogger("scheduler")


@dataclass
class Turn:
    """One transaction, as a piece of work sees it."""

    db: AsyncConnection
    now: datetime
    parcels: list[Parcel] = field(default_factory=list)
    committed: list[Callable[[], None]] = field(default_factory=list)
    """What to call once it is."""
    post: Post = field(default_factory=Post)

    def say(self, message: Said, *, once: bool = False) -> None:
        """Publish after the commit; `once`: not again where it is still there."""
        self.parcels.append(outbox.parcel_of(message, _next_id(), once=once))


_last_id = 0


def number_after(last_id: int) -> None:
    """Give what is said from now on numbers above this one."""
    global _last_id  # noqa: PLW0603 - one counter for the one writer
    _last_id = max(_last_id, last_id)


def _next_id() -> int:
    """Return a number that grows, also over restarts; there is one writer."""
    global _last_id  # noqa: PLW0603 - one counter for the one writer
    _last_id = max(_last_id + 1, time.time_ns())
    return _last_id


class FullError(RequestRefusedError):
    """The database's disk is full: nothing was written, and later it may be."""

    def __init__(self) -> None:
        super().__init__(
            Refusal(
                status=507,
                type="storage-full",
                detail="the disk of the scheduler's database is full, nothing was "
                "changed: free some room and ask again",
            )
        )


def _told(error: Exception, pieces: int) -> Exception:
    """Log why a transaction failed; return what its callers are told."""
    about = {"pieces": pieces}
    if is_full(error):
        log.error("the database's disk is full: nothing was written", extra=about)
        return FullError()
    log.error("transaction failed", exc_info=error, extra=about)
    return error


Work = Callable[[Turn], Awaitable[T]]
After = Callable[[Turn], Awaitable[float | None]]


@dataclass
class _Piece:
    work: Work[Any]
    done: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    later: bool = False
    """Whether nobody waits for it: while the disk is full it waits itself."""


class Writer:
    """Runs pieces of work, one transaction after another.

    `after` runs at the end of each transaction and returns in how many seconds it
    wants to run again by itself. `tell` gets what is to be published. Whoever holds
    no `lease` writes nothing.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        lease: Lease,
        after: After,
        tell: Callable[[list[Parcel]], None],
        post: Post | None = None,
    ) -> None:
        self._engine = engine
        self._lease = lease
        self._after = after
        self._tell = tell
        self._post = post or Post()
        self._waiting: list[_Piece] = []
        self._more = asyncio.Event()

    async def run(self) -> None:
        """Commit one transaction after another, for ever."""
        wait: float | None = 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._more.wait()
            await self._lease.ours()
            self._more.clear()
            pieces, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            if self._waiting:
                self._more.set()
            try:
                wait = await self._transact(pieces)
            except DeposedError:
                self._lease.deposed(len(pieces))
                wait = None
            except Exception as error:  # noqa: BLE001 - each waiting caller hears of it
                told = _told(error, len(pieces))
                if isinstance(told, FullError):
                    self._waiting += [p for p in pieces if p.later]
                    pieces = [p for p in pieces if not p.later]
                self._settle(pieces, told)
                wait = 1.0

    async def do(self, work: Work[T]) -> T:
        """Run a piece of work; returns, or raises what it raised, after its commit."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Piece(work, done))
        self._more.set()
        return await done

    def later(self, work: Work[None]) -> asyncio.Future[None]:
        """Run a piece of work with the next transaction that is made anyway."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append(_Piece(work, done, later=True))
        loop.call_later(LATER_SECONDS, self._more.set)
        return done

    async def _transact(self, pieces: list[_Piece]) -> float | None:
        async with writing(self._engine) as db:
            await self._lease.check(db)
            turn = Turn(db, now(), post=self._post)
            for piece in pieces:
                if not await self._one(turn, piece, alone=len(pieces) == 1):
                    await db.rollback()
                    self._settle(pieces, None)
                    return 0.0
            wait = await self._after(turn)
            await outbox.put(db, turn.parcels)
        # Committed: only now may anybody hear of it.
        self._tell(turn.parcels)
        for call in turn.committed:
            call()
        self._settle(pieces, None)
        return wait

    async def _one(self, turn: Turn, piece: _Piece, *, alone: bool) -> bool:
        """Do one piece; False when it failed and the transaction has to go."""
        before = len(turn.parcels)
        try:
            # A piece that is alone has the whole transaction as its savepoint.
            async with nullcontext() if alone else turn.db.begin_nested():
                piece.result = await piece.work(turn)
        except RequestRefusedError as no:
            piece.error = no
        except Exception as error:
            if is_full(error):  # SQLite may have rolled everything back already
                raise
            log.exception("a piece of work failed")
            piece.error = error
        if piece.error:
            del turn.parcels[before:]
        return not (piece.error and alone)

    def _settle(self, pieces: list[_Piece], error: Exception | None) -> None:
        for piece in pieces:
            if piece.done.done():  # its caller has gone
                continue
            if failed := piece.error or error:
                piece.done.set_exception(failed)
            else:
                piece.done.set_result(cast("Any", piece.result))
