"""All the scheduler reads from the environment."""

from datetime import timedelta
from math import ceil
from typing import Literal

from pydantic import Field

from runtime.settings import (
    DeadlineSettings,
    NumberList,
    PermitSettings,
    SecretSettings,
    Settings,
    UpstreamSettings,
)
from scheduler.domain import noticing
from scheduler.domain.choice import Policy
from scheduler.domain.steps import Limits
from scheduler.sends import SOONER
from scheduler.work import Rules

SUBMIT_DEADLINE_SECONDS = 90


class SchedulerSettings(
    DeadlineSettings, PermitSettings, SecretSettings, UpstreamSettings, Settings
):
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

    unknown_submit: Literal["resend", "hold"] = Field(
        "resend", description="What follows when the site does not have a submit."
    )
    max_sends: int = Field(
        3, ge=1, le=10, description="Most sends of one attempt; then it is held."
    )
    retry_pause_secs: float = Field(
        5,
        gt=0,
        description="Pause before a task is tried again after a refusal; it grows "
        "with each attempt, to 60 times this.",
    )
    retention_days: float | None = Field(
        None, gt=0, description="Files of tasks that ended longer ago are deleted."
    )
    audit_days: float = Field(
        365, gt=0, description="What operators did is on record for so long."
    )
    lease_secs: float = Field(
        10, gt=0, description="A standby scheduler takes over after this long."
    )
    reconcile_secs: float = Field(
        30, gt=0, description="How often to look for what was lost."
    )

    webhook_pauses_secs: NumberList = Field(
        (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400),
        description="Pauses between the tries of a webhook, each a little longer.",
    )

    webhook_off_secs: float = Field(
        432_000,
        gt=0,
        description="A standing webhook that took nothing for so long is switched off.",
    )

    notice_low_credits: int = Field(
        30, ge=0, description="Operators are told of accounts with fewer; 0: of none."
    )
    notice_after_secs: float = Field(
        60,
        ge=0,
        description="Operators are told when for so long a service is gone, or no "
        "account can work.",
    )
    notice_again_secs: float = Field(
        86_400, gt=0, description="And told again while it goes on."
    )

    session_policy: Policy = Field(
        "lru",
        description="Which account is next: lru (least recently used), idle (fewest "
        "tasks), weighted (a share of the day's jobs by weight).",
    )

    @property
    def _webhook_pauses(self) -> tuple[timedelta, ...]:
        return tuple(timedelta(seconds=s) for s in self.webhook_pauses_secs)

    @property
    def _settle_rounds(self) -> int:
        """How many rounds make up SETTLE_SECS; between n of them lie n - 1 pauses."""
        pauses = ceil(self.settle_secs / (self.poll_min_secs * SOONER))
        return max(3, pauses + 1)

    @property
    def notices(self) -> noticing.Limits:
        """What decides what operators are told."""
        return noticing.Limits(
            low_credits=self.notice_low_credits,
            patience=timedelta(seconds=self.notice_after_secs),
            again=timedelta(seconds=self.notice_again_secs),
        )

    @property
    def rules(self) -> Rules:
        """What decisions need of these."""
        return Rules(
            limits=Limits(
                max_poll=timedelta(seconds=self.max_poll_duration_secs),
                settle_rounds=self._settle_rounds,
                on_unknown=self.unknown_submit,
                max_sends=self.max_sends,
                upload=timedelta(seconds=self.upload_deadline_secs),
                submit=timedelta(seconds=SUBMIT_DEADLINE_SECONDS),
                store=timedelta(seconds=self.download_deadline_secs),
                first_pause=timedelta(seconds=self.retry_pause_secs),
            ),
            permit_seconds=self.permit_secs,
            poll_interval_seconds=self.poll_interval_secs,
            poll_min_seconds=self.poll_min_secs,
            concurrency=self.concurrency,
            policy=self.session_policy,
            webhook_pauses=self._webhook_pauses,
            webhook_patience=timedelta(seconds=self.webhook_off_secs),
        )
