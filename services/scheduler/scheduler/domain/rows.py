"""The values the decisions are made on: a task, its latest attempt, a session."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from pydantic import JsonValue

from contracts.errors import ErrorCode
from contracts.sessions import ClosedModel, Credits, SessionState
from contracts.values import (
    TERMINAL,
    Belonging,
    Item,
    Job,
    Progress,
    ResultRef,
    Stage,
    Status,
    Terms,
    Webhook,
)

AttemptState = Literal["reserved", "permitted", "known", "ended"]


@dataclass(frozen=True)
class Task:
    """A task as it stands. Terminal statuses are written once.

    `due_at` is when somebody must look at it again whatever happens: its step's
    deadline, or its own.
    """

    id: str
    belonging: Belonging
    job: Job
    created_at: datetime
    terms: Terms = field(default_factory=Terms)
    status: Status = "queued"
    stage: Stage | None = "waiting"
    revision: int = 0
    attempt: int = 0
    session: str | None = None
    progress: Progress = field(default_factory=Progress)
    results: tuple[ResultRef, ...] = ()
    error_code: ErrorCode | None = None
    error_message: str | None = None
    upstream_code: str | None = None
    not_before: datetime | None = None
    due_at: datetime | None = None
    files_deleted_at: datetime | None = None
    deleted_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    webhook: Webhook | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing can change it any more."""
        return self.status in TERMINAL

    def with_stage(self, stage: Stage) -> "Task":
        """Return it in another stage of its status."""
        return replace(self, stage=stage)


@dataclass(frozen=True)
class Attempt:
    """A task's n-th try on one session; a reservation until it has ended.

    `permitted_at` is None exactly while nothing can have been sent. Sends 1 to
    `allowed` are wanted, `sends` of them have their permit. `absent` counts the good
    answers without it, of poll rounds after `since_round`, when the last permit was
    given. An `adopted` one goes on with the submit of the task that it retries.
    `said_at`, when the poller last told of it, is not saved with the rest.
    """

    task: str
    n: int
    session: str
    submit_id: str
    reserved_at: datetime
    state: AttemptState = "reserved"
    materials: tuple[JsonValue, ...] = ()
    items: tuple[Item, ...] = ()
    sends: int = 0
    allowed: int = 1
    adopted: bool = False
    nonce: str | None = None
    body_hash: str | None = None
    permitted_at: datetime | None = None
    upstream_id: str | None = None
    absent: int = 0
    round: int = 0
    since_round: int = 0
    charged: bool | None = None
    reason: str | None = None
    error_code: ErrorCode | None = None
    upstream_code: str | None = None
    answer: str | None = None
    said_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Session:
    """An upstream account as the pool sees it.

    `active` counts unended attempts, `pending` those of them that the site has not
    accepted, `held` those of these that wait for a person, `today` the jobs of its day,
    pending ones too. `learnt` is how many tasks at a time the site was seen to take,
    where that is fewer than `max_active`; `streak` how many it accepted there since.
    """

    id: str
    label: str
    state: SessionState
    region: str = "cn"
    max_active: int = 2
    active: int = 0
    pending: int = 0
    held: int = 0
    today: int = 0
    reason: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    setbacks: int = 0
    learnt: int | None = None
    streak: int = 0
    weight: int = 1
    daily_cap: int | None = None
    models: tuple[str, ...] = ()
    lent: bool = False
    closed_models: tuple[ClosedModel, ...] = ()
    credits: Credits | None = None
    upstream_uid: str | None = None
    last_used_at: datetime | None = None
    last_error: str | None = None
    checked_at: datetime | None = None
    asked_at: datetime | None = None
