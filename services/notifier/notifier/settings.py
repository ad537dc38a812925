"""What the notifier reads from its environment."""

from pydantic import Field

from runtime import settings


class Settings(settings.Settings, settings.WebhookSettings):
    """How much at a time, and how patiently."""

    webhook_concurrency: int = Field(
        64, ge=1, description="Webhooks that are sent at a time."
    )
    webhook_timeout_secs: float = Field(
        15, gt=0, le=60, description="How long a receiver may take to answer."
    )
