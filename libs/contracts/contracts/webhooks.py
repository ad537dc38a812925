"""Telling others what happened: deliveries, and the endpoints they go to.

deliver     -> Deliver      scheduler -> notifier      Delivered, DeliveryFailed

A delivery is one thing told to one receiver: the URL of a task, or a standing endpoint.
Where it goes and what it is signed with travels in the answer to `AskDelivery` alone.
"""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from contracts.message import Command, Event, Secret, Value
from contracts.requests import Request, Task

TaskEnded = Literal["task.succeeded", "task.failed", "task.cancelled"]
Noticed = Literal[
    "notice.session_expired",
    "notice.session_blocked",
    "notice.pool_empty",
    "notice.credits_low",
    "notice.dead_letters",
    "notice.disk_low",
    "notice.service_gone",
    "notice.webhook_off",
]
Occasion = Literal[TaskEnded, Noticed, "test"]
"""What is told, in the words that receivers see."""

Wanted = Literal[Occasion, "task.*", "notice.*"]
"""What an endpoint wants to hear."""

EndpointKind = Literal["standard", "ntfy", "dingtalk", "wecom", "slack"]
"""How it is told: as a signed webhook, or in the plain words of a chat."""

DeliveryStatus = Literal["pending", "delivered", "failed"]


class Deliver(Command):
    """Send this once to its receiver. scheduler -> notifier."""

    SUBJECT: ClassVar[str] = "cmd.notifier.deliver.{delivery}"
    DEADLINE_SECONDS: ClassVar[float | None] = None

    delivery: str
    n: int
    """Which try it is, from 1 on."""
    task: str = "-"

    @property
    def correlation(self) -> str:
        """The task that is told of."""
        return self.task


class DeliveryTried(Event):
    """A fact about one try: of a task's delivery, or (`sys`) of another, by its id."""

    scope: Literal["task", "sys"]
    about: str
    delivery: str
    n: int
    status: int | None = None
    """What the receiver answered, in HTTP's words."""
    took_ms: int = 0
    request: str = ""
    """The beginning of what was sent; it holds no secret."""
    response: str = ""
    """The beginning of what was answered."""

    @property
    def id(self) -> str:
        """`<delivery>:notifier.<what>:<n>`."""
        what = ".".join(self.subject.split(".")[3:])
        return f"{self.delivery}:{what}:{self.n}"


class Delivered(DeliveryTried):
    """The receiver took it. notifier -> scheduler."""

    SUBJECT: ClassVar[str] = "evt.{scope}.{about}.notifier.delivered"


class DeliveryFailed(DeliveryTried):
    """The receiver did not take it this time. notifier -> scheduler."""

    SUBJECT: ClassVar[str] = "evt.{scope}.{about}.notifier.failed"

    error: str
    """Why, for people."""
    gone: bool = False
    """Whether it wants to hear no more (410)."""
    retry_after_seconds: float | None = None


class Notice(Value):
    """Something an operator should know; also a test."""

    title: str
    text: str


class DueDelivery(Value):
    """What to send now, where, and signed with what. Lives in memory alone."""

    due: bool = True
    """False: it was delivered, given up or overtaken meanwhile."""
    occasion: Occasion = "test"
    at: datetime | None = None
    """When it happened."""
    kind: EndpointKind = "standard"
    url: Secret | None = None
    secrets: tuple[Secret, ...] = ()
    """Several while one takes the place of another."""
    links: tuple[Secret, ...] = ()
    """Where its results are fetched, without a key, for a day."""
    task: Task | None = None
    notice: Notice | None = None
    unusable: str = ""
    """Why there is no URL, where there is none: no try will help."""


class AskDelivery(Request[DueDelivery]):
    """What to send in the n-th try of a delivery, where it is still wanted."""

    SUBJECT: ClassVar[str] = "req.scheduler.delivery"
    REPLY: ClassVar[type[BaseModel]] = DueDelivery

    delivery: str
    n: int


class Try(Value):
    """One try of a delivery."""

    n: int
    at: datetime
    took_ms: int
    status: int | None = None
    error: str | None = None
    request: str = ""
    response: str = ""


class Delivery(Value):
    """A delivery as operators see it."""

    id: str
    occasion: Occasion
    task: str | None = None
    endpoint: str | None = None
    """The standing endpoint; None: the task's own URL."""
    url: str
    """Without its query."""
    status: DeliveryStatus
    n: int
    """The latest try, also one that is still to come."""
    due_at: datetime | None = None
    error: str | None = None
    created_at: datetime
    delivered_at: datetime | None = None
    tries: tuple[Try, ...] = ()
    """Left out in lists."""


class DeliveryPage(Value):
    """Some deliveries, the newest first."""

    deliveries: tuple[Delivery, ...]
    cursor: str | None = None


class ListDeliveries(Request[DeliveryPage]):
    """Deliveries, the newest first; `cursor` goes on where a page ended."""

    SUBJECT: ClassVar[str] = "req.scheduler.list_deliveries"
    REPLY: ClassVar[type[BaseModel]] = DeliveryPage

    task: str | None = None
    endpoint: str | None = None
    status: DeliveryStatus | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = None


class ReadDelivery(Request[Delivery]):
    """One delivery with its tries."""

    SUBJECT: ClassVar[str] = "req.scheduler.read_delivery"
    REPLY: ClassVar[type[BaseModel]] = Delivery

    delivery: str


class ReplayDelivery(Request[Delivery]):
    """Send an ended delivery anew, under its old id. Refused while it is pending."""

    SUBJECT: ClassVar[str] = "req.scheduler.replay_delivery"
    REPLY: ClassVar[type[BaseModel]] = Delivery
    WRITES: ClassVar[bool] = True

    delivery: str
