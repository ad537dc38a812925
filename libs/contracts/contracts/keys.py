"""API keys: what is asked about them, and what the gateways know of each.

A key itself never travels: whoever makes one shows it once and tells its hash alone. It
has 256 random bits, so a plain SHA-256 of it can be neither guessed nor inverted.
"""

import secrets
from datetime import datetime
from hashlib import sha256
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from contracts.message import Message, Value
from contracts.requests import Request

KeyScope = Literal[
    "video:create", "image:create", "task:read", "task:cancel", "task:retry", "admin"
]
EVERYDAY: tuple[KeyScope, ...] = (
    "video:create",
    "image:create",
    "task:read",
    "task:cancel",
    "task:retry",
)
"""What a key may where nothing else is said: all of its own tasks, nobody else's."""

MARK = "gw_"
OWNER = "key:"
SHOWN = len(MARK) + 8
BUCKET = "keys"
DAY_SECONDS = 86_400


def new_key() -> str:
    """Make a key."""
    return MARK + secrets.token_hex(32)


def hash_of(key: str) -> str:
    """Return what a key is known by."""
    return sha256(key.encode()).hexdigest()


def prefix_of(key: str) -> str:
    """Return what is shown of a key, for people to recognise it."""
    return key[:SHOWN]


class Limits(Value):
    """How much the owner of a key may ask for; 0: as much as they like."""

    rate_limit: int = Field(0, ge=0)
    """Requests in a minute."""
    daily_quota: int = Field(0, ge=0)
    """Tasks on a day (UTC)."""
    daily_credits: int = Field(0, ge=0)
    """Credits on a day (UTC), estimated until the charge is known."""
    concurrent: int = Field(0, ge=0)
    """Tasks at work at one time; more of them wait in the queue."""


class Key(Limits):
    """One API key as operators see it, and as gateways know it; never the key."""

    id: str
    name: str
    prefix: str
    scopes: tuple[KeyScope, ...]
    enabled: bool = True
    expires_at: datetime | None = None
    previous_until: datetime | None = None
    """Until when the key before the last rotation works as well."""
    created_at: datetime
    updated_at: datetime

    @property
    def owner(self) -> str:
        """Whose the tasks are that it makes."""
        return f"{OWNER}{self.id}"


class KeyEntry(Message):
    """What a hash stands for, kept in the bucket; None: for no key any more.

    The bucket follows the scheduler's table, so that keys work while it is away.
    """

    SUBJECT: ClassVar[str] = "$KV.keys.{hash}"
    STREAM: ClassVar[str] = "KV_keys"

    hash: str
    key: Key | None = None


class Keys(Value):
    """All keys, the oldest first."""

    keys: tuple[Key, ...]


class ListKeys(Request[Keys]):
    """Every key."""

    SUBJECT: ClassVar[str] = "req.scheduler.list_keys"
    REPLY: ClassVar[type[BaseModel]] = Keys


class ReadKey(Request[Key]):
    """One key."""

    SUBJECT: ClassVar[str] = "req.scheduler.read_key"
    REPLY: ClassVar[type[BaseModel]] = Key

    id: str


class NewHash(Value):
    """A key that was just made, as far as it is told."""

    hash: str = Field(pattern="^[0-9a-f]{64}$")
    prefix: str = Field(max_length=SHOWN)


class CreateKey(NewHash, Limits, Request[Key]):
    """Let a new key in. Asked twice with one hash, it is one key."""

    SUBJECT: ClassVar[str] = "req.scheduler.create_key"
    REPLY: ClassVar[type[BaseModel]] = Key
    WRITES: ClassVar[bool] = True

    name: str = Field(min_length=1, max_length=100)
    scopes: tuple[KeyScope, ...] = EVERYDAY
    expires_at: datetime | None = None
    made_by: str = ""
    """Who made it, on the host itself; a gateway tells it in its own way."""


class SetKey(Request[Key]):
    """Change what a key may; what is None stays as it is."""

    SUBJECT: ClassVar[str] = "req.scheduler.set_key"
    REPLY: ClassVar[type[BaseModel]] = Key
    WRITES: ClassVar[bool] = True

    id: str
    name: str | None = None
    scopes: tuple[KeyScope, ...] | None = None
    enabled: bool | None = None
    expires_at: datetime | None = None
    never_expires: bool = False
    rate_limit: int | None = Field(None, ge=0)
    daily_quota: int | None = Field(None, ge=0)
    daily_credits: int | None = Field(None, ge=0)
    concurrent: int | None = Field(None, ge=0)


class RotateKey(NewHash, Request[Key]):
    """Put another key in the place of one; the old one works for a grace, or not."""

    SUBJECT: ClassVar[str] = "req.scheduler.rotate_key"
    REPLY: ClassVar[type[BaseModel]] = Key
    WRITES: ClassVar[bool] = True

    id: str
    grace_seconds: int = Field(0, ge=0, le=7 * DAY_SECONDS)


class DeleteKey(Request[Key]):
    """Let a key in no more; its tasks stay, and what it used is told."""

    SUBJECT: ClassVar[str] = "req.scheduler.delete_key"
    REPLY: ClassVar[type[BaseModel]] = Key
    WRITES: ClassVar[bool] = True

    id: str
