"""Statements about sessions. What can be counted from attempts is not stored."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Row,
    Select,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.message import now as present
from contracts.sessions import ClosedModel, Credits
from contracts.values import LENT, TERMINAL
from scheduler.domain.checking import Work
from scheduler.domain.pool import day_start
from scheduler.domain.rows import Session
from scheduler.store.tables import attempts, credentials, sessions, tasks

PENDING = ("reserved", "permitted")
WORK_KEPT = timedelta(days=2)  # an older send proves nothing of today


def _count(name: str, *conditions: Any) -> Any:
    """Return a column: how many attempts of a session meet conditions."""
    return (
        select(func.count())
        .select_from(attempts)
        .where(attempts.c.session == sessions.c.id, *conditions)
        .correlate(sessions)
        .scalar_subquery()
        .label(name)
    )


def in_pool(*more: Any) -> Select[Any]:
    """Select sessions that are in the pool, with what is counted."""
    of_held = exists().where(
        tasks.c.id == attempts.c.task,
        tasks.c.attempt == attempts.c.n,
        tasks.c.stage == "held",
    )
    took = or_(attempts.c.upstream_id.is_not(None), attempts.c.charged.is_(True))
    return (
        select(
            sessions,
            _count("active", attempts.c.state != "ended"),
            _count("pending", attempts.c.state.in_(PENDING)),
            _count("held", attempts.c.state == "permitted", of_held),
            _count(
                "accepted",
                attempts.c.permitted_at
                >= bindparam("today", callable_=lambda: day_start(present())),
                attempts.c.state.not_in(PENDING),
                attempts.c.adopted.is_(False),
                took,
            ),
            *more,
        )
        .where(sessions.c.removed_at.is_(None))
        .order_by(sessions.c.created_at, sessions.c.id)
    )


# Built once: building a statement takes longer than running it.
_POOL = in_pool()
_ONE = _POOL.where(sessions.c.id == bindparam("key"))


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
            since=now,
            region=session.region,
            masked=masked,
            has_proxy=has_proxy,
            max_active=session.max_active,
            closed_models=[],
            lent=session.lent,
            created_at=now,
            updated_at=now,
        )
    )


async def load(db: AsyncConnection, session_id: str) -> Session | None:
    """Return one session."""
    row = (await db.execute(_ONE, {"key": session_id})).one_or_none()
    return session_of(row) if row else None


async def pool(db: AsyncConnection) -> list[Session]:
    """Return every session, the oldest first."""
    return [session_of(row) for row in await db.execute(_POOL)]


async def save(db: AsyncConnection, session: Session, now: datetime) -> int:
    """Write a changed session; return its new revision."""
    done = await db.execute(
        update(sessions)
        .where(sessions.c.id == session.id)
        .values(
            label=session.label,
            state=session.state,
            reason=session.reason,
            code=session.code,
            since=session.since,
            until=session.until,
            setbacks=session.setbacks,
            max_active=session.max_active,
            learnt=session.learnt,
            streak=session.streak,
            weight=session.weight,
            daily_cap=session.daily_cap,
            models=list(session.models),
            closed_models=[m.model_dump(mode="json") for m in session.closed_models],
            credits=session.credits.model_dump() if session.credits else None,
            upstream_uid=session.upstream_uid,
            last_error=session.last_error,
            checked_at=session.checked_at,
            revision=sessions.c.revision + 1,
            updated_at=now,
        )
        .returning(sessions.c.revision)
    )
    return int(done.scalar_one())


async def note_asked(db: AsyncConnection, session_id: str, now: datetime) -> None:
    """Note that a check was asked for."""
    await db.execute(
        update(sessions).where(sessions.c.id == session_id).values(asked_at=now)
    )


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


async def lend_again(db: AsyncConnection, session_id: str, now: datetime) -> None:
    """Note that a lent session was asked for again."""
    await db.execute(
        update(sessions).where(sessions.c.id == session_id).values(updated_at=now)
    )


async def lent_for_nothing(
    db: AsyncConnection, session_id: str, before: datetime
) -> bool:
    """Tell whether it was lent before then, and no task of its lender is open."""
    mine = tasks.c.owner == f"{LENT}{session_id}"
    is_open = exists().where(mine, tasks.c.status.not_in(TERMINAL))
    query = select(sessions.c.id).where(
        sessions.c.id == session_id, sessions.c.updated_at < before, ~is_open
    )
    return await db.scalar(query) is not None


async def twin(db: AsyncConnection, session_id: str, upstream_uid: str) -> str | None:
    """Return another session of this upstream account."""
    found: str | None = await db.scalar(
        select(sessions.c.id).where(
            sessions.c.upstream_uid == upstream_uid,
            sessions.c.id != session_id,
            sessions.c.removed_at.is_(None),
        )
    )
    return found


async def work(db: AsyncConnection, now: datetime) -> dict[str, Work]:
    """Return what the attempts of each active session tell of it."""
    mine = and_(
        attempts.c.session == sessions.c.id,
        attempts.c.permitted_at >= now - WORK_KEPT,
    )

    def latest(name: str, moment: Any, *conditions: Any) -> Any:
        query = select(func.max(moment)).where(mine, *conditions)
        return query.correlate(sessions).scalar_subquery().label(name)

    known = attempts.c.upstream_id.is_not(None)
    rows = await db.execute(
        select(
            sessions.c.id,
            latest("sent", attempts.c.permitted_at, known),
            latest("said", attempts.c.said_at),
            latest("charged", attempts.c.ended_at, attempts.c.charged.is_(True)),
        ).where(sessions.c.state == "active", sessions.c.removed_at.is_(None))
    )
    return {
        row.id: Work(max(filter(None, (row.sent, row.said)), default=None), row.charged)
        for row in rows
    }


def session_of(row: Row[Any]) -> Session:
    """Read a row."""
    return Session(
        id=row.id,
        label=row.label,
        state=row.state,
        region=row.region,
        max_active=row.max_active,
        active=row.active,
        pending=row.pending,
        held=row.held,
        today=row.accepted + row.pending,
        reason=row.reason,
        code=row.code,
        since=row.since,
        until=row.until,
        setbacks=row.setbacks,
        learnt=row.learnt,
        streak=row.streak,
        weight=row.weight,
        daily_cap=row.daily_cap,
        models=tuple(row.models),
        lent=row.lent,
        closed_models=tuple(map(ClosedModel.model_validate, row.closed_models)),
        credits=Credits.model_validate(row.credits) if row.credits else None,
        upstream_uid=row.upstream_uid,
        last_used_at=row.last_used_at,
        last_error=row.last_error,
        checked_at=row.checked_at,
        asked_at=row.asked_at,
    )
