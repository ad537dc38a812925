"""Pieces of work on sessions that operators ask for. Each inside one Turn."""

import uuid
from dataclasses import replace
from datetime import timedelta

from contracts import pool as asked
from contracts.pool import DrainSession, SessionReply, SetSession
from contracts.requests import RequestRefusedError
from contracts.sessions import SessionChanged, SessionState
from jimeng import Account, InvalidJob, find_model
from jimeng.errors import InvalidAccount
from scheduler.check_work import ask_check
from scheduler.domain.rows import Session
from scheduler.signals import write_session
from scheduler.store import attempts, credentials, session_views, sessions
from scheduler.store.credentials import Told
from scheduler.vault import Vault, masked
from scheduler.work import not_found, refusal
from scheduler.writer import Turn

HIDDEN = "****"  # nobody needs to recognise a lent one
LENT_KEPT = timedelta(minutes=2)
"""Without a task: so long at most between lending it and its create."""


async def add(turn: Turn, wish: asked.AddSession, vault: Vault) -> SessionReply:
    """Put an account into the pool, unchecked, and have it checked."""
    account = parsed(wish.credential.get_secret_value())
    told = told_of(account, vault, wish.request)
    if wish.lent:
        told = replace(told, masked=HIDDEN)
    if (held := await credentials.holder(turn.db, told.fingerprint)) is not None:
        if wish.lent and (lent := await _lent_again(turn, held.session)):
            return lent
        if not wish.request or held.request != wish.request:
            raise await taken(turn, held.session)
        return await reply(turn, held.session, held.id)
    session = await _insert(turn, wish, told)
    row = await insert_credential(turn, session.id, account, told, vault)
    return await reply(turn, session.id, row)


def parsed(credential: str) -> Account:
    """Read a credential; one that cannot be read is refused and not repeated."""
    try:
        return Account.parse(credential)
    except InvalidAccount as error:
        text = str(error)
        raise refusal(422, "invalid-credential", text, "session_id") from None


def told_of(
    account: Account, vault: Vault, request: str, *, forced: bool = False
) -> Told:
    """Return what is kept of an account beside its secret."""
    return Told(
        fingerprint=vault.fingerprint(account),
        masked=masked(account.sessionid),
        region=account.region,
        has_proxy=account.proxy is not None,
        request=request,
        forced=forced,
    )


async def taken(turn: Turn, session_id: str) -> RequestRefusedError:
    """Return the refusal of a credential that is there."""
    known = await _view(turn, session_id)
    text = f"this account is there as {known.label!r}"
    return refusal(409, "session-exists", text)


async def _insert(turn: Turn, wish: asked.AddSession, told: Told) -> Session:
    session = Session(
        id=uuid.uuid4().hex[:12],
        label=wish.label or told.masked,
        state="unchecked",
        region=told.region,
        max_active=wish.max_active,
        lent=wish.lent,
    )
    await sessions.add(
        turn.db,
        session,
        masked=told.masked,
        has_proxy=told.has_proxy,
        now=turn.now,
    )
    return session


async def _lent_again(turn: Turn, session_id: str) -> SessionReply | None:
    """Lend an account for longer; None: it is one of the pool's."""
    session = await load(turn, session_id)
    if not session.lent:
        return None
    await sessions.lend_again(turn.db, session_id, turn.now)
    return await reply(turn, session_id)


async def insert_credential(
    turn: Turn, session_id: str, account: Account, told: Told, vault: Vault
) -> int:
    """Keep a candidate, and have it checked."""
    row = await credentials.add(turn.db, session_id, told, turn.now)
    await credentials.seal(turn.db, row, vault.seal(account, row))
    await ask_check(turn, session_id, row, elsewhere=True)
    return row


async def test(turn: Turn, wish: asked.TestSession) -> SessionReply:
    """Have a session checked now."""
    session = await load(turn, wish.id)
    row = await ask_check(turn, session.id, elsewhere=True)
    return await reply(turn, session.id, row)


async def enable(turn: Turn, wish: asked.EnableSession) -> SessionReply:
    """Let a session take tasks (it is checked first), or no longer."""
    session = await load(turn, wish.id)
    if not wish.enabled:
        after = _stand(turn, session, "disabled", "by an operator")
        await write_session(turn, session, after, "disabled by an operator")
        return await reply(turn, session.id)
    if session.state != "active" or session.closed_models:
        after = _stand(turn, session, "unchecked", None)
        after = replace(after, setbacks=0, closed_models=())
        await write_session(turn, session, after, "enabled by an operator")
        await ask_check(turn, session.id)
    return await reply(turn, session.id)


def _stand(
    turn: Turn, session: Session, state: SessionState, why: str | None
) -> Session:
    since = session.since if session.state == state else turn.now
    return replace(session, state=state, reason=why, code=None, since=since, until=None)


async def change(turn: Turn, wish: SetSession) -> SessionReply:
    """Change how a session is used."""
    session = await load(turn, wish.id)
    given = wish.model_dump(exclude={"id"}, exclude_none=True)
    if "models" in given:
        given["models"] = tuple(dict.fromkeys(map(_model, given["models"])))
    if "daily_cap" in given:
        given["daily_cap"] = given["daily_cap"] or None
    after = replace(session, **given)
    if after.learnt and after.learnt >= after.max_active:
        after = replace(after, learnt=None, streak=0)
    names = ", ".join(sorted(given))
    await write_session(turn, session, after, f"{names} set by an operator")
    return await reply(turn, session.id)


def _model(name: str) -> str:
    try:
        return find_model(name).key
    except InvalidJob as error:
        raise refusal(422, "unknown-model", error.text, "models") from None


async def remove(turn: Turn, wish: asked.RemoveSession) -> SessionReply:
    """Take a session out; its secret is gone at once, its row stays for its tasks."""
    session = await load(turn, wish.id)
    if unsettled := await attempts.unsettled(turn.db, session.id):
        text = f"{unsettled} unsettled tasks on this session; drain it instead"
        raise refusal(409, "session-busy", text)
    view = await _view(turn, session.id)
    await _take_out(turn, session, "by an operator")
    return SessionReply(session=view)


async def drain(turn: Turn, wish: DrainSession) -> SessionReply:
    """Give a session no more tasks, and take it out when those on it have ended."""
    session = await load(turn, wish.id)
    after = _stand(turn, session, "draining", "by an operator")
    await write_session(turn, session, after, "drained by an operator")
    answer = await reply(turn, session.id)
    await _take_out_if_settled(turn, after)
    return answer


async def take_out_drained(turn: Turn) -> None:
    """Take draining and lent sessions out, once nothing of them is unsettled."""
    for session in await sessions.pool(turn.db):
        over = session.lent and await sessions.lent_for_nothing(
            turn.db, session.id, turn.now - LENT_KEPT
        )
        if session.state == "draining" or over:
            await _take_out_if_settled(turn, session)


async def _take_out_if_settled(turn: Turn, session: Session) -> None:
    if not await attempts.unsettled(turn.db, session.id):
        await _take_out(turn, session, "its tasks have ended")


async def _take_out(turn: Turn, session: Session, why: str) -> None:
    await sessions.remove(turn.db, session.id, turn.now)
    turn.say(
        SessionChanged(
            session=session.id,
            n=0,
            what="removed",
            label=session.label,
            state="disabled",
            why=f"removed: {why}",
        )
    )


async def load(turn: Turn, session_id: str) -> Session:
    """Return a session, or refuse with 404."""
    session = await sessions.load(turn.db, session_id)
    if session is None:
        raise not_found("session")
    return session


async def reply(
    turn: Turn, session_id: str, credential: int | None = None
) -> SessionReply:
    """Answer with a session, and which of its credentials is being checked."""
    view = await _view(turn, session_id)
    return SessionReply(session=view, credential=credential)


async def _view(turn: Turn, session_id: str) -> asked.Session:
    found = await session_views.views(turn.db, session_id)
    if not found:
        raise not_found("session")
    return found[0]
