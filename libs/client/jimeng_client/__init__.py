"""The typed Python client of the gateway's HTTP API."""

from jimeng_client.client import Client, is_url
from jimeng_client.errors import FieldError, GatewayError
from jimeng_client.models import (
    ApiKey,
    Batch,
    Cancelled,
    Checked,
    ClosedModel,
    Credits,
    Delivery,
    DeliveryPage,
    Failure,
    File,
    ModelInfo,
    Result,
    Session,
    Task,
    TaskPage,
    Try,
    Webhook,
    WebhookTest,
)

__all__ = [
    "ApiKey",
    "Batch",
    "Cancelled",
    "Checked",
    "Client",
    "ClosedModel",
    "Credits",
    "Delivery",
    "DeliveryPage",
    "Failure",
    "FieldError",
    "File",
    "GatewayError",
    "ModelInfo",
    "Result",
    "Session",
    "Task",
    "TaskPage",
    "Try",
    "Webhook",
    "WebhookTest",
    "is_url",
]
