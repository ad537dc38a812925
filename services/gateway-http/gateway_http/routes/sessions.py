"""`/api/v1/sessions`: the accounts of the pool. Secrets come in and never go out."""

import uuid
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Header, Path, Response

from contracts.pool import (
    AddSession,
    DrainSession,
    EnableSession,
    ListSessions,
    ReadSession,
    RemoveSession,
    ReplaceCredential,
    Session,
    SessionReply,
    TestSession,
)
from contracts.requests import RequestRefusedError
from contracts.sessions import CheckOutcome, SessionChanged
from gateway_http.access import Scope, needs
from gateway_http.checks import Checks, checks
from gateway_http.parts import Parts, problems
from gateway_http.problems import Problem
from gateway_http.session_forms import (
    ChangedSession,
    Changes,
    CheckedSession,
    Done,
    NewSession,
    OneSession,
    Replacement,
    SessionList,
)
from gateway_http.session_views import outcome_words, session_view

NOT_CHECKED = "not checked yet: the check goes on, look again in a moment"
STAYS = "; the present credential stays in place"
SessionId = Annotated[str, Path(min_length=1, max_length=64)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        description="The same again is the same wish, and no second one.",
    ),
]


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    looking = _routes("session:read")
    acting = _routes("session:write")
    _register_reads(looking, parts)
    _register_credentials(acting, parts)
    _register_use(acting, parts)
    routes = APIRouter()
    routes.include_router(looking)
    routes.include_router(acting)
    return routes


def _routes(scope: Scope) -> APIRouter:
    return APIRouter(
        prefix="/api/v1/sessions", tags=["sessions"], dependencies=[needs(scope)]
    )


def _register_reads(routes: APIRouter, parts: Parts) -> None:
    bus = parts.bus

    @routes.get("", responses=problems(503))
    async def read_all() -> SessionList:
        """List the accounts of the pool."""
        found = await bus.ask(ListSessions())
        return SessionList(sessions=[session_view(each) for each in found.sessions])

    @routes.get("/{session}", responses=problems(404, 503))
    async def read(session: SessionId) -> OneSession:
        """Show one account."""
        found = await bus.ask(ReadSession(id=session))
        return OneSession(session=session_view(found.session))


def _register_credentials(routes: APIRouter, parts: Parts) -> None:
    bus = parts.bus

    @routes.post("", status_code=201, responses=problems(409, 422, 503))
    async def add(
        body: NewSession, response: Response, idempotency_key: IdempotencyKey = None
    ) -> CheckedSession:
        """Add an account and check it. 202: it is added, the check still runs."""
        async with checks(bus) as found:
            added = await bus.ask(
                AddSession(
                    credential=body.secret,
                    label=body.label,
                    max_active=body.max_active,
                    request=_request_id(idempotency_key),
                )
            )
            return await _outcome(parts, added, found, response)

    @routes.put("/{session}/credential", responses=problems(404, 409, 422, 503))
    async def replace(
        session: SessionId,
        body: Replacement,
        response: Response,
        idempotency_key: IdempotencyKey = None,
    ) -> CheckedSession:
        """Give an account a new credential; its tasks go on with it.

        It is tested first: 422, or 409 for one of another account, leaves the present
        one in place. 202: the test still runs, and the present one is used meanwhile.
        """
        async with checks(bus) as found:
            asked = await bus.ask(
                ReplaceCredential(
                    id=session,
                    credential=body.secret,
                    force=body.force,
                    request=_request_id(idempotency_key),
                )
            )
            return await _outcome(parts, asked, found, response)

    @routes.post("/{session}/test", responses=problems(404, 503))
    async def test(session: SessionId, response: Response) -> CheckedSession:
        """Check an account now. 202: the check still runs."""
        async with checks(bus) as found:
            asked = await bus.ask(TestSession(id=session))
            return await _outcome(parts, asked, found, response)


def _register_use(routes: APIRouter, parts: Parts) -> None:
    bus = parts.bus

    @routes.patch("/{session}", responses=problems(404, 409, 422, 503))
    async def change(session: SessionId, body: Changes) -> ChangedSession:
        """Change how an account is used; `enabled`: whether it takes tasks at all."""
        if wish := body.of(session):
            await bus.ask(wish)
        if body.enabled is not None:
            await bus.ask(EnableSession(id=session, enabled=body.enabled))
        return _changed(await bus.ask(ReadSession(id=session)))

    @routes.post("/{session}/drain", responses=problems(404, 409, 503))
    async def drain(session: SessionId) -> ChangedSession:
        """Give an account no more tasks, and remove it when those on it have ended."""
        return _changed(await bus.ask(DrainSession(id=session)))

    @routes.delete("/{session}", responses=problems(404, 409, 503))
    async def remove(session: SessionId) -> Done:
        """Take an account out of the pool; refused while its tasks are unsettled."""
        await bus.ask(RemoveSession(id=session))
        return Done()


def _request_id(key: str | None) -> str:
    """Name this wish: the scheduler may be asked for it twice, after a time-out."""
    return sha256(key.encode()).hexdigest() if key else uuid.uuid4().hex


def _changed(reply: SessionReply) -> ChangedSession:
    view = session_view(reply.session)
    return ChangedSession(enabled=view.enabled, session=view)


async def _outcome(
    parts: Parts, asked: SessionReply, found: Checks, response: Response
) -> CheckedSession:
    """Wait for the check and tell what it found."""
    session = asked.session
    checked = await found.of(session.id, asked.credential, parts.patience.check)
    if checked is None:
        response.status_code = 202
        return _told(session, None, NOT_CHECKED)
    if checked.duplicate_of:
        raise _duplicate(checked)
    if checked.rejected:
        raise _rejected(checked)
    afterwards = await _afterwards(parts, session, checked)
    return _told(afterwards, checked.outcome, outcome_words(checked))


def _duplicate(checked: SessionChanged) -> Problem:
    return Problem(
        409,
        "duplicate_session",
        f"this account is in the pool already, as session {checked.duplicate_of}",
        session=checked.duplicate_of,
    )


def _rejected(checked: SessionChanged) -> Problem:
    detail = f"{checked.rejected}{STAYS}"
    if checked.outcome == "active":
        return Problem(409, "other_account", detail)
    return Problem(422, "credential_refused", detail)


async def _afterwards(
    parts: Parts, session: Session, checked: SessionChanged
) -> Session:
    """Read the session again; the event alone tells enough when it cannot be read."""
    try:
        return (await parts.bus.ask(ReadSession(id=session.id))).session
    except RequestRefusedError:
        return session.model_copy(
            update={
                name: getattr(checked, name)
                for name in ("state", "reason", "until", "credits")
            }
        )


def _told(
    session: Session, outcome: CheckOutcome | None, message: str
) -> CheckedSession:
    return CheckedSession(
        ok=outcome == "active",
        message=message,
        outcome=outcome,
        session=session_view(session),
    )
