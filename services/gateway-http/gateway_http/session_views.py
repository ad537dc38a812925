"""Sessions as clients see them: the earlier gateway's fields, then ours."""

from pydantic import BaseModel, Field

from contracts.pool import Session
from contracts.sessions import CheckOutcome, SessionChanged, SessionState
from gateway_http.views import Moment
from jimeng import InvalidJob, find_model

# A cooling session comes back by itself within minutes.
HEALTHY: frozenset[SessionState] = frozenset({"active", "cooling"})
OFF: frozenset[SessionState] = frozenset({"disabled", "draining"})


class CreditsView(BaseModel):
    """What an account may still spend."""

    gift: int
    purchase: int
    vip: int
    total: int


class ClosedModelView(BaseModel):
    """A model that the site does not let this account use."""

    model: str
    reason: str
    since: Moment


class SessionView(BaseModel):
    """One account of the pool; its credential only masked."""

    id: str
    label: str
    session_id: str = Field(description="Masked.", examples=["abcd...wxyz"])
    enabled: bool
    healthy: bool
    active_tasks: int
    total_tasks: int
    success_count: int
    fail_count: int
    last_used_at: Moment | None
    last_error: str | None
    created_at: Moment
    updated_at: Moment

    state: SessionState
    reason: str | None
    until: Moment | None
    region: str
    has_proxy: bool
    max_active: int
    credits: CreditsView | None
    code: str | None = Field(description="The site's code that led to this state.")
    since: Moment | None
    learnt: int | None = Field(
        description="Tasks at one time the site was seen to take, where fewer."
    )
    daily_cap: int | None
    today: int = Field(description="Jobs the site took today, in its own zone.")
    weight: int
    models: list[str] = Field(description="The only models it is used for; empty: all.")
    closed_models: list[ClosedModelView]
    checked_at: Moment | None


def session_view(session: Session) -> SessionView:
    """Show a session."""
    return SessionView(
        session_id=session.masked,
        enabled=session.state not in OFF,
        healthy=session.state in HEALTHY,
        active_tasks=session.active,
        total_tasks=session.total,
        success_count=session.succeeded,
        fail_count=session.failed,
        credits=credits_view(session),
        models=[_name(key) for key in session.models],
        closed_models=[
            ClosedModelView(model=_name(c.model), reason=c.reason, since=c.since)
            for c in session.closed_models
        ],
        **{
            name: getattr(session, name)
            for name in SessionView.model_fields
            if name in Session.model_fields and name not in _SHOWN_APART
        },
    )


_SHOWN_APART = {"credits", "models", "closed_models"}


def _name(model: str) -> str:
    """Return a model's public name; one of another version by its key."""
    try:
        return find_model(model).name
    except InvalidJob:
        return model


def credits_view(session: Session) -> CreditsView | None:
    """Show what is left, all kinds added up."""
    left = session.credits
    return CreditsView(**left.model_dump(), total=left.total) if left else None


def outcome_words(checked: SessionChanged) -> str:
    """Say what a check found, in a sentence."""
    return checked.remedy or _OUTCOMES.get(checked.outcome, "")


_OUTCOMES: dict[CheckOutcome | None, str] = {
    "active": "the account works",
    "expired": "the sign-in has expired: get a new session id",
    "blocked": "the site has blocked the account",
    "wrong_region": "the session id belongs to another region: check its prefix",
    "unreachable": "the site could not be reached",
}
