"""SQLite without a change of threads for every statement.

The driver hands each call to a thread, five for one statement, and waits for it on the
event loop: measured, that took half the time of a transaction, and far more on a busy
machine. A statement by key takes some 20 µs, so it runs where it is asked for. What may
take long still goes to the thread: waiting for another's lock, flushing to the disk,
queries that read a whole backlog.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

import aiosqlite
from sqlalchemy.engine import URL

LONG = "/* long */"
"""Prefix of a query whose time grows with the backlog: `.prefix_with(LONG)`."""

STEP_SECONDS = 0.002  # after so long the loop's other work has its turn
FETCHED = 64  # rows at a time, where not all are asked for


class NearConnection(aiosqlite.Connection):
    """A connection that runs what is short on the event loop."""

    _turn_at = 0.0
    writes = True
    """Whether beginning and ending a transaction may wait."""

    async def _execute(self, fn: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Run a call of the driver: the one way they all take."""
        if not self._running or self._is_long(fn, args):
            found = await super()._execute(fn, *args, **named)  # type: ignore[no-untyped-call]
            self._turn_at = monotonic()
            return found
        if monotonic() - self._turn_at > STEP_SECONDS:
            await asyncio.sleep(0)
            self._turn_at = monotonic()
        return fn(*args, **named)

    def _is_long(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> bool:
        if not isinstance(getattr(fn, "__self__", None), sqlite3.Cursor):
            ends = (self._conn.commit, self._conn.rollback)
            short = (self._conn.cursor, *(() if self.writes else ends))
            return fn not in short
        statement = args[0] if args and isinstance(args[0], str) else ""
        return (self.writes and statement.startswith("BEGIN")) or LONG in statement


async def connect(url: URL, *, writes: bool = True) -> NearConnection:
    """Open a connection."""
    args, named = url.get_dialect()().create_connect_args(url)
    opened = NearConnection(partial(sqlite3.connect, *args, **named), FETCHED)
    opened.writes = writes
    opened._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does with its own
    await opened
    return opened
