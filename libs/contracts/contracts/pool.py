"""What operators ask of the pool of sessions, and what they are answered."""

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, Field

from contracts.message import Secret, Value
from contracts.requests import Request
from contracts.sessions import ClosedModel, Credits, SessionState


class Session(Value):
    """One upstream account as operators see it; never its secret."""

    id: str
    label: str
    masked: str
    """The first and last four characters of the credential."""
    region: str
    state: SessionState
    reason: str | None = None
    code: str | None = None
    """The site's own code that led to this state."""
    since: datetime | None = None
    until: datetime | None = None
    has_proxy: bool = False
    max_active: int = 2
    learnt: int | None = None
    """How many tasks at a time the site was seen to take, where that is fewer."""
    daily_cap: int | None = None
    weight: int = 1
    models: tuple[str, ...] = ()
    """The only models it is used for; empty: every one."""
    lent: bool = False
    """Whether it works for one client alone and is gone with its tasks."""
    closed_models: tuple[ClosedModel, ...] = ()
    active: int = 0
    today: int = 0
    """Jobs the site took today, in its own zone."""
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    credits: Credits | None = None
    last_used_at: datetime | None = None
    last_error: str | None = None
    checked_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class Sessions(Value):
    """All sessions, the oldest first."""

    sessions: tuple[Session, ...]


class ListSessions(Request[Sessions]):
    """Every session of the pool."""

    SUBJECT: ClassVar[str] = "req.scheduler.list_sessions"
    REPLY: ClassVar[type[BaseModel]] = Sessions


class SessionReply(Value):
    """One session."""

    session: Session
    credential: int | None = None
    """Which credential is being checked, where a check was asked for."""


class ReadSession(Request[SessionReply]):
    """One session of the pool."""

    SUBJECT: ClassVar[str] = "req.scheduler.read_session"
    REPLY: ClassVar[type[BaseModel]] = SessionReply

    id: str


class AddSession(Request[SessionReply]):
    """Put an account into the pool; it is checked at once.

    `credential` is `[proxy@][us-|hk-|jp-|sg-]<sessionid>`. Refused with 409 when the
    same credential is there already.
    """

    SUBJECT: ClassVar[str] = "req.scheduler.add_session"
    REPLY: ClassVar[type[BaseModel]] = SessionReply
    WRITES: ClassVar[bool] = True

    credential: Secret
    label: str = ""
    max_active: int = Field(default=2, ge=1, le=100)
    request: str = ""
    """What makes asking again, after no answer, the same wish and no second one."""
    lent: bool = False
    """Take it for tasks of the owner `lent:<its id>` alone, and for no longer than
    there are any. It is in no list; asked for again it is the same one."""


class ReplaceCredential(Request[SessionReply]):
    """Give a session another credential of its account; tasks go on with it.

    It is tested first, as a candidate. `evt.session.<id>.scheduler.checked` with the
    reply's `credential` tells whether it was taken; a bad one changes nothing. One of
    another upstream account is taken only when `force` says so.
    """

    SUBJECT: ClassVar[str] = "req.scheduler.replace_credential"
    REPLY: ClassVar[type[BaseModel]] = SessionReply
    WRITES: ClassVar[bool] = True

    id: str
    credential: Secret
    force: bool = False
    request: str = ""


class SetProxy(Request[SessionReply]):
    """Send all of a session's traffic through another proxy; None: through none.

    Tested first like another credential, which it is: it changes nothing when the site
    cannot be reached through it.
    """

    SUBJECT: ClassVar[str] = "req.scheduler.set_proxy"
    REPLY: ClassVar[type[BaseModel]] = SessionReply
    WRITES: ClassVar[bool] = True

    id: str
    proxy: Secret | None = None
    request: str = ""


class EnableSession(Request[SessionReply]):
    """Let a session take tasks, or no longer."""

    SUBJECT: ClassVar[str] = "req.scheduler.enable_session"
    REPLY: ClassVar[type[BaseModel]] = SessionReply
    WRITES: ClassVar[bool] = True

    id: str
    enabled: bool


class TestSession(Request[SessionReply]):
    """Check a session now; `evt.session.<id>.scheduler.checked` tells the outcome."""

    SUBJECT: ClassVar[str] = "req.scheduler.test_session"
    REPLY: ClassVar[type[BaseModel]] = SessionReply
    WRITES: ClassVar[bool] = True
    __test__: ClassVar[bool] = False  # pytest: a message, not a test

    id: str


class SetSession(Request[SessionReply]):
    """Change how a session is used; what is None stays as it is."""

    SUBJECT: ClassVar[str] = "req.scheduler.set_session"
    REPLY: ClassVar[type[BaseModel]] = SessionReply
    WRITES: ClassVar[bool] = True

    id: str
    label: str | None = None
    max_active: int | None = Field(None, ge=1, le=100)
    daily_cap: int | None = Field(None, ge=0)
    """Jobs a day; 0: no cap."""
    weight: int | None = Field(None, ge=1, le=1000)
    models: tuple[str, ...] | None = None
    """The only models it is used for; empty: every one."""


class DrainSession(Request[SessionReply]):
    """Give it no more tasks, and take it out once those on it have ended."""

    SUBJECT: ClassVar[str] = "req.scheduler.drain_session"
    REPLY: ClassVar[type[BaseModel]] = SessionReply
    WRITES: ClassVar[bool] = True

    id: str


class RemoveSession(Request[SessionReply]):
    """Take an account out of the pool. Refused while tasks are unsettled on it."""

    SUBJECT: ClassVar[str] = "req.scheduler.remove_session"
    REPLY: ClassVar[type[BaseModel]] = SessionReply
    WRITES: ClassVar[bool] = True

    id: str
