"""Pieces of work on sessions: add, check, enable, remove. Each inside one Turn."""

import uuid
from dataclasses import replace

from contracts import requests as asked
from contracts.requests import Refusal, RequestRefusedError, SessionReply
from contracts.sessions import CheckSession, SessionChanged, SessionChecked
from jimeng import Account
from jimeng.errors import InvalidAccount
from scheduler.domain import pool
from scheduler.domain.rows import Session
from scheduler.signals import write_session
from scheduler.store import attempts, outbox, sessions
from scheduler.vault import Vault, masked
from scheduler.work import not_found
from scheduler.writer import Turn


def _no(status: int, kind: str, text: str) -> RequestRefusedError:
    return RequestRefusedError(Refusal(status=status, type=kind, detail=text))


async def add(turn: Turn, wish: asked.AddSession, vault: Vault) -> SessionReply:
    """Put an account into the pool, unchecked, and have it checked."""
    try:
        account = Account.parse(wish.credential.get_secret_value())
    except InvalidAccount as error:
        refusal = Refusal(
            status=422,
            type="invalid-credential",
            detail=str(error),
            field="session_id",
        )
        raise RequestRefusedError(refusal) from None
    print_ = vault.fingerprint(account)
    if (holder := await sessions.holder(turn.db, print_)) is not None:
        known = await _view(turn, holder)
        raise _no(409, "session-exists", f"this account is there as {known.label!r}")
    session = await _insert(turn, wish, account)
    await _insert_credential(turn, session, account, vault, print_)
    return SessionReply(session=await _view(turn, session.id))


async def _insert(turn: Turn, wish: asked.AddSession, account: Account) -> Session:
    hidden = masked(account.sessionid)
    session = Session(
        id=uuid.uuid4().hex[:12],
        label=wish.label or hidden,
        state="unchecked",
        region=account.region,
        max_active=wish.max_active,
    )
    await sessions.add(
        turn.db,
        session,
        masked=hidden,
        has_proxy=account.proxy is not None,
        now=turn.now,
    )
    return session


async def _insert_credential(
    turn: Turn, session: Session, account: Account, vault: Vault, fingerprint: str
) -> None:
    row = await sessions.add_credential(turn.db, session.id, fingerprint, turn.now)
    await sessions.seal_credential(turn.db, row, vault.seal(account, row))
    turn.say(CheckSession(session=session.id, credential=row, elsewhere=True))


async def checked(turn: Turn, event: SessionChecked) -> None:
    """Take in what a check found; the same account twice is not kept."""
    if not await outbox.first_time(turn.db, event.id, turn.now):
        return
    session = await sessions.load(turn.db, event.session)
    if session is None:
        return
    twin = None
    if event.upstream_uid:
        twin = await sessions.twin(turn.db, session.id, event.upstream_uid)
    if twin and session.state == "unchecked":
        await _tell_checked(turn, session, event, 0, duplicate_of=twin)
        await sessions.remove(turn.db, session.id, turn.now)
        return
    if event.outcome == "active":
        await sessions.promote(turn.db, session.id, event.credential)
    after = pool.checked(session, event)
    revision = await sessions.save(turn.db, after, turn.now)
    await _tell_checked(turn, after, event, revision)


async def _tell_checked(
    turn: Turn,
    session: Session,
    event: SessionChecked,
    revision: int,
    duplicate_of: str | None = None,
) -> None:
    turn.say(
        SessionChanged(
            session=session.id,
            n=revision,
            what="checked",
            label=session.label,
            state=session.state,
            reason=session.reason,
            until=session.until,
            credits=session.credits,
            outcome=event.outcome,
            remedy=event.remedy,
            duplicate_of=duplicate_of,
        )
    )


async def test(turn: Turn, wish: asked.TestSession) -> SessionReply:
    """Have a session checked now."""
    session = await _load(turn, wish.id)
    await _check(turn, session, elsewhere=True)
    return SessionReply(session=await _view(turn, session.id))


async def enable(turn: Turn, wish: asked.EnableSession) -> SessionReply:
    """Let a session take tasks (it is checked first), or no longer."""
    session = await _load(turn, wish.id)
    if not wish.enabled:
        after = replace(session, state="disabled", reason="by an operator", until=None)
        await write_session(turn, session, after)
    elif session.state != "active" or session.closed_models:
        after = replace(
            session,
            state="unchecked",
            reason=None,
            until=None,
            setbacks=0,
            closed_models=(),
        )
        await write_session(turn, session, after)
        await _check(turn, session)
    return SessionReply(session=await _view(turn, session.id))


async def remove(turn: Turn, wish: asked.RemoveSession) -> SessionReply:
    """Take a session out; its secret is gone at once, its row stays for its tasks."""
    session = await _load(turn, wish.id)
    if unsettled := await attempts.unsettled(turn.db, session.id):
        raise _no(
            409,
            "session-busy",
            f"{unsettled} unsettled tasks on this session; disable it and wait",
        )
    view = await _view(turn, session.id)
    await sessions.remove(turn.db, session.id, turn.now)
    turn.say(
        SessionChanged(
            session=session.id,
            n=0,
            what="removed",
            label=session.label,
            state="disabled",
        )
    )
    return SessionReply(session=view)


async def check_unchecked(turn: Turn) -> None:
    """Check again what no check has settled, and expired ones that tasks wait for."""
    for session in await sessions.pool(turn.db):
        waited_for = session.state == "expired" and session.active > 0
        if session.state == "unchecked" or waited_for:
            await _check(turn, session)


async def _check(turn: Turn, session: Session, *, elsewhere: bool = False) -> None:
    found = await sessions.newest_credential(turn.db, session.id)
    if found:
        turn.say(
            CheckSession(session=session.id, credential=found[0], elsewhere=elsewhere)
        )


async def _load(turn: Turn, session_id: str) -> Session:
    session = await sessions.load(turn.db, session_id)
    if session is None:
        raise not_found("session")
    return session


async def _view(turn: Turn, session_id: str) -> asked.Session:
    found = await sessions.views(turn.db, session_id)
    if not found:
        raise not_found("session")
    return found[0]
