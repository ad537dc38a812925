"""What `/api/v1/keys` takes and gives. A key itself is in the answer that makes it."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)

from contracts.keys import (
    DAY_SECONDS,
    EVERYDAY,
    CreateKey,
    Key,
    KeyScope,
    SetKey,
    hash_of,
    prefix_of,
)
from gateway_http.moments import moment
from gateway_http.views import Moment

RATE_LIMIT = 600
MOST = 1_000_000_000
Name = Annotated[str, Field(min_length=1, max_length=100, examples=["render farm"])]
Scopes = Annotated[list[KeyScope], Field(min_length=1, max_length=20)]
Rate = Annotated[
    StrictInt, Field(ge=0, le=MOST, description="Requests a minute; 0: any.")
]
Quota = Annotated[
    StrictInt, Field(ge=0, le=MOST, description="Tasks a day, UTC; 0: any.")
]
Credits = Annotated[
    StrictInt,
    Field(
        ge=0,
        le=MOST,
        description="Credits a day, UTC, as estimated until the charge is known; 0: "
        "any.",
    ),
]
Concurrent = Annotated[
    StrictInt,
    Field(
        ge=0,
        le=MOST,
        description="Tasks at work at one time, more of them wait; 0: any.",
    ),
]


Until = Annotated[datetime, BeforeValidator(moment)]


class NewKey(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    scopes: Scopes = list(EVERYDAY)
    expires_at: Until | None = Field(None, description="null: never.")
    rate_limit: Rate = RATE_LIMIT
    daily_quota: Quota = 0
    daily_credits: Credits = 0
    concurrent: Concurrent = 0

    def of(self, key: str) -> CreateKey:
        """Return what the scheduler is asked; the key itself is not told."""
        return CreateKey(
            hash=hash_of(key),
            prefix=prefix_of(key),
            **self.model_dump(exclude={"scopes"}),
            scopes=tuple(dict.fromkeys(self.scopes)),
        )


class KeyChanges(BaseModel):
    """What a key may from now on; what is left out stays as it is."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"minProperties": 1, "example": {"rate_limit": 120}},
    )

    name: Name | None = None
    scopes: Scopes | None = None
    enabled: StrictBool | None = None
    expires_at: Until | None = Field(None, description="null: never.")
    rate_limit: Rate | None = None
    daily_quota: Quota | None = None
    daily_credits: Credits | None = None
    concurrent: Concurrent | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("nothing to change")
        return self

    def of(self, key_id: str) -> SetKey:
        """Return what the scheduler is asked."""
        given = self.model_dump(exclude_unset=True)
        never = "expires_at" in given and self.expires_at is None
        return SetKey(id=key_id, never_expires=never, **given)


class KeyRotation(BaseModel):
    """How a key is replaced."""

    model_config = ConfigDict(extra="forbid")

    grace_secs: StrictInt = Field(
        0,
        ge=0,
        le=7 * DAY_SECONDS,
        description="So long the old key works as well; 0: no more at once.",
    )


class KeyView(BaseModel):
    """A key as operators see it: by the beginning that is shown."""

    id: str
    name: str
    key_prefix: str = Field(examples=["gw_1a2b3c4d"])
    scopes: list[KeyScope]
    enabled: bool
    expires_at: Moment | None
    previous_until: Moment | None = Field(
        description="Until when the key before the last rotation works as well."
    )
    rate_limit: int
    daily_quota: int
    daily_credits: int
    concurrent: int
    created_at: Moment
    updated_at: Moment


class OneKey(BaseModel):
    """One key."""

    key: KeyView


class KeyList(BaseModel):
    """Every key, the oldest first."""

    keys: list[KeyView]


class MadeKeyView(KeyView):
    """A key that was just made."""

    key: str = Field(description="Shown this once: keep it.")


class MadeKey(BaseModel):
    """A key, shown this once."""

    key: MadeKeyView


def key_view(key: Key) -> KeyView:
    """Show a key."""
    return KeyView.model_validate(_fields(key))


def made_view(key: Key, secret: str) -> MadeKeyView:
    """Show a key, and this once the key itself."""
    return MadeKeyView.model_validate(_fields(key) | {"key": secret})


def _fields(key: Key) -> dict[str, object]:
    told: dict[str, object] = key.model_dump()
    until: datetime | None = key.previous_until
    return told | {"key_prefix": key.prefix, "previous_until": until}
