"""What the gateway answers. Fields it learns later are kept, and ignored."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, SecretStr

ENDED = frozenset({"succeeded", "failed", "cancelled"})


class Model(BaseModel):
    """A frozen part of an answer."""

    model_config = ConfigDict(frozen=True, extra="allow")


class File(Model):
    """A reference file as the gateway took it in; of a URL little is known."""

    name: str
    kind: str
    mime: str | None
    size: int | None
    url: str | None = None


class Result(Model):
    """A stored result."""

    index: int
    url: str
    mime: str
    size: int
    sha256: str
    width: int | None = None
    height: int | None = None
    poster_url: str | None = None


class ApiKey(Model):
    """A client's key; `key` itself is in the answer that makes it, and nowhere else."""

    id: str
    name: str
    key_prefix: str
    scopes: tuple[str, ...]
    enabled: bool
    expires_at: datetime | None = None
    previous_until: datetime | None = None
    rate_limit: int = 0
    daily_quota: int = 0
    daily_credits: int = 0
    concurrent: int = 0
    key: SecretStr | None = None


class Task(Model):
    """One task."""

    id: str
    status: str
    kind: str = "video"
    stage: str | None = None
    model: str
    prompt: str
    duration: int | None = None
    ratio: str
    resolution: str | None = None
    priority: int = 5
    max_attempts: int | None = None
    deadline: datetime | None = None
    buy_again: int = 0
    retry_of: str | None = None
    metadata: dict[str, str] = {}
    revision: int = 0
    session_pool_id: str | None = None
    history_record_id: str | None = None
    queue_position: int | None = None
    queue_total: int | None = None
    queue_eta: str | None = None
    queue_eta_seconds: int | None = None
    queue_eta_at: datetime | None = None
    queue_ahead: int | None = None
    gateway_position: int | None = None
    gateway_total: int | None = None
    progress: int | None = None
    owner: str | None = None
    waiting_for: str | None = None
    video_url: str | None = None
    poster_url: str | None = None
    files: tuple[File, ...] = ()
    results: tuple[Result, ...] = ()
    error_code: str | None = None
    error_kind: str | None = None
    error_message: str | None = None
    attempt: int = 0
    upstream_code: str | None = None
    upstream_charged: bool | None = None
    webhook_url: str | None = None
    files_deleted_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Nothing more will happen to it."""
        return self.status in ENDED


class TaskPage(Model):
    """Some tasks, the newest first; `next_cursor` goes on where they end."""

    tasks: tuple[Task, ...]
    next_cursor: str | None = None
    total: int | None = None


class Failure(Model):
    """A task of a batch that nothing was done about, and why."""

    task_id: str
    status: str
    type: str
    detail: str


class Batch(Model):
    """What became of many tasks at once; `next_cursor`: there are more."""

    dry_run: bool
    matched: int
    done: int = 0
    skipped: int = 0
    failed: int = 0
    failures: tuple[Failure, ...] = ()
    task_ids: tuple[str, ...] = ()
    next_cursor: str | None = None


class ModelInfo(Model):
    """A model and what it can do."""

    id: str
    names: tuple[str, ...]
    kind: str
    default: bool
    in_page: bool
    durations: tuple[int, ...]
    ratios: tuple[str, ...]
    resolutions: tuple[str, ...]
    regions: tuple[str, ...]


class Cancelled(Model):
    """A cancelled task, and whether the site charges for it nevertheless."""

    task: Task
    upstream_charged: bool | Literal["unknown"]


class Credits(Model):
    """What an account may still spend."""

    gift: int = 0
    purchase: int = 0
    vip: int = 0
    total: int = 0


class ClosedModel(Model):
    """A model that the site does not let an account use."""

    model: str
    reason: str
    since: datetime


class Session(Model):
    """One account of the pool; its credential only masked."""

    id: str
    label: str = ""
    session_id: str
    enabled: bool
    healthy: bool
    state: str
    reason: str | None = None
    until: datetime | None = None
    region: str = ""
    active_tasks: int = 0
    max_active: int = 0
    total_tasks: int = 0
    success_count: int = 0
    fail_count: int = 0
    credits: Credits | None = None
    last_used_at: datetime | None = None
    last_error: str | None = None
    code: str | None = None
    since: datetime | None = None
    learnt: int | None = None
    daily_cap: int | None = None
    today: int = 0
    weight: int = 1
    models: tuple[str, ...] = ()
    closed_models: tuple[ClosedModel, ...] = ()
    checked_at: datetime | None = None


class Checked(Model):
    """A session and what its check found; `outcome` None: the check still runs."""

    ok: bool
    message: str
    outcome: str | None = None
    session: Session


class Webhook(Model):
    """A standing receiver; its secret is shown when it is made, and then no more."""

    id: str
    kind: str
    url: str
    description: str = ""
    events: tuple[str, ...] = ()
    enabled: bool
    off_reason: str | None = None
    failing_since: datetime | None = None
    created_at: datetime


class Try(Model):
    """One try of a delivery."""

    n: int
    at: datetime
    took_ms: int
    status: int | None = None
    error: str | None = None
    request: str = ""
    response: str = ""


class Delivery(Model):
    """One thing told to one receiver; `webhook` None: the task's own URL."""

    id: str
    event: str
    task: str | None = None
    webhook: str | None = None
    url: str
    status: str
    attempt: int
    due_at: datetime | None = None
    error: str | None = None
    created_at: datetime
    delivered_at: datetime | None = None
    tries: tuple[Try, ...] = ()


class DeliveryPage(Model):
    """Some deliveries, the newest first; `next_cursor` goes on where they end."""

    deliveries: tuple[Delivery, ...]
    next_cursor: str | None = None


class WebhookTest(Model):
    """What became of a test; `ok` None: it is not known yet."""

    ok: bool | None
    message: str
    delivery: Delivery
