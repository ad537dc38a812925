"""What `/api/v1/sessions` takes and gives. Secrets come in and never go out."""

from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    model_validator,
)

from contracts.pool import SetSession
from contracts.sessions import CheckOutcome
from gateway_http.fields import Word
from gateway_http.session_views import SessionView

MOST_AT_ONCE = 100
MOST_A_DAY = 1_000_000
Secret = Annotated[SecretStr, Field(min_length=1, max_length=4096)]


class NewCredential(BaseModel):
    """A credential: `[proxy@][us-|hk-|jp-|sg-]<sessionid>`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    session_id: Secret | None = Field(
        None, examples=["0123456789abcdef0123456789abcdef"]
    )
    credential: Secret | None = Field(None, description="The same as session_id.")

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.session_id is None) == (self.credential is None):
            raise ValueError("give session_id or credential, one of them")
        return self

    @property
    def secret(self) -> SecretStr:
        """The credential, whichever name it came under."""
        return self.session_id or self.credential or SecretStr("")


class NewSession(NewCredential):
    """An account to add."""

    label: str = Field("", max_length=100)
    max_active: StrictInt = Field(2, ge=1, le=100, description="Tasks at one time.")


class Replacement(NewCredential):
    """Another credential of an account that is there."""

    force: StrictBool = Field(
        default=False, description="Take it also when it belongs to another account."
    )


class NewProxy(BaseModel):
    """What all traffic of an account goes through."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    proxy: Secret | None = Field(
        description="`scheme://[user:password@]host:port`; null: none.",
        examples=["socks5://127.0.0.1:1080"],
    )


class NewSessions(BaseModel):
    """Several accounts to add, all with the same limit."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    session_ids: list[Secret] = Field(min_length=1, max_length=MOST_AT_ONCE)
    max_active: StrictInt = Field(2, ge=1, le=100, description="Tasks at one time.")


class AddedSession(BaseModel):
    """What became of one of several accounts."""

    ok: bool
    message: str
    type: str | None = Field(description="The problem's type where it was not added.")
    session: SessionView | None


class AddedSessions(BaseModel):
    """What became of each, in the order they were given."""

    added: int
    results: list[AddedSession]


class Changes(BaseModel):
    """How an account is used; what is left out stays as it is."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"minProperties": 1, "example": {"max_active": 3}},
    )

    enabled: StrictBool | None = Field(None, description="Whether it takes tasks.")
    label: str | None = Field(None, min_length=1, max_length=100)
    max_active: StrictInt | None = Field(
        None, ge=1, le=100, description="Tasks at one time."
    )
    daily_cap: StrictInt | None = Field(
        None,
        ge=0,
        le=MOST_A_DAY,
        description="Most jobs a day, in the site's zone; 0, null: no cap.",
    )
    weight: StrictInt | None = Field(
        None, ge=1, le=1000, description="Its share, with SESSION_POLICY=weighted."
    )
    models: list[Word] | None = Field(
        None, max_length=100, description="The only models; empty, null: every one."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("nothing to change")
        return self

    def of(self, session: str) -> SetSession | None:
        """Return what the scheduler is asked, beside `enabled`."""
        removed: dict[str, Any] = {"daily_cap": 0, "models": ()}  # what null means
        given = {
            name: removed.get(name) if value is None else value
            for name, value in self.model_dump(exclude_unset=True).items()
            if name != "enabled"
        }
        return SetSession(id=session, **given) if given else None


class SessionList(BaseModel):
    """Every session, the oldest first."""

    sessions: list[SessionView]


class OneSession(BaseModel):
    """One session."""

    session: SessionView


class CheckedSession(BaseModel):
    """A session and what its check found."""

    ok: bool
    message: str
    outcome: CheckOutcome | None
    session: SessionView


class ChangedSession(BaseModel):
    """A session that was changed."""

    ok: bool = True
    enabled: bool
    session: SessionView


class Done(BaseModel):
    """It is done."""

    ok: bool = True
