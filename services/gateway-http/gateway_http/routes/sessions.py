"""`/api/v1/sessions`: the accounts of the pool. Secrets come in and never go out."""

from typing import Annotated, Self

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from contracts.requests import (
    AddSession,
    EnableSession,
    ListSessions,
    ReadSession,
    RemoveSession,
    RequestRefusedError,
    Session,
    TestSession,
)
from contracts.sessions import CheckOutcome, SessionChanged
from gateway_http.checks import Checks, checks
from gateway_http.parts import Parts, problems
from gateway_http.problems import Problem
from gateway_http.views import SessionView, outcome_words, session_view

NOT_CHECKED = "not checked yet: the check goes on, look again in a moment"
Secret = Annotated[SecretStr, Field(min_length=1, max_length=4096)]
SessionId = Annotated[str, Path(min_length=1, max_length=64)]


class NewSession(BaseModel):
    """An account to add: `[proxy@][us-|hk-|jp-|sg-]<sessionid>`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    session_id: Secret | None = Field(
        None, examples=["0123456789abcdef0123456789abcdef"]
    )
    credential: Secret | None = Field(None, description="The same as session_id.")
    label: str = Field("", max_length=100)
    max_active: int = Field(2, ge=1, le=100, description="Tasks at one time.")

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.session_id is None) == (self.credential is None):
            raise ValueError("give session_id or credential, one of them")
        return self

    @property
    def secret(self) -> SecretStr:
        """The credential, whichever name it came under."""
        return self.session_id or self.credential or SecretStr("")


class Switch(BaseModel):
    """Whether a session takes tasks."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool


class SessionList(BaseModel):
    """Every session, the oldest first."""

    sessions: list[SessionView]


class CheckedSession(BaseModel):
    """A session and what its check found."""

    ok: bool
    message: str
    outcome: CheckOutcome | None
    session: SessionView


class SwitchedSession(BaseModel):
    """A session that was enabled or disabled."""

    ok: bool = True
    enabled: bool
    session: SessionView


class Done(BaseModel):
    """It is done."""

    ok: bool = True


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1/sessions", tags=["sessions"])
    bus = parts.bus

    @routes.get("", responses=problems(503))
    async def read_all() -> SessionList:
        """List the accounts of the pool."""
        found = await bus.ask(ListSessions())
        return SessionList(sessions=[session_view(each) for each in found.sessions])

    @routes.post("", status_code=201, responses=problems(409, 422, 503))
    async def add(body: NewSession, response: Response) -> CheckedSession:
        """Add an account and check it. 202: it is added, the check still runs."""
        async with checks(bus) as found:
            added = await bus.ask(
                AddSession(
                    credential=body.secret,
                    label=body.label,
                    max_active=body.max_active,
                )
            )
            return await _outcome(parts, added.session, found, response)

    @routes.post("/{session}/test", responses=problems(404, 503))
    async def test(session: SessionId, response: Response) -> CheckedSession:
        """Check an account now. 202: the check still runs."""
        async with checks(bus) as found:
            asked = await bus.ask(TestSession(id=session))
            return await _outcome(parts, asked.session, found, response)

    @routes.patch("/{session}", responses=problems(404, 409, 422, 503))
    async def switch(session: SessionId, body: Switch) -> SwitchedSession:
        """Let an account take tasks, or no longer."""
        reply = await bus.ask(EnableSession(id=session, enabled=body.enabled))
        view = session_view(reply.session)
        return SwitchedSession(enabled=view.enabled, session=view)

    @routes.delete("/{session}", responses=problems(404, 409, 503))
    async def remove(session: SessionId) -> Done:
        """Take an account out of the pool; refused while its tasks are unsettled."""
        await bus.ask(RemoveSession(id=session))
        return Done()

    return routes


async def _outcome(
    parts: Parts, session: Session, found: Checks, response: Response
) -> CheckedSession:
    """Wait for the check and tell what it found."""
    checked = await found.of(session.id, parts.patience.check)
    if checked is None:
        response.status_code = 202
        return _told(session, None, NOT_CHECKED)
    if checked.duplicate_of:
        raise _duplicate(checked)
    afterwards = await _afterwards(parts, session, checked)
    return _told(afterwards, checked.outcome, outcome_words(checked))


def _duplicate(checked: SessionChanged) -> Problem:
    return Problem(
        409,
        "duplicate_session",
        f"this account is in the pool already, as session {checked.duplicate_of}",
        session=checked.duplicate_of,
    )


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
