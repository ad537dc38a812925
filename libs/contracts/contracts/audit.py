"""What operators did: told before it is done and after, kept by the scheduler.

Told twice, because a gateway may die in between: then it is known who tried what, and
that nobody knows what came of it.
"""

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, Field

from contracts.message import Event, Value
from contracts.requests import Request


class DeedAsked(Event):
    """An operator asks for something. gateway-http -> scheduler."""

    SUBJECT: ClassVar[str] = "evt.sys.{deed}.gateway-http.asked"

    deed: str
    actor: str
    """Who: `key:<id>`, `user:…`, or what there is instead of either."""
    name: str
    action: str
    """What: `<resource>.<verb>`."""
    target: str = ""
    address: str = ""
    """From where."""

    @property
    def id(self) -> str:
        """`<deed>:gateway-http.asked:0`."""
        return f"{self.deed}:gateway-http.asked:0"


class DeedAnswered(Event):
    """What an operator asked for is answered. gateway-http -> scheduler."""

    SUBJECT: ClassVar[str] = "evt.sys.{deed}.gateway-http.answered"

    deed: str
    status: int
    """In the words of HTTP: below 400 it was done."""
    target: str = ""
    """What it was about, where only the answer tells."""

    @property
    def id(self) -> str:
        """`<deed>:gateway-http.answered:0`."""
        return f"{self.deed}:gateway-http.answered:0"


class Deed(Value):
    """What an operator did; without a status nobody knows what came of it."""

    n: int
    deed: str
    at: datetime
    actor: str = ""
    name: str = ""
    action: str = ""
    target: str = ""
    address: str = ""
    status: int | None = None
    answered_at: datetime | None = None


class Deeds(Value):
    """Some of what was done, the latest first."""

    deeds: tuple[Deed, ...]
    cursor: int | None = None


class ListDeeds(Request[Deeds]):
    """What was done, the latest first; `cursor` goes on where a page ended."""

    SUBJECT: ClassVar[str] = "req.scheduler.list_deeds"
    REPLY: ClassVar[type[BaseModel]] = Deeds

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: int | None = None
