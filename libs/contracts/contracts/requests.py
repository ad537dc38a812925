"""What is asked of the scheduler, and what it answers. Core NATS: nothing is kept.

Credentials travel here and nowhere else.
"""

from datetime import datetime
from typing import ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, SecretStr, field_serializer

from contracts.errors import ErrorCode, ErrorKind
from contracts.message import Message, Value
from contracts.sessions import ClosedModel, Credits, SessionState
from contracts.tasks import (
    Belonging,
    Job,
    Progress,
    ResultRef,
    Stage,
    Status,
    Terms,
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
    reserved_at: datetime
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
    files_deleted_at: datetime | None = None
    """When its files were deleted, for their age."""
    queue_ahead: int | None = None
    """How many tasks of this gateway go first, while queued."""
    waiting_for: str | None = None
    """What an operator could do something about, while it keeps the task waiting."""
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ReadTask(Request[Task]):
    """One task, whole."""

    SUBJECT: ClassVar[str] = "req.scheduler.read_task"
    REPLY: ClassVar[type[BaseModel]] = Task

    task: str


class TaskPage(Value):
    """Some tasks, the newest first. Prompts are cut to 300 characters."""

    tasks: tuple[Task, ...]
    cursor: str | None = None


class ListTasks(Request[TaskPage]):
    """Tasks, the newest first; `cursor` goes on where a page ended."""

    SUBJECT: ClassVar[str] = "req.scheduler.list_tasks"
    REPLY: ClassVar[type[BaseModel]] = TaskPage

    status: Status | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = None


class Cancelled(Value):
    """What a cancel did; whether the site charges is not always known."""

    task: Task
    upstream_charged: Literal["false", "true", "unknown"]


class CancelTask(Request[Cancelled]):
    """Stop a task. Refused once it has ended otherwise."""

    SUBJECT: ClassVar[str] = "req.scheduler.cancel_task"
    REPLY: ClassVar[type[BaseModel]] = Cancelled
    WRITES: ClassVar[bool] = True

    task: str


class ResolveTask(Request[Task]):
    """End a hold: send it again, or fail it. Refused for a task that is not held."""

    SUBJECT: ClassVar[str] = "req.scheduler.resolve_task"
    REPLY: ClassVar[type[BaseModel]] = Task
    WRITES: ClassVar[bool] = True

    task: str
    action: Literal["resend", "fail"]


class RetryTask(Request[Task]):
    """Make an ended task anew, as `new_task`; the reply is the new one.

    Where the old one's submit was permitted, its job is looked for first, and taken
    over when the site has it. `again`, or another `job`, buys without asking. Asked
    twice with one `new_task`, it is one retry. Refused while the task has not ended.
    """

    SUBJECT: ClassVar[str] = "req.scheduler.retry_task"
    REPLY: ClassVar[type[BaseModel]] = Task
    WRITES: ClassVar[bool] = True

    task: str
    new_task: str
    again: bool = False
    job: Job | None = None
    owner: str | None = None
    priority: int | None = None
    metadata: dict[str, str] | None = None
    terms: Terms | None = None
    """Left out, these are the old one's, without its deadline."""


class Orphans(Value):
    """Which of the tasks that were asked about need no files."""

    tasks: tuple[str, ...] = ()


class AskOrphans(Request[Orphans]):
    """Files lie in the store for these tasks; some may not exist, or need none.

    The answer is none of them while creates wait: their files lie there already.
    """

    SUBJECT: ClassVar[str] = "req.scheduler.orphans"
    REPLY: ClassVar[type[BaseModel]] = Orphans

    tasks: tuple[str, ...] = Field(max_length=1000)


class Stats(Value):
    """How many tasks there are; `running` is between queued and ended."""

    total: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


class ReadStats(Request[Stats]):
    """Count the tasks."""

    SUBJECT: ClassVar[str] = "req.scheduler.stats"
    REPLY: ClassVar[type[BaseModel]] = Stats


class Credential(Value):
    """How to be one account. Lives in memory and in replies, nowhere else."""

    session: str
    credential: int
    sessionid: SecretStr
    region: str
    web_id: str
    user_id: str
    proxy: SecretStr | None = None

    @field_serializer("sessionid", "proxy", when_used="json")
    def _open(self, secret: SecretStr | None) -> str | None:
        return secret.get_secret_value() if secret else None


class GetCredential(Request[Credential]):
    """The credential of a session, or a named one of its credentials."""

    SUBJECT: ClassVar[str] = "req.scheduler.credential"
    REPLY: ClassVar[type[BaseModel]] = Credential

    session: str
    credential: int | None = None


class Permit(Value):
    """The scheduler's durable answer to one wish to send."""

    granted: bool
    reason: Literal[
        "", "already_granted", "cancelled", "superseded", "session_not_active"
    ] = ""
    valid_seconds: float = 0


class AskPermit(Request[Permit]):
    """May this attempt's n-th send leave? Asking again with one nonce is one question.

    A granted permit is stored before the answer goes out.
    """

    SUBJECT: ClassVar[str] = "req.scheduler.permit"
    REPLY: ClassVar[type[BaseModel]] = Permit
    WRITES: ClassVar[bool] = True

    task: str
    attempt: int
    send: int
    nonce: str
    submit_id: str
    body_hash: str


class DueAttempt(Value):
    """An attempt to look up now, and what was last said of it."""

    task: str
    attempt: int
    submit_id: str
    round: int
    last: Progress | None = None
    last_said_at: datetime | None = None


class DueAttempts(Value):
    """What to ask the site now; nothing and no `next_seconds`: this session is done."""

    attempts: tuple[DueAttempt, ...] = ()
    credential: Credential | None = None
    next_seconds: float | None = None


class AskDue(Request[DueAttempts]):
    """What is due on a session? Each asking starts a new round for what it gets."""

    SUBJECT: ClassVar[str] = "req.scheduler.due"
    REPLY: ClassVar[type[BaseModel]] = DueAttempts
    WRITES: ClassVar[bool] = True

    session: str
    advice_seconds: float | None = None
    """The interval the site advised in its last answer."""


class Session(Value):
    """One upstream account as operators see it; never its secret."""

    id: str
    label: str
    masked: str
    """The first and last four characters of the credential."""
    region: str
    state: SessionState
    reason: str | None = None
    code: str | None = None
    """The site's own code that led to this state."""
    since: datetime | None = None
    until: datetime | None = None
    has_proxy: bool = False
    max_active: int = 2
    learnt: int | None = None
    """How many tasks at a time the site was seen to take, where that is fewer."""
    daily_cap: int | None = None
    weight: int = 1
    models: tuple[str, ...] = ()
    """The only models it is used for; empty: every one."""
    closed_models: tuple[ClosedModel, ...] = ()
    active: int = 0
    today: int = 0
    """Jobs the site took today, in its own zone."""
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    credits: Credits | None = None
    last_used_at: datetime | None = None
    last_error: str | None = None
    checked_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class Sessions(Value):
    """All sessions, the oldest first."""

    sessions: tuple[Session, ...]


class ListSessions(Request[Sessions]):
    """Every session of the pool."""

    SUBJECT: ClassVar[str] = "req.scheduler.list_sessions"
    REPLY: ClassVar[type[BaseModel]] = Sessions


class SessionReply(Value):
    """One session."""

    session: Session
    credential: int | None = None
    """Which credential is being checked, where a check was asked for."""


class ReadSession(Request[SessionReply]):
    """One session of the pool."""

    SUBJECT: ClassVar[str] = "req.scheduler.read_session"
    REPLY: ClassVar[type[BaseModel]] = SessionReply

    id: str


class AddSession(Request[SessionReply]):
    """Put an account into the pool; it is checked at once.

    `credential` is `[proxy@][us-|hk-|jp-|sg-]<sessionid>`. Refused with 409 when the
    same credential is there already.
    """

    SUBJECT: ClassVar[str] = "req.scheduler.add_session"
    REPLY: ClassVar[type[BaseModel]] = SessionReply
    WRITES: ClassVar[bool] = True

    credential: SecretStr
    label: str = ""
    max_active: int = Field(default=2, ge=1, le=100)
    request: str = ""
    """What makes asking again, after no answer, the same wish and no second one."""

    @field_serializer("credential", when_used="json")
    def _open(self, secret: SecretStr) -> str:
        return secret.get_secret_value()


class RemoveSession(Request[SessionReply]):
    """Take an account out of the pool. Refused while tasks are unsettled on it."""

    SUBJECT: ClassVar[str] = "req.scheduler.remove_session"
    REPLY: ClassVar[type[BaseModel]] = SessionReply
    WRITES: ClassVar[bool] = True

    id: str


class EnableSession(Request[SessionReply]):
    """Let a session take tasks, or no longer."""

    SUBJECT: ClassVar[str] = "req.scheduler.enable_session"
    REPLY: ClassVar[type[BaseModel]] = SessionReply
    WRITES: ClassVar[bool] = True

    id: str
    enabled: bool


class TestSession(Request[SessionReply]):
    """Check a session now; `evt.session.<id>.scheduler.checked` tells the outcome."""

    SUBJECT: ClassVar[str] = "req.scheduler.test_session"
    REPLY: ClassVar[type[BaseModel]] = SessionReply
    WRITES: ClassVar[bool] = True
    __test__: ClassVar[bool] = False  # pytest: a message, not a test

    id: str
