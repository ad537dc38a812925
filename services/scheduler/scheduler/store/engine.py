"""The database: one connection that writes, others that only read."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from boundary import boundary
from runtime.settings import SettingsError
from scheduler.store import near

BUSY_MS = 5_000


def database_url(value: str, data_dir: Path) -> URL:
    """Read DATABASE_URL in SQLAlchemy's or the earlier gateway's form.

    There, what follows `sqlite://` is the path: `sqlite://data/gateway.db?mode=rwc`.
    Raises SettingsError.
    """
    if not value:
        return URL.create("sqlite+aiosqlite", database=str(data_dir / "gateway.db"))
    path, _, query = value.partition("?")
    earlier = query.startswith("mode=") or not path.startswith("sqlite:///")
    if path.startswith("sqlite://") and earlier:
        value = "sqlite:///" + path.removeprefix("sqlite://")
    try:
        url = make_url(value)
    except ArgumentError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from None
    if url.get_backend_name() != "sqlite":
        raise SettingsError("DATABASE_URL: only sqlite is supported so far")
    return url.set(drivername="sqlite+aiosqlite")


def writing_engine(url: URL) -> AsyncEngine:
    """Return the engine of the one writer; its transactions lock at their begin."""

    async def connect() -> near.NearConnection:
        return await near.connect(url)

    engine = create_async_engine(
        url, pool_size=1, max_overflow=0, async_creator=connect
    )
    _prepare(engine, begin="BEGIN IMMEDIATE", readonly=False)
    return engine


def reading_engine(url: URL) -> AsyncEngine:
    """Return an engine that cannot write and never waits for the writer."""
    engine = create_async_engine(url, pool_size=2, max_overflow=2)
    _prepare(engine, begin="BEGIN", readonly=True)
    return engine


def looking_engine(url: URL) -> AsyncEngine:
    """Return an engine that only reads, and only by key: on the event loop itself."""

    async def connect() -> near.NearConnection:
        return await near.connect(url, writes=False)

    engine = create_async_engine(
        url, pool_size=4, max_overflow=0, async_creator=connect
    )
    _prepare(engine, begin="BEGIN", readonly=True)
    return engine


def _prepare(engine: AsyncEngine, *, begin: str, readonly: bool) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        # The driver's own implicit BEGIN would come too late for a savepoint.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_MS}",  # first: the next one takes a lock
            "journal_mode=WAL",
            # NORMAL loses acknowledged commits at a power cut.
            "synchronous=FULL",
            "foreign_keys=ON",
            f"query_only={'ON' if readonly else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Read in one consistent snapshot."""
    # no boundary: it writes nothing
    async with engine.connect() as connection, connection.begin():
        yield connection


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Write in one transaction, committed where it is left without an error."""
    # no boundary: what it begins has one where it ends
    async with engine.connect() as connection, connection.begin() as transaction:
        yield connection
        if transaction.is_active:  # not rolled back meanwhile
            with boundary("commit"):
                await transaction.commit()


def is_full(error: BaseException) -> bool:
    """Whether a disk without room was the reason; then nothing was written.

    The file of shared memory beside the database fails in words of its own.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlite_errorname", "") in _FULL


_FULL = {"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE"}


def copy_database(source: Path, target: Path) -> None:
    """Write a whole, consistent copy of a database file."""
    with sqlite3.connect(source) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    connection.close()
