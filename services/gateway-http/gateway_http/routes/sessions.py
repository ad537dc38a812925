"""`/api/v1/sessions`: the accounts of the pool. Secrets come in and never go out."""

import asyncio
import uuid
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Header, Path, Response
from pydantic import SecretStr

from contracts.pool import (
    AddSession,
    DrainSession,
    EnableSession,
    ListSessions,
    ReadSession,
    RemoveSession,
    ReplaceCredential,
    SessionReply,
    SetProxy,
    TestSession,
)
from contracts.requests import RequestRefusedError
from gateway_http.access import Scope, needs
from gateway_http.checks import checks, outcome
from gateway_http.parts import Parts, problems, still
from gateway_http.problems import Problem, refused
from gateway_http.session_forms import (
    AddedSession,
    AddedSessions,
    ChangedSession,
    Changes,
    CheckedSession,
    Done,
    NewProxy,
    NewSession,
    NewSessions,
    OneSession,
    Replacement,
    SessionList,
)
from gateway_http.session_views import session_view

STILL = still(CheckedSession, "The check still runs.")
AT_ONCE = 8  # of several accounts
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

    @routes.get("")
    async def read_all() -> SessionList:
        """List the accounts of the pool."""
        found = await bus.ask(ListSessions())
        return SessionList(sessions=[session_view(each) for each in found.sessions])

    @routes.get("/{session}", responses=problems(404))
    async def read(session: SessionId) -> OneSession:
        """Show one account."""
        found = await bus.ask(ReadSession(id=session))
        return OneSession(session=session_view(found.session))


def _register_credentials(routes: APIRouter, parts: Parts) -> None:
    bus = parts.bus

    @routes.post("", status_code=201, responses=STILL | problems(409))
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
            return _told_late(await outcome(parts, added, found), response)

    @routes.post("/batch")
    async def add_many(body: NewSessions) -> AddedSessions:
        """Add several accounts and check each; tells what became of every one."""
        few = asyncio.Semaphore(AT_ONCE)

        async def add_one(secret: SecretStr) -> AddedSession:
            async with few:
                request = uuid.uuid4().hex
                wish = AddSession(
                    credential=secret, max_active=body.max_active, request=request
                )
                return await _added(parts, wish)

        results = await asyncio.gather(*map(add_one, body.session_ids))
        added = sum(each.session is not None for each in results)
        return AddedSessions(added=added, results=results)

    @routes.put("/{session}/credential", responses=STILL | problems(404, 409))
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
            return _told_late(await outcome(parts, asked, found), response)

    @routes.put("/{session}/proxy", responses=STILL | problems(404, 409))
    async def set_proxy(
        session: SessionId,
        body: NewProxy,
        response: Response,
        idempotency_key: IdempotencyKey = None,
    ) -> CheckedSession:
        """Send an account's traffic through another proxy, or through none.

        Tested first like a new credential: what does not work changes nothing.
        """
        async with checks(bus) as found:
            asked = await bus.ask(
                SetProxy(
                    id=session, proxy=body.proxy, request=_request_id(idempotency_key)
                )
            )
            return _told_late(await outcome(parts, asked, found), response)

    @routes.post("/{session}/test", responses=STILL | problems(404))
    async def test(session: SessionId, response: Response) -> CheckedSession:
        """Check an account now. 202: the check still runs."""
        async with checks(bus) as found:
            asked = await bus.ask(TestSession(id=session))
            return _told_late(await outcome(parts, asked, found), response)


def _register_use(routes: APIRouter, parts: Parts) -> None:
    bus = parts.bus

    @routes.patch("/{session}", responses=problems(404, 409))
    async def change(session: SessionId, body: Changes) -> ChangedSession:
        """Change how an account is used; `enabled`: whether it takes tasks at all."""
        if wish := body.of(session):
            await bus.ask(wish)
        if body.enabled is not None:
            await bus.ask(EnableSession(id=session, enabled=body.enabled))
        return _changed(await bus.ask(ReadSession(id=session)))

    @routes.post("/{session}/drain", responses=problems(404, 409))
    async def drain(session: SessionId) -> ChangedSession:
        """Give an account no more tasks, and remove it when those on it have ended."""
        return _changed(await bus.ask(DrainSession(id=session)))

    @routes.delete("/{session}", responses=problems(404, 409))
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


def _told_late(checked: CheckedSession, response: Response) -> CheckedSession:
    """Answer 202 while the check still runs."""
    if checked.outcome is None:
        response.status_code = 202
    return checked


async def _added(parts: Parts, wish: AddSession) -> AddedSession:
    """Add one of several; a no is told, and keeps no other from being added."""
    try:
        async with checks(parts.bus) as found:
            added = await parts.bus.ask(wish)
            told = await outcome(parts, added, found)
    except (RequestRefusedError, Problem) as no:
        problem = no if isinstance(no, Problem) else refused(no.refusal)
        return AddedSession(
            ok=False, message=problem.detail, type=problem.kind, session=None
        )
    return AddedSession(
        ok=told.ok, message=told.message, type=None, session=told.session
    )
