"""What is asked of the scheduler, and what it answers. Core NATS: nothing is kept.

Here is how asking goes, and what is asked of tasks; `pool.py` has what is asked of
sessions, `workers.py` what workers ask.
"""

from datetime import datetime
from typing import ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from contracts.errors import ErrorCode, ErrorKind
from contracts.message import Message, Value
from contracts.values import (
    Belonging,
    Job,
    Kind,
    Progress,
    ResultRef,
    Stage,
    Status,
    Terms,
    Webhook,
)

R = TypeVar("R", bound=BaseModel)


class Request(Message, Generic[R]):
    """A question to the scheduler; REPLY is what a yes looks like."""

    REPLY: ClassVar[type[BaseModel]]
    WRITES: ClassVar[bool] = False
    """Answered by the writer, after its commit, instead of by a reader."""


class Refusal(Value):
    """A no, in the words of HTTP: status, a stable type, a text for people."""

    status: int
    type: str
    detail: str
    field: str | None = None


class Answer(Value):
    """How a reply travels: either what was asked for, or why not."""

    ok: dict[str, object] | None = None
    refused: Refusal | None = None


class RequestRefusedError(Exception):
    """The scheduler said no."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


class AttemptView(Value):
    """One try of a task, as operators see it."""

    n: int
    session: str
    session_label: str = ""
    state: Literal["reserved", "permitted", "known", "ended"]
    submit_id: str | None = None
    upstream_id: str | None = None
    sends: int = 0
    charged: bool | None = None
    reason: str | None = None
    error_code: ErrorCode | None = None
    error_kind: ErrorKind | None = None
    upstream_code: str | None = None
    reserved_at: datetime
    permitted_at: datetime | None = None
    """When its latest send was allowed."""
    ended_at: datetime | None = None


class Task(Belonging, Progress):
    """A task as its client sees it."""

    id: str
    status: Status
    stage: Stage | None = None  # type: ignore[assignment]
    job: Job
    revision: int
    attempt: int = 0
    session: str | None = None
    upstream_id: str | None = None
    results: tuple[ResultRef, ...] = ()
    attempts: tuple[AttemptView, ...] = ()
    error_code: ErrorCode | None = None
    error_kind: ErrorKind | None = None
    error_message: str | None = None
    upstream_code: str | None = None
    upstream_charged: bool | None = None
    terms: Terms = Field(default_factory=Terms)
    webhook_url: str | None = None
    """Where its end is told, without the query."""
    files_deleted_at: datetime | None = None
    """When its files were deleted, for their age."""
    queue_ahead: int | None = None
    """How many tasks of this gateway go first, while queued."""
    queue_length: int | None = None
    """How many tasks of this gateway are queued, this one among them."""
    told_at: datetime | None = None
    """When the site last said where it stands."""
    waiting_for: str | None = None
    """What an operator could do something about, while it keeps the task waiting."""
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class AboutTask(Request[R]):
    """A question about one task; to `seen_by`, others' tasks are not there."""

    task: str
    seen_by: str | None = None
    """The owner whose tasks the asker may see; None: everybody's."""


class ReadTask(AboutTask[Task]):
    """One task, whole."""

    SUBJECT: ClassVar[str] = "req.scheduler.read_task"
    REPLY: ClassVar[type[BaseModel]] = Task


class Stats(Value):
    """How many tasks there are; `running` is between queued and ended."""

    total: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


class TaskFilter(Value):
    """Which tasks are meant: those that fit everything that is given."""

    status: Status | None = None
    statuses: tuple[Status, ...] = ()
    kind: Kind | None = None
    models: tuple[str, ...] = ()
    owner: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    finished_from: datetime | None = None
    finished_before: datetime | None = None
    text: str | None = None
    """Is somewhere in the prompt, in capitals or not."""
    retried: bool | None = None
    """Whether there is a retry of it."""


class TaskPage(Value):
    """Some tasks, the newest first. Prompts are cut to 300 characters."""

    tasks: tuple[Task, ...]
    cursor: str | None = None
    counts: Stats | None = None


class ListTasks(TaskFilter, Request[TaskPage]):
    """Tasks, the newest first; `cursor` goes on where a page ended."""

    SUBJECT: ClassVar[str] = "req.scheduler.list_tasks"
    REPLY: ClassVar[type[BaseModel]] = TaskPage

    seen_by: str | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = None
    counted: bool = False
    """Whether all that fit are to be counted, too."""


class Cancelled(Value):
    """What a cancel did; whether the site charges is not always known."""

    task: Task
    upstream_charged: Literal["false", "true", "unknown"]


class CancelTask(AboutTask[Cancelled]):
    """Stop a task. Refused once it has ended otherwise."""

    SUBJECT: ClassVar[str] = "req.scheduler.cancel_task"
    REPLY: ClassVar[type[BaseModel]] = Cancelled
    WRITES: ClassVar[bool] = True


class ResolveTask(AboutTask[Task]):
    """End a hold: send it again, or fail it. Refused for a task that is not held.

    Asked again, for an answer that was lost, it does nothing more.
    """

    SUBJECT: ClassVar[str] = "req.scheduler.resolve_task"
    REPLY: ClassVar[type[BaseModel]] = Task
    WRITES: ClassVar[bool] = True

    action: Literal["resend", "fail"]


class RetryTask(AboutTask[Task]):
    """Make an ended task anew, as `new_task`; the reply is the new one.

    Where the old one's submit was permitted, its job is looked for first, and taken
    over when the site has it. `again`, or another `job`, buys without asking. Asked
    twice with one `new_task`, it is one retry. Refused while the task has not ended.
    """

    SUBJECT: ClassVar[str] = "req.scheduler.retry_task"
    REPLY: ClassVar[type[BaseModel]] = Task
    WRITES: ClassVar[bool] = True

    new_task: str
    again: bool = False
    job: Job | None = None
    owner: str | None = None
    priority: int | None = None
    metadata: dict[str, str] | None = None
    terms: Terms | None = None
    """Left out, these are the old one's, without its deadline."""
    first: bool = False
    """Refused where there is a retry of it already."""
    webhook: Webhook | Literal["none"] | None = None
    """Left out, it is the old one's."""


class Deleted(Value):
    """A task that is no more, and how it had ended."""

    task: str
    status: Status


class DeleteTask(AboutTask[Deleted]):
    """Forget an ended task and delete its files; only its id stays.

    Asked again, for an answer that was lost, it does nothing more.
    """

    SUBJECT: ClassVar[str] = "req.scheduler.delete_task"
    REPLY: ClassVar[type[BaseModel]] = Deleted
    WRITES: ClassVar[bool] = True


class ReadStats(Request[Stats]):
    """Count the tasks."""

    SUBJECT: ClassVar[str] = "req.scheduler.stats"
    REPLY: ClassVar[type[BaseModel]] = Stats

    seen_by: str | None = None
