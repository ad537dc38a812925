"""Sessions, the upstream accounts: what is asked and told of them."""

from datetime import datetime
from typing import ClassVar, Literal

from contracts.message import Command, Event, Value

SessionState = Literal[
    "unchecked",
    "active",
    "cooling",
    "exhausted",
    "expired",
    "blocked",
    "draining",
    "disabled",
]
CheckOutcome = Literal["active", "expired", "blocked", "wrong_region", "unreachable"]


class Credits(Value):
    """What an account may still spend."""

    gift: int = 0
    purchase: int = 0
    vip: int = 0

    @property
    def total(self) -> int:
        """All kinds together."""
        return self.gift + self.purchase + self.vip


class ClosedModel(Value):
    """A model that an account may not use, by the site's own words."""

    model: str
    reason: str
    since: datetime


class CheckSession(Command):
    """Look whether this credential still works. scheduler -> poller."""

    SUBJECT: ClassVar[str] = "cmd.poller.check.{session}"
    DEADLINE_SECONDS: ClassVar[float | None] = 60

    session: str
    credential: int
    elsewhere: bool = False
    """Ask the other regions' hosts too when this one does not know the account."""
    cheap: bool = False
    """One call and no more: what it may spend, which only a valid login is told."""


class SessionEvent(Event):
    """A fact about one session."""

    session: str
    n: int = 0

    @property
    def id(self) -> str:
        """`<session>:<service>.<what>:<n>`."""
        what = ".".join(self.subject.split(".")[3:])
        return f"{self.session}:{what}:{self.n}"


class SessionChecked(SessionEvent):
    """What a check found. poller -> scheduler. `n` is unique to the check."""

    SUBJECT: ClassVar[str] = "evt.session.{session}.poller.checked"

    credential: int
    outcome: CheckOutcome
    detail: str = ""
    upstream_uid: str | None = None
    credits: Credits | None = None
    remedy: str | None = None
    """What to do about it, for people, where the outcome alone does not tell."""


class SessionChanged(SessionEvent):
    """A session changed as operators see it. scheduler -> everybody.

    `what` is `checked` when a check was taken in, else `changed`.
    """

    SUBJECT: ClassVar[str] = "evt.session.{session}.scheduler.{what}"

    what: Literal["checked", "changed", "removed"]
    label: str
    state: SessionState
    reason: str | None = None
    until: datetime | None = None
    credits: Credits | None = None
    outcome: CheckOutcome | None = None
    remedy: str | None = None
    """As the check told it."""
    duplicate_of: str | None = None
    """The session that already has this account; this one was not kept."""
    why: str | None = None
    """What led to this change, for people."""
    credential: int | None = None
    """Which credential the check was about."""
    rejected: str | None = None
    """Why that credential was not taken; the present one stays in place."""
