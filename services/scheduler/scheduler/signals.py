"""What a task's fate says about its session, written and told."""

import logging
import secrets
from dataclasses import replace

from contracts.sessions import SessionChanged
from scheduler.check_work import ask_check
from scheduler.domain import pool
from scheduler.domain.rows import Session
from scheduler.domain.steps import Signal
from scheduler.store import sessions
from scheduler.views import shown
from scheduler.writer import Turn

log = logging.getLogger("scheduler")


async def apply_signal(turn: Turn, signal: Signal) -> None:
    """Let an answer of the site change its session."""
    session = await sessions.load(turn.db, signal.session)
    if session is None:
        return
    jitter = 0.5 + secrets.randbelow(501) / 1000
    after = pool.apply(session, signal, turn.now, jitter)
    await write_session(turn, session, after, signal.text)
    if signal.code == pool.NO_PREDEDUCT and after.state == "cooling":
        # Not even one is taken: the next time, its credits tell why.
        await ask_check(turn, session.id, cheap=True, once=True)


async def proven(turn: Turn, session_id: str) -> None:
    """Note that the site took a job of this session."""
    session = await sessions.load(turn.db, session_id)
    if session:
        after = pool.accepted(session, turn.now)
        await write_session(turn, session, after, "the site took a job")


async def write_session(turn: Turn, before: Session, after: Session, why: str) -> None:
    """Write a changed session, and say what operators see of it and why."""
    if after == before:
        return
    revision = await sessions.save(turn.db, after, turn.now)
    if replace(after, streak=before.streak, setbacks=before.setbacks) == before:
        return
    log.info(
        "session %s: %s",
        after.state if after.state != before.state else "changed",
        why,
        extra={"session": after.id, "code": after.code},
    )
    turn.say(SessionChanged(**shown(after), n=revision, what="changed", why=why))
