"""What `/api/v1/webhooks` takes and gives. Secrets go out once, URLs never whole."""

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    model_validator,
)

from contracts import endpoints, webhooks
from contracts.webhooks import DeliveryStatus, EndpointKind, Occasion, Wanted
from fetch import LONGEST_URL
from gateway_http.fields import HookSecret, Text
from gateway_http.views import Moment

TASKS: tuple[Wanted, ...] = ("task.*",)
NOTICES: tuple[Wanted, ...] = ("notice.*",)
ADDRESS = "https://hooks.example/jimeng"
Address = Annotated[SecretStr, Field(min_length=1, max_length=LONGEST_URL)]
Events = Annotated[
    tuple[Wanted, ...],
    Field(
        min_length=1,
        max_length=len(get_args(Wanted)),
        description="`task.*` and `notice.*` are all of a kind.",
        examples=[["task.*", "notice.session_expired"]],
    ),
]
Description = Annotated[Text, Field(max_length=200)]
Given: frozenset[EndpointKind] = frozenset({"ntfy", "dingtalk"})
_TOKEN = re.compile(r"[!-~]*")  # it is sent in a header


class NewWebhook(BaseModel):
    """A receiver to add."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: Address = Field(description="It may hold a secret.", examples=[ADDRESS])
    kind: EndpointKind = Field(
        "standard", description="A signed webhook, or the plain form of a chat."
    )
    secret: HookSecret | None = Field(
        None, description="ntfy: an access token; DingTalk: what its robot signs with."
    )
    description: Description = ""
    events: Events | None = Field(
        None, description="Left out: `task.*`, for chats `notice.*`."
    )

    @model_validator(mode="after")
    def _has_its_own_secret(self) -> Self:
        if self.secret and self.kind not in Given:
            raise ValueError("secret: only ntfy and dingtalk are given one")
        secret = self.secret.get_secret_value() if self.secret else ""
        if self.kind == "ntfy" and not _TOKEN.fullmatch(secret):
            raise ValueError("secret: a token of ntfy is visible ASCII characters")
        return self

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """What it is told."""
        return self.events or (TASKS if self.kind == "standard" else NOTICES)


class WebhookChanges(BaseModel):
    """What is to be different; what is left out stays as it is."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"minProperties": 1, "example": {"enabled": True}},
    )

    url: Address | None = Field(None, examples=[ADDRESS])
    description: Description | None = None
    events: Events | None = None
    enabled: StrictBool | None = Field(
        None, description="Switched off, what it has not got yet is given up."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("nothing to change")
        return self


class SecretRotation(BaseModel):
    """How a secret is replaced."""

    model_config = ConfigDict(extra="forbid")

    grace_seconds: StrictInt = Field(
        86_400, ge=0, le=30 * 86_400, description="How long the old one signs too."
    )


class WebhookView(BaseModel):
    """A standing receiver."""

    id: str
    kind: EndpointKind
    url: str = Field(description="What is no secret of it.")
    description: str
    events: tuple[Wanted, ...]
    enabled: bool
    off_reason: str | None = Field(description="Why it was switched off by itself.")
    failing_since: Moment | None = Field(description="It has taken nothing since.")
    previous_until: Moment | None = Field(
        description="Until then the secret before signs too."
    )
    created_at: Moment
    updated_at: Moment


class OneWebhook(BaseModel):
    """One receiver."""

    webhook: WebhookView


class NewSecret(OneWebhook):
    """A receiver and its secret, which is not shown again."""

    secret: str | None = Field(
        description="What its webhooks are signed with; null for chats.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )


class WebhookList(BaseModel):
    """Every receiver, the oldest first."""

    webhooks: list[WebhookView]


class TryView(BaseModel):
    """One try."""

    n: int
    at: Moment
    took_ms: int
    status: int | None
    error: str | None
    request: str = Field(description="The beginning of what was sent.")
    response: str = Field(description="The beginning of what was answered.")


class DeliveryView(BaseModel):
    """One thing told to one receiver."""

    id: str = Field(description="The `webhook-id` of every try.")
    event: Occasion
    task: str | None
    webhook: str | None = Field(description="Null: the task's own `webhook_url`.")
    url: str
    status: DeliveryStatus
    attempt: int = Field(description="The latest try, also one that is to come.")
    due_at: Moment | None = Field(description="When it is tried, or looked at, again.")
    error: str | None
    created_at: Moment
    delivered_at: Moment | None
    tries: list[TryView] = Field(description="Empty in lists.")


class OneDelivery(BaseModel):
    """One delivery."""

    delivery: DeliveryView


class DeliveryList(BaseModel):
    """Some deliveries, the newest first."""

    deliveries: list[DeliveryView]
    next_cursor: str | None = Field(description="Give it as `cursor` to go on.")


class Tested(OneDelivery):
    """What became of a test; `ok` null: it is not known yet."""

    ok: bool | None
    message: str


class Removed(BaseModel):
    """It is done."""

    ok: Literal[True] = True


def webhook_view(endpoint: endpoints.Endpoint) -> WebhookView:
    """Show a receiver."""
    return WebhookView.model_validate(endpoint.model_dump())


def delivery_view(delivery: webhooks.Delivery) -> DeliveryView:
    """Show a delivery."""
    told = delivery.model_dump(exclude={"occasion", "endpoint", "n"})
    return DeliveryView(
        event=delivery.occasion, webhook=delivery.endpoint, attempt=delivery.n, **told
    )
