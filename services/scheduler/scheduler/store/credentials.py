"""Statements about credentials: several rows of a session, at most one `current`.

One begins as `candidate` and becomes `current` when a check proves it; `retired` when
another took its place, or when it was of no use: then its secret is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler.store.tables import credentials, sessions

State = Literal["candidate", "current", "retired"]


@dataclass(frozen=True)
class Stored:
    """A credential's row without its secret."""

    id: int
    session: str
    state: State
    request: str | None
    forced: bool
    created_at: datetime


@dataclass(frozen=True)
class Told:
    """What is kept beside a secret."""

    fingerprint: str
    masked: str
    region: str
    has_proxy: bool
    request: str = ""
    forced: bool = False


_STORED = tuple(credentials.c[name] for name in Stored.__dataclass_fields__)


async def add(db: AsyncConnection, session_id: str, told: Told, now: datetime) -> int:
    """Insert a candidate without its secret; return its id."""
    done = await db.execute(
        insert(credentials)
        .values(
            session=session_id,
            state="candidate",
            fingerprint=told.fingerprint,
            masked=told.masked,
            region=told.region,
            has_proxy=told.has_proxy,
            request=told.request or None,
            forced=told.forced,
            created_at=now,
        )
        .returning(credentials.c.id)
    )
    return int(done.scalar_one())


async def seal(
    db: AsyncConnection,
    credential_id: int,
    sealed: bytes,
    fingerprint: str | None = None,
) -> None:
    """Put the sealed secret in; its seal is bound to the id, so it comes second."""
    again = {"fingerprint": fingerprint} if fingerprint else {}
    await db.execute(
        update(credentials)
        .where(credentials.c.id == credential_id)
        .values(sealed=sealed, **again)
    )


async def load(db: AsyncConnection, credential_id: int) -> Stored | None:
    """Return one."""
    query = select(*_STORED).where(credentials.c.id == credential_id)
    row = (await db.execute(query)).one_or_none()
    return Stored(**row._mapping) if row else None  # noqa: SLF001 - its public name


async def holder(db: AsyncConnection, fingerprint: str) -> Stored | None:
    """Return who already has this credential."""
    query = select(*_STORED).where(credentials.c.fingerprint == fingerprint)
    row = (await db.execute(query.limit(1))).one_or_none()
    return Stored(**row._mapping) if row else None  # noqa: SLF001


async def asked_for(
    db: AsyncConnection, session_id: str, request: str
) -> Stored | None:
    """Return what a request that comes again has put there before."""
    query = select(*_STORED).where(
        credentials.c.session == session_id, credentials.c.request == request
    )
    row = (await db.execute(query.limit(1))).one_or_none()
    return Stored(**row._mapping) if row else None  # noqa: SLF001


async def in_use(
    db: AsyncConnection, session_id: str, credential_id: int | None = None
) -> tuple[int, bytes] | None:
    """Return (id, sealed) of a named one, else of the current, else the first."""
    query = select(credentials.c.id, credentials.c.sealed).where(
        credentials.c.session == session_id, credentials.c.sealed.is_not(None)
    )
    if credential_id:
        query = query.where(credentials.c.id == credential_id)
    query = query.order_by(credentials.c.state.desc(), credentials.c.id)
    row = (await db.execute(query.limit(1))).one_or_none()
    return (row.id, row.sealed) if row else None


async def candidates(db: AsyncConnection) -> list[Stored]:
    """Return all that no check has settled."""
    rows = await db.execute(
        select(*_STORED).where(
            credentials.c.state == "candidate", credentials.c.sealed.is_not(None)
        )
    )
    return [Stored(**row._mapping) for row in rows]  # noqa: SLF001


async def promote(db: AsyncConnection, stored: Stored) -> None:
    """Make a proven candidate the current credential, and retire every other one."""
    await _retire(db, stored.session, credentials.c.id != stored.id)
    told = select(credentials).where(credentials.c.id == stored.id)
    row = (await db.execute(told)).one()
    await db.execute(
        update(credentials).where(credentials.c.id == stored.id).values(state="current")
    )
    if row.masked is not None:
        await db.execute(
            update(sessions)
            .where(sessions.c.id == stored.session)
            .values(masked=row.masked, region=row.region, has_proxy=row.has_proxy)
        )


async def retire(db: AsyncConnection, stored: Stored) -> None:
    """Take one out of use; its secret is gone at once."""
    await _retire(db, stored.session, credentials.c.id == stored.id)


async def retire_candidates(db: AsyncConnection, session_id: str, but: int) -> None:
    """Take all out of use that no check has settled, except one."""
    candidate = credentials.c.state == "candidate"
    await _retire(db, session_id, candidate, credentials.c.id != but)


async def _retire(db: AsyncConnection, session_id: str, *which: Any) -> None:
    await db.execute(
        update(credentials)
        .where(credentials.c.session == session_id, *which)
        .values(state="retired", sealed=None, fingerprint="")
    )


async def sealed(db: AsyncConnection) -> Sequence[tuple[int, bytes]]:
    """Return every secret there is, as it is sealed."""
    rows = await db.execute(
        select(credentials.c.id, credentials.c.sealed).where(
            credentials.c.sealed.is_not(None)
        )
    )
    return [(row.id, row.sealed) for row in rows]
