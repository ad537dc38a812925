"""A task's life, message by message, in the order they are sent.

client      -> CreateTask        gateway-http -> scheduler
references? -> UploadReferences  scheduler -> uploader      Uploaded, UploadFailed
submit      -> SubmitInPage      scheduler -> signer        Submitted, Refused,
               SubmitPlain                                  Unknown
wait        -> PollSession       scheduler -> poller        Progressed, Generated,
                                                            GenerationFailed, Absent
store       -> StoreResults      scheduler -> downloader    Stored, StoreFailed
afterwards  -> DeleteFiles       scheduler -> downloader
            -> DeleteResults     scheduler -> downloader
any step    -> (gave up)         the bus                    Died
all along   -> TaskChanged       scheduler -> everybody
"""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field, JsonValue

from contracts.errors import ErrorCode, ErrorKind
from contracts.message import Command, Event
from contracts.values import (
    Belonging,
    Failure,
    FileRef,
    Item,
    Job,
    Kind,
    Progress,
    ResultRef,
    Stage,
    Status,
    Terms,
    Webhook,
)


class CreateTask(Belonging, Command):
    """A client's accepted wish. gateway-http -> scheduler."""

    SUBJECT: ClassVar[str] = "cmd.scheduler.create.{task}"
    DEADLINE_SECONDS: ClassVar[float | None] = None

    task: str
    job: Job
    created_at: datetime
    terms: Terms = Field(default_factory=Terms)
    webhook: Webhook | None = None


class AttemptCommand(Command):
    """A step of one attempt, on one session. Carries no secret and no bytes."""

    task: str
    attempt: int
    session: str


class UploadReferences(AttemptCommand):
    """Bring the references to the site, on this session. scheduler -> uploader."""

    SUBJECT: ClassVar[str] = "cmd.uploader.upload.{task}-{attempt}"
    DEADLINE_SECONDS: ClassVar[float | None] = 900

    files: tuple[FileRef, ...]
    job: Job | None = None
    """What they are for: it is held against what fetched files turn out to be."""


class Submit(AttemptCommand):
    """Send this job to the site once; `materials` are what was uploaded, in order."""

    DEADLINE_SECONDS: ClassVar[float | None] = 90

    job: Job
    materials: tuple[JsonValue, ...] = ()
    send: int = 1
    submit_id: str


class SubmitInPage(Submit):
    """Send through the site's own page. scheduler -> signer with a browser."""

    SUBJECT: ClassVar[str] = "cmd.signer.page.{task}-{attempt}"


class SubmitPlain(Submit):
    """Send by a plain request. scheduler -> signer."""

    SUBJECT: ClassVar[str] = "cmd.signer.plain.{task}-{attempt}"


class PollSession(Command):
    """Ask the site how this session's jobs are doing. scheduler -> poller."""

    SUBJECT: ClassVar[str] = "cmd.poller.poll.{session}"
    DEADLINE_SECONDS: ClassVar[float | None] = None
    ENDLESS: ClassVar[bool] = True

    session: str


class StoreResults(AttemptCommand):
    """Fetch these results before their links expire. scheduler -> downloader."""

    SUBJECT: ClassVar[str] = "cmd.downloader.store.{task}-{attempt}"
    DEADLINE_SECONDS: ClassVar[float | None] = 1800

    submit_id: str
    items: tuple[Item, ...]
    kind: Kind = "video"
    """What every item must turn out to be."""


class DeleteFiles(Command):
    """Delete what lies in the store for an ended task. scheduler -> downloader.

    All of it, or where `keys` are named only these.
    """

    SUBJECT: ClassVar[str] = "cmd.downloader.delete.{task}"
    DEADLINE_SECONDS: ClassVar[float | None] = None

    task: str
    keys: tuple[str, ...] = ()


class DeleteResults(Command):
    """Delete what was stored of results that nobody will be shown, and their pictures.

    scheduler -> downloader.
    """

    SUBJECT: ClassVar[str] = "cmd.downloader.discard.{task}"
    DEADLINE_SECONDS: ClassVar[float | None] = None

    task: str


class TaskEvent(Event):
    """A fact about one attempt. `n` comes from the command or the scheduler's reply."""

    task: str
    attempt: int
    n: int = 0

    @property
    def id(self) -> str:
        """`<task>:<attempt>:<service>.<what>:<n>`."""
        what = ".".join(self.subject.split(".")[3:])
        return f"{self.task}:{self.attempt}:{what}:{self.n}"


class Uploaded(TaskEvent):
    """Every reference is at the site. uploader -> scheduler."""

    SUBJECT: ClassVar[str] = "evt.task.{task}.uploader.uploaded"

    materials: tuple[JsonValue, ...]


class UploadFailed(Failure, TaskEvent):
    """A reference cannot be brought to the site. uploader -> scheduler."""

    SUBJECT: ClassVar[str] = "evt.task.{task}.uploader.failed"


class Submitted(TaskEvent):
    """The site took the job. signer -> scheduler. `n` is the send."""

    SUBJECT: ClassVar[str] = "evt.task.{task}.signer.submitted"

    upstream_id: str
    answer: str | None = None


class Refused(Failure, TaskEvent):
    """The site certainly did not take the job. signer -> scheduler."""

    SUBJECT: ClassVar[str] = "evt.task.{task}.signer.refused"


class Unknown(Failure, TaskEvent):
    """Whether the site took the job is not known. signer -> scheduler."""

    SUBJECT: ClassVar[str] = "evt.task.{task}.signer.unknown"


class Progressed(Progress, TaskEvent):
    """The site is at work. poller -> scheduler. `n` is the poll round."""

    SUBJECT: ClassVar[str] = "evt.task.{task}.poller.progressed"
    TTL_SECONDS: ClassVar[int | None] = 3600

    upstream_id: str | None = None


class Generated(TaskEvent):
    """The site has results. poller -> scheduler."""

    SUBJECT: ClassVar[str] = "evt.task.{task}.poller.generated"

    upstream_id: str | None = None
    items: tuple[Item, ...]


class GenerationFailed(Failure, TaskEvent):
    """The site took the job and it failed there. poller -> scheduler."""

    SUBJECT: ClassVar[str] = "evt.task.{task}.poller.failed"

    upstream_id: str | None = None


class Absent(TaskEvent):
    """A good answer did not know the job. poller -> scheduler. `n` is the round."""

    SUBJECT: ClassVar[str] = "evt.task.{task}.poller.absent"
    TTL_SECONDS: ClassVar[int | None] = 3600


class Stored(TaskEvent):
    """The results lie in the blob store, verified. downloader -> scheduler."""

    SUBJECT: ClassVar[str] = "evt.task.{task}.downloader.stored"

    results: tuple[ResultRef, ...]


class StoreFailed(Failure, TaskEvent):
    """What the site made cannot be had. downloader -> scheduler."""

    SUBJECT: ClassVar[str] = "evt.task.{task}.downloader.failed"


class Died(TaskEvent):
    """A step was given up; its command is in DLQ. the bus -> scheduler."""

    SUBJECT: ClassVar[str] = "evt.task.{task}.{service}.died"

    service: str
    reason: str


class TaskChanged(Belonging, Progress, Event):
    """A task changed as its client sees it. scheduler -> everybody.

    `what` is the status when that changed, else `progressed`. A reader drops what
    is not newer than the `revision` it has.
    """

    SUBJECT: ClassVar[str] = "evt.task.{task}.scheduler.{what}"

    task: str
    what: Status | Literal["progressed"]
    revision: int
    status: Status
    stage: Stage | None = None  # type: ignore[assignment]
    attempt: int = 0
    session: str | None = None
    model: str = ""
    prompt: str = ""
    """Cut to 300 characters; the whole is a read away."""
    results: tuple[ResultRef, ...] = ()
    error_code: ErrorCode | None = None
    error_kind: ErrorKind | None = None
    error_message: str | None = None
    files_deleted_at: datetime | None = None
    """When its files were deleted, for their age; `results` is empty from then on."""
    deleted_at: datetime | None = None
    """When it was deleted itself: nobody can read it any more."""

    @property
    def id(self) -> str:
        """`<task>:<attempt>:scheduler.<what>:<revision>`."""
        return f"{self.task}:{self.attempt}:scheduler.{self.what}:{self.revision}"
