"""All the scheduler reads from the environment."""

from datetime import timedelta
from math import ceil

from pydantic import Field

from runtime.settings import (
    PermitSettings,
    SecretSettings,
    Settings,
    UpstreamSettings,
)
from scheduler.domain.steps import Limits
from scheduler.work import Rules


class SchedulerSettings(PermitSettings, SecretSettings, UpstreamSettings, Settings):
    """Which database, and how patient."""

    database_url: str = Field(
        "", description="SQLite file; default DATA_DIR/gateway.db."
    )
    concurrency: int | None = Field(
        None, ge=1, description="Most tasks at the site at once; unset: no cap."
    )
    max_poll_duration_secs: float = Field(
        86_400, ge=60, description="A task still unfinished after this fails."
    )
    poll_interval_secs: float = Field(
        10, ge=0.1, description="How often to ask the site when it advises nothing."
    )
    poll_min_secs: float = Field(
        10, ge=0.05, description="Never ask more often, whatever the site advises."
    )

    @property
    def rules(self) -> Rules:
        """What decisions need of these."""
        interval = max(self.poll_interval_secs, self.poll_min_secs)
        return Rules(
            limits=Limits(
                max_poll=timedelta(seconds=self.max_poll_duration_secs),
                settle_rounds=max(3, ceil(self.settle_secs / interval)),
            ),
            permit_seconds=self.permit_secs,
            poll_interval_seconds=self.poll_interval_secs,
            poll_min_seconds=self.poll_min_secs,
            concurrency=self.concurrency,
        )
