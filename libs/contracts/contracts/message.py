"""What every message is: a frozen value that knows its own subject."""

import re
from datetime import UTC, datetime
from functools import cache
from string import Formatter
from typing import Annotated, ClassVar, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, SecretStr


def now() -> datetime:
    """Return the present in UTC; messages carry no other zone."""
    return datetime.now(UTC)


class Value(BaseModel):
    """A part of a message. Readers ignore what they do not know yet."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,  # it may be a secret
    )


Secret = Annotated[
    SecretStr,
    PlainSerializer(SecretStr.get_secret_value, return_type=str, when_used="json"),
]
"""A text that is hidden wherever a message is shown, and open where it travels."""


class Message(Value):
    """A value with a subject: `SUBJECT` names its own fields in braces."""

    SUBJECT: ClassVar[str]

    @property
    def subject(self) -> str:
        """The subject this very message goes to."""
        names = _fields_in(self.SUBJECT)
        return self.SUBJECT.format(**{n: token(getattr(self, n)) for n in names})

    @classmethod
    def pattern(cls) -> str:
        """Return the wildcard subject that matches every message of this class."""
        return ".".join("*" if "{" in part else part for part in cls.SUBJECT.split("."))

    @classmethod
    def parse(cls, body: bytes | str) -> Self:
        """Read a message as it travels; raises pydantic.ValidationError."""
        return cls.model_validate_json(body)

    def body(self) -> bytes:
        """Return the message as it travels."""
        return self.model_dump_json().encode()


class Command(Message):
    """Asks one service to do one thing. Waits in CMD until it is done."""

    STREAM: ClassVar[str] = "CMD"
    DEADLINE_SECONDS: ClassVar[float | None]
    """How long after its first delivery a failing command is dead-lettered."""
    ENDLESS: ClassVar[bool] = False
    """Whether it lives from planned wait to planned wait, and is given up never."""

    @classmethod
    def service(cls) -> str:
        """Return the service that takes this command."""
        return cls.SUBJECT.split(".")[1]

    @classmethod
    def durable(cls) -> str:
        """Return the name of the consumer that all instances of the taker share."""
        return "-".join(cls.SUBJECT.split(".")[1:3])

    @property
    def key(self) -> str:
        """What there is at most one command of this verb for, at any time."""
        return self.subject.rpartition(".")[2]

    @property
    def correlation(self) -> str:
        """The task this belongs to (a session where there is none)."""
        return self.key.rpartition("-")[0] if hasattr(self, "attempt") else self.key


class Event(Message):
    """Says what happened. Kept in EVT for 30 days, replayable."""

    STREAM: ClassVar[str] = "EVT"
    TTL_SECONDS: ClassVar[int | None] = None

    at: datetime = Field(default_factory=now)

    @property
    def id(self) -> str:
        """The same for each telling of one happening: what readers drop twins by."""
        raise TypeError(f"{type(self).__name__} does not say what makes it unique")

    @property
    def correlation(self) -> str:
        """The task or session this is about."""
        return self.subject.split(".")[2]


@cache
def _fields_in(subject: str) -> tuple[str, ...]:
    return tuple(name for _, name, _, _ in Formatter().parse(subject) if name)


def token(value: object) -> str:
    """Return a value as one subject token: no dot, blank or wildcard survives."""
    return quote(str(value), safe="-_:@").replace(".", "%2E") or "-"


def words(name: str) -> str:
    """Return a class name as words, for documents: TaskChanged -> task changed."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()
