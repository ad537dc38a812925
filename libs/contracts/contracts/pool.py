"""What operators ask of the pool beside add, test, enable and remove."""

from typing import ClassVar

from pydantic import BaseModel, Field, SecretStr, field_serializer

from contracts.requests import Request, SessionReply


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
    credential: SecretStr
    force: bool = False
    request: str = ""

    @field_serializer("credential", when_used="json")
    def _open(self, secret: SecretStr) -> str:
        return secret.get_secret_value()


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
