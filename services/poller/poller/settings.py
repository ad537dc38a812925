"""What the poller reads from its environment."""

from pydantic import Field

from runtime import settings


class Settings(settings.Settings, settings.UpstreamSettings):
    """The site, and how often it is asked."""

    poll_interval_secs: float = Field(
        10, ge=0.1, description="How often to ask the site when it advises nothing."
    )
    poll_min_secs: float = Field(
        10, ge=0.05, description="Never ask more often, whatever the site advises."
    )
    poll_concurrency: int = Field(64, ge=1, description="Sessions polled at a time.")
    check_concurrency: int = Field(16, ge=1, description="Accounts checked at a time.")
