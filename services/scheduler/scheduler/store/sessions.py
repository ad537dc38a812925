"""Statements about sessions and their credentials."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import requests as asked
from contracts.sessions import Credits
from contracts.tasks import TERMINAL
from scheduler.domain.rows import Session
from scheduler.store.tables import attempts, credentials, sessions, tasks

_ACTIVE = (
    select(func.count())
    .select_from(attempts)
    .where(attempts.c.session == sessions.c.id, attempts.c.state != "ended")
    .correlate(sessions)
    .scalar_subquery()
    .label("active")
)


async def add(
    db: AsyncConnection,
    session: Session,
    *,
    masked: str,
    has_proxy: bool,
    now: datetime,
) -> None:
    """Insert a new session."""
    await db.execute(
        insert(sessions).values(
            id=session.id,
            label=session.label,
            state=session.state,
            region=session.region,
            masked=masked,
            has_proxy=has_proxy,
            max_active=session.max_active,
            closed_models=[],
            created_at=now,
            updated_at=now,
        )
    )


async def load(db: AsyncConnection, session_id: str) -> Session | None:
    """Return one session."""
    row = (
        await db.execute(
            select(sessions, _ACTIVE).where(
                sessions.c.id == session_id, sessions.c.removed_at.is_(None)
            )
        )
    ).one_or_none()
    return session_of(row) if row else None


async def pool(db: AsyncConnection) -> list[Session]:
    """Return every session, the oldest first."""
    rows = await db.execute(
        select(sessions, _ACTIVE)
        .where(sessions.c.removed_at.is_(None))
        .order_by(sessions.c.created_at, sessions.c.id)
    )
    return [session_of(r) for r in rows]


async def save(db: AsyncConnection, session: Session, now: datetime) -> int:
    """Write a changed session; return its new revision."""
    done = await db.execute(
        update(sessions)
        .where(sessions.c.id == session.id)
        .values(
            state=session.state,
            reason=session.reason,
            until=session.until,
            setbacks=session.setbacks,
            closed_models=list(session.closed_models),
            credits=session.credits.model_dump() if session.credits else None,
            last_error=session.last_error,
            revision=sessions.c.revision + 1,
            updated_at=now,
        )
        .returning(sessions.c.revision)
    )
    return int(done.scalar_one())


async def remove(db: AsyncConnection, session_id: str, now: datetime) -> None:
    """Keep the row for its attempts, without its secret."""
    await db.execute(
        update(credentials)
        .where(credentials.c.session == session_id)
        .values(sealed=None, state="retired", fingerprint="")
    )
    await db.execute(
        update(sessions)
        .where(sessions.c.id == session_id)
        .values(state="disabled", removed_at=now, updated_at=now, upstream_uid=None)
    )


async def views(
    db: AsyncConnection, session_id: str | None = None
) -> list[asked.Session]:
    """Return sessions as operators see them; counters are derived from attempts."""
    ended = (
        select(
            attempts.c.session,
            func.count().label("total"),
            func.sum(
                literal_column("CASE tasks.status WHEN 'succeeded' THEN 1 END")
            ).label("succeeded"),
            func.sum(
                literal_column("CASE tasks.status WHEN 'failed' THEN 1 END")
            ).label("failed"),
        )
        .join(tasks, tasks.c.id == attempts.c.task)
        .where(tasks.c.status.in_(TERMINAL), tasks.c.attempt == attempts.c.n)
        .group_by(attempts.c.session)
        .subquery()
    )
    query = (
        select(sessions, _ACTIVE, ended.c.total, ended.c.succeeded, ended.c.failed)
        .outerjoin(ended, ended.c.session == sessions.c.id)
        .where(sessions.c.removed_at.is_(None))
        .order_by(sessions.c.created_at, sessions.c.id)
    )
    if session_id:
        query = query.where(sessions.c.id == session_id)
    return [_view(r) for r in await db.execute(query)]


def _view(row: Row[Any]) -> asked.Session:
    fields = {
        name: getattr(row, name)
        for name in asked.Session.model_fields
        if name not in {"total", "succeeded", "failed"}
    }
    return asked.Session(
        **fields,
        total=row.total or 0,
        succeeded=row.succeeded or 0,
        failed=row.failed or 0,
    )


def session_of(row: Row[Any]) -> Session:
    """Read a row."""
    return Session(
        id=row.id,
        label=row.label,
        state=row.state,
        region=row.region,
        max_active=row.max_active,
        active=row.active,
        reason=row.reason,
        until=row.until,
        setbacks=row.setbacks,
        closed_models=tuple(row.closed_models),
        credits=Credits.model_validate(row.credits) if row.credits else None,
        last_used_at=row.last_used_at,
        last_error=row.last_error,
    )


# credentials: `candidate` until a check proves it, then `current`; `retired` when
# another took its place


async def add_credential(
    db: AsyncConnection, session_id: str, fingerprint: str, now: datetime
) -> int:
    """Insert a candidate without its secret; return its id."""
    done = await db.execute(
        insert(credentials)
        .values(
            session=session_id,
            state="candidate",
            fingerprint=fingerprint,
            created_at=now,
        )
        .returning(credentials.c.id)
    )
    return int(done.scalar_one())


async def seal_credential(
    db: AsyncConnection, credential_id: int, sealed: bytes
) -> None:
    """Put the sealed secret in; its seal is bound to the id, so it comes second."""
    await db.execute(
        update(credentials)
        .where(credentials.c.id == credential_id)
        .values(sealed=sealed)
    )


async def holder(db: AsyncConnection, fingerprint: str) -> str | None:
    """Return the session that already has this credential."""
    found: str | None = await db.scalar(
        select(credentials.c.session).where(credentials.c.fingerprint == fingerprint)
    )
    return found


async def newest_credential(
    db: AsyncConnection, session_id: str, credential_id: int | None = None
) -> tuple[int, bytes] | None:
    """Return (id, sealed) of a named credential, else the current, else a candidate."""
    query = select(credentials.c.id, credentials.c.sealed).where(
        credentials.c.session == session_id, credentials.c.sealed.is_not(None)
    )
    if credential_id:
        query = query.where(credentials.c.id == credential_id)
    query = query.order_by(credentials.c.state.desc(), credentials.c.id.desc())
    row = (await db.execute(query.limit(1))).one_or_none()
    return (row.id, row.sealed) if row else None


async def promote(db: AsyncConnection, session_id: str, credential_id: int) -> None:
    """Make a proven candidate the current credential."""
    await db.execute(
        update(credentials)
        .where(
            credentials.c.session == session_id,
            credentials.c.id == credential_id,
            credentials.c.state == "candidate",
        )
        .values(state="current")
    )


async def twin(db: AsyncConnection, session_id: str, upstream_uid: str) -> str | None:
    """Return another session of this upstream account; without one, note it here."""
    found: str | None = await db.scalar(
        select(sessions.c.id).where(
            sessions.c.upstream_uid == upstream_uid,
            sessions.c.id != session_id,
            sessions.c.removed_at.is_(None),
        )
    )
    if found is None:
        await db.execute(
            update(sessions)
            .where(sessions.c.id == session_id)
            .values(upstream_uid=upstream_uid)
        )
    return found
