"""What a task's fate says about its session, written and told."""

import secrets

from contracts.sessions import SessionChanged
from scheduler.domain import pool
from scheduler.domain.rows import Session
from scheduler.domain.steps import Signal
from scheduler.store import sessions
from scheduler.writer import Turn


async def apply_signal(turn: Turn, signal: Signal) -> None:
    """Let an answer of the site change its session."""
    session = await sessions.load(turn.db, signal.session)
    if session is None:
        return
    jitter = 0.5 + secrets.randbelow(501) / 1000
    await write_session(turn, session, pool.apply(session, signal, turn.now, jitter))


async def proven(turn: Turn, session_id: str) -> None:
    """Note that the site took a job of this session."""
    session = await sessions.load(turn.db, session_id)
    if session:
        await write_session(turn, session, pool.accepted(session))


async def write_session(turn: Turn, before: Session, after: Session) -> None:
    """Write a changed session and say it."""
    if after == before:
        return
    revision = await sessions.save(turn.db, after, turn.now)
    turn.say(
        SessionChanged(
            session=after.id,
            n=revision,
            what="changed",
            label=after.label,
            state=after.state,
            reason=after.reason,
            until=after.until,
            credits=after.credits,
        )
    )
