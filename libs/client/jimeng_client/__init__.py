"""The typed Python client of the gateway's HTTP API."""

from jimeng_client.client import Client, is_url
from jimeng_client.errors import FieldError, GatewayError
from jimeng_client.models import (
    ApiKey,
    Cancelled,
    Checked,
    ClosedModel,
    Credits,
    File,
    Result,
    Session,
    Task,
    TaskPage,
)

__all__ = [
    "ApiKey",
    "Cancelled",
    "Checked",
    "Client",
    "ClosedModel",
    "Credits",
    "FieldError",
    "File",
    "GatewayError",
    "Result",
    "Session",
    "Task",
    "TaskPage",
    "is_url",
]
