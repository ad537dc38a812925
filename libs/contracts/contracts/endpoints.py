"""Standing receivers of what is told, and what is asked of them."""

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel

from contracts.message import Secret, Value
from contracts.requests import Request
from contracts.webhooks import EndpointKind, Wanted


class Endpoint(Value):
    """A standing receiver, as operators see it."""

    id: str
    kind: EndpointKind
    url: str
    """What is no secret of it."""
    description: str = ""
    events: tuple[Wanted, ...]
    enabled: bool
    off_reason: str | None = None
    """Why the gateway itself has switched it off."""
    failing_since: datetime | None = None
    """Since when it has taken nothing."""
    previous_until: datetime | None = None
    """How long the secret before the present one is still signed with."""
    created_at: datetime
    updated_at: datetime


class Endpoints(Value):
    """Every standing receiver, the oldest first."""

    endpoints: tuple[Endpoint, ...]


class EndpointReply(Value):
    """A standing receiver; its secret only when it was made just now."""

    endpoint: Endpoint
    secret: Secret | None = None
    delivery: str | None = None
    """The delivery that a test began."""


class ListEndpoints(Request[Endpoints]):
    """Every standing receiver."""

    SUBJECT: ClassVar[str] = "req.scheduler.list_endpoints"
    REPLY: ClassVar[type[BaseModel]] = Endpoints


class AddEndpoint(Request[EndpointReply]):
    """Have things told there; `base` is what links begin with."""

    SUBJECT: ClassVar[str] = "req.scheduler.add_endpoint"
    REPLY: ClassVar[type[BaseModel]] = EndpointReply
    WRITES: ClassVar[bool] = True

    kind: EndpointKind = "standard"
    url: Secret
    shown: str
    secret: Secret | None = None
    """What ntfy or DingTalk gave; a standard one is made where it is left out."""
    base: str = ""
    description: str = ""
    events: tuple[Wanted, ...]


class AboutEndpoint(Request[EndpointReply]):
    """What is asked of one standing receiver."""

    id: str


class ReadEndpoint(AboutEndpoint):
    """One standing receiver."""

    SUBJECT: ClassVar[str] = "req.scheduler.read_endpoint"
    REPLY: ClassVar[type[BaseModel]] = EndpointReply


class SetEndpoint(AboutEndpoint):
    """Change it; what is left out stays. Switched on, it begins without failures."""

    SUBJECT: ClassVar[str] = "req.scheduler.set_endpoint"
    REPLY: ClassVar[type[BaseModel]] = EndpointReply
    WRITES: ClassVar[bool] = True

    url: Secret | None = None
    shown: str = ""
    base: str = ""
    """Goes with the URL."""
    description: str | None = None
    events: tuple[Wanted, ...] | None = None
    enabled: bool | None = None


class RotateEndpoint(AboutEndpoint):
    """Make it a new secret; for a time both sign."""

    SUBJECT: ClassVar[str] = "req.scheduler.rotate_endpoint"
    REPLY: ClassVar[type[BaseModel]] = EndpointReply
    WRITES: ClassVar[bool] = True

    grace_seconds: float = 86_400


class TestEndpoint(AboutEndpoint):
    """Tell it that this is a test, once, also while it is switched off."""

    SUBJECT: ClassVar[str] = "req.scheduler.test_endpoint"
    REPLY: ClassVar[type[BaseModel]] = EndpointReply
    WRITES: ClassVar[bool] = True


class RemoveEndpoint(AboutEndpoint):
    """Tell it nothing more, and forget its secret."""

    SUBJECT: ClassVar[str] = "req.scheduler.remove_endpoint"
    REPLY: ClassVar[type[BaseModel]] = EndpointReply
    WRITES: ClassVar[bool] = True
