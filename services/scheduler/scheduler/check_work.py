"""Checks of credentials: asked for, taken in, and made by themselves when due."""

import logging
from dataclasses import replace
from datetime import timedelta

from contracts.sessions import CheckSession, SessionChanged, SessionChecked
from contracts.tasks import PollSession
from scheduler.domain import checking, pool
from scheduler.domain.rows import Session
from scheduler.store import attempts, credentials, outbox, sessions
from scheduler.store.credentials import Stored
from scheduler.views import shown
from scheduler.writer import Turn

AT_ONCE = 4  # periodic checks in one look; the others' turn is the next
CANDIDATE_KEPT = timedelta(minutes=15)
log = logging.getLogger("scheduler")


async def ask_check(
    turn: Turn,
    session_id: str,
    credential: int | None = None,
    *,
    elsewhere: bool = False,
    cheap: bool = False,
    once: bool = False,
) -> int | None:
    """Have a credential checked, else the one in use; return which."""
    found = await credentials.in_use(turn.db, session_id, credential)
    if found is None:
        return None
    await sessions.note_asked(turn.db, session_id, turn.now)
    command = CheckSession(
        session=session_id, credential=found[0], elsewhere=elsewhere, cheap=cheap
    )
    turn.say(command, once=once)
    return found[0]


async def checked(turn: Turn, event: SessionChecked) -> None:
    """Take in what a check found."""
    if not await outbox.first_time(turn.db, event.id, turn.now):
        return
    session = await sessions.load(turn.db, event.session)
    row = await credentials.load(turn.db, event.credential)
    if session is None or row is None or row.state == "retired":
        return  # late news of a credential that is no longer used
    used = await credentials.in_use(turn.db, session.id)
    if used and used[0] == row.id:
        await _take(turn, session, row, event)
    else:
        await _judge(turn, session, row, event)


async def _take(
    turn: Turn, session: Session, row: Stored, event: SessionChecked
) -> None:
    """Let a check of the credential in use change its session."""
    twin = await _twin(turn, session, event)
    if twin and session.state == "unchecked":  # the same account twice is not kept
        revision = 0
        if await attempts.unsettled(turn.db, session.id):  # but what it sent is
            why = f"the same account as session {twin}"
            session = replace(session, state="draining", reason=why)
            revision = await sessions.save(turn.db, session, turn.now)
        else:
            await sessions.remove(turn.db, session.id, turn.now)
        await _tell(turn, session, event, revision, duplicate_of=twin)
        return
    if event.outcome == "active" and row.state == "candidate":
        await credentials.promote(turn.db, row)
    if event.upstream_uid and not twin:
        session = replace(session, upstream_uid=event.upstream_uid)
    after = pool.checked(session, event, turn.now)
    revision = await sessions.save(turn.db, after, turn.now)
    await _tell(turn, after, event, revision)


async def _judge(
    turn: Turn, session: Session, row: Stored, event: SessionChecked
) -> None:
    """Let a candidate take the present credential's place, or go."""
    why = None
    if event.outcome != "unreachable":
        why = await _unfit(turn, session, row, event)
    if why or event.outcome == "unreachable":
        if why:
            await credentials.retire(turn.db, row)
        revision = await sessions.save(turn.db, session, turn.now)
        await _tell(turn, session, event, revision, rejected=why)
        return
    await credentials.promote(turn.db, row)
    uid = event.upstream_uid or (None if row.forced else session.upstream_uid)
    renewed = pool.checked(replace(session, upstream_uid=uid), event, turn.now)
    revision = await sessions.save(turn.db, renewed, turn.now)
    await _tell(turn, renewed, event, revision, why="its credential was replaced")
    if await attempts.unended(turn.db, session.id):
        turn.say(PollSession(session=session.id), once=True)


async def _unfit(
    turn: Turn, session: Session, row: Stored, event: SessionChecked
) -> str | None:
    if twin := await _twin(turn, session, event):
        return f"this account is in the pool already, as session {twin}"
    unsettled = await attempts.unsettled(turn.db, session.id)
    return pool.unfit(session, event, unsettled=unsettled, force=row.forced)


async def _twin(turn: Turn, session: Session, event: SessionChecked) -> str | None:
    if not event.upstream_uid:
        return None
    return await sessions.twin(turn.db, session.id, event.upstream_uid)


async def _tell(
    turn: Turn,
    session: Session,
    event: SessionChecked,
    revision: int,
    *,
    duplicate_of: str | None = None,
    rejected: str | None = None,
    why: str | None = None,
) -> None:
    if rejected:
        log.warning("new credential not taken: %s", rejected, extra=_about(session))
    turn.say(
        SessionChanged(
            **shown(session),
            n=revision,
            what="checked",
            outcome=event.outcome,
            remedy=event.remedy,
            duplicate_of=duplicate_of,
            why=why or f"checked: {event.outcome.replace('_', ' ')}",
            credential=event.credential,
            rejected=rejected,
        )
    )


async def look_after_checks(turn: Turn) -> None:
    """Check what nothing has proved for long, and bring back what may be back."""
    found = await sessions.pool(turn.db)
    work = await sessions.work(turn.db, turn.now)
    begun = 0
    for session in found:
        why = checking.due(session, work.get(session.id, checking.Work()), turn.now)
        if why and begun < AT_ONCE:
            begun += 1
            log.info("session is checked: %s", why, extra=_about(session))
            # Whose it is, only the longer check tells, and once is enough.
            cheap = session.state != "unchecked"
            await ask_check(turn, session.id, cheap=cheap, once=True)
    await _look_after_candidates(turn, {s.id: s for s in found})


async def _look_after_candidates(turn: Turn, found: dict[str, Session]) -> None:
    """Test again what was unreachable, and give it up in the end."""
    for row in await credentials.candidates(turn.db):
        used = await credentials.in_use(turn.db, row.session)
        session = found.get(row.session)
        if session is None or (used and used[0] == row.id):
            continue
        age = turn.now - row.created_at
        if age > CANDIDATE_KEPT:
            event = SessionChecked(
                session=session.id, credential=row.id, outcome="unreachable"
            )
            why = "it could not be tested: the site did not answer"
            await credentials.retire(turn.db, row)
            revision = await sessions.save(turn.db, session, turn.now)
            await _tell(turn, session, event, revision, rejected=why)
        elif age > checking.FIRST:
            await ask_check(turn, session.id, row.id, elsewhere=True, once=True)


def _about(session: Session) -> dict[str, str]:
    return {"session": session.id}
