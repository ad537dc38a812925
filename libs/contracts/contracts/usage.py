"""What was used by whom on which day: counted by the scheduler, from its tasks."""

from datetime import date
from typing import ClassVar

from pydantic import BaseModel

from contracts.message import Value
from contracts.requests import Request


class Used(Value):
    """What an owner used on a day (UTC), by when the tasks were made."""

    day: date
    owner: str | None = None
    key: str | None = None
    """The id of its key, also of one that was deleted since."""
    name: str | None = None
    tasks: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    credits: int = 0
    """As estimated for what was bought, or may still be."""


class Usage(Value):
    """What was used, the latest day first."""

    used: tuple[Used, ...]


class ReadUsage(Request[Usage]):
    """What was used from a day to another, both included."""

    SUBJECT: ClassVar[str] = "req.scheduler.usage"
    REPLY: ClassVar[type[BaseModel]] = Usage

    first: date
    last: date
    owner: str | None = None
