"""Tasks as clients see them: the earlier gateway's fields, then ours."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, Field, PlainSerializer

from contracts import requests
from contracts.errors import ErrorCode, ErrorKind
from contracts.requests import AttemptView
from contracts.tasks import TaskChanged
from contracts.values import FileRef, Kind, ResultRef, Stage, Status
from fetch import masked
from gateway_http.links import Links, Target

MINUTE = 60
HOUR = 3600


def rfc3339(moment: datetime) -> str:
    """Write a moment in UTC, to the millisecond."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


Moment = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str),
    Field(examples=["2026-01-31T12:00:00.000Z"]),
]


class FileView(BaseModel):
    """A reference file as it was taken in; of a URL only what its name tells."""

    name: str
    kind: Literal["image", "video", "audio"]
    mime: str | None
    size: int | None
    sha256: str | None
    width: int | None
    height: int | None
    duration_ms: int | None
    url: str | None = Field(description="Where it is fetched from, without its query.")


class ResultView(BaseModel):
    """A stored result and where it is served."""

    index: int
    url: str
    poster_url: str | None = Field(description="A JPEG of a film, where there is one.")
    mime: str
    size: int
    sha256: str
    width: int | None
    height: int | None
    duration_ms: int | None


class AttemptEntry(BaseModel):
    """One try on one session."""

    n: int
    session: str
    session_label: str
    state: str
    submit_id: str | None
    upstream_id: str | None
    sends: int
    charged: bool | None
    reason: str | None
    error_code: ErrorCode | None
    error_kind: ErrorKind | None
    upstream_code: str | None
    reserved_at: Moment
    permitted_at: Moment | None = Field(description="When it was last sent.")
    ended_at: Moment | None


class TaskView(BaseModel):
    """One task. The first 18 fields are the earlier gateway's."""

    id: str
    status: Status
    model: str
    prompt: str
    duration: int | None = Field(description="Seconds; null for images.")
    ratio: str
    session_pool_id: str | None
    history_record_id: str | None = Field(description="The site's id of the job.")
    queue_position: int | None = Field(description="Place in the site's queue.")
    queue_total: int | None
    queue_eta: str | None = Field(examples=["3m20s"])
    video_url: str | None = Field(
        description="Ours; null until succeeded, once its file is deleted, and for "
        "images: their URLs are in `results`."
    )
    error_message: str | None
    error_kind: ErrorKind | None
    created_at: Moment
    updated_at: Moment
    started_at: Moment | None
    finished_at: Moment | None

    kind: Kind
    stage: Stage | None = Field(
        description="Where it stands within its status. `unknown`: nobody knows yet "
        "whether the site took it, it is looked for. `held`: it did not show up; "
        "`POST …/resolve` or a cancel ends this."
    )
    poster_url: str | None = Field(description="A JPEG of the video, for lists.")
    resolution: str | None
    function_mode: str | None
    priority: int
    max_attempts: int = Field(description="How many tries it may take.")
    deadline: Moment | None = Field(description="When it fails if not finished.")
    buy_again: int = Field(
        description="How many generations that failed at the site may still be bought "
        "again."
    )
    metadata: dict[str, str]
    retry_of: str | None
    owner: str | None = Field(description="Whose it is.", examples=["key:1"])
    revision: int
    attempt: int
    attempts: list[AttemptEntry]
    files: list[FileView]
    results: list[ResultView]
    queue_eta_seconds: int | None
    queue_eta_at: Moment | None = Field(description="When that will be over.")
    queue_ahead: int | None = Field(description="Tasks of this gateway that go first.")
    gateway_position: int | None = Field(
        description="Place in this gateway's own queue, from 1, while queued."
    )
    gateway_total: int | None = Field(description="How many are in that queue.")
    progress: int | None = Field(
        description="How far it is, 0 to 100, as far as known: the site tells of its "
        "queue only. null: it ended otherwise than well.",
        ge=0,
        le=100,
    )
    waiting_for: str | None = Field(
        description="What keeps it waiting that an operator could do something about."
    )
    error_code: ErrorCode | None
    upstream_code: str | None
    upstream_charged: bool | None = Field(
        description="Whether the site charges for its latest attempt; null: not known."
    )
    webhook_url: str | None = Field(
        description="Where its end is told, without the query."
    )
    files_deleted_at: Moment | None = Field(
        description="When its files were deleted, for their age."
    )


def task_view(task: requests.Task, links: Links) -> TaskView:
    """Show a task, with links to what it made."""
    done = task.status == "succeeded" and not task.files_deleted_at
    results = result_views(task.id, task.results if done else (), links)
    return TaskView(
        session_pool_id=task.session,
        history_record_id=task.upstream_id,
        queue_eta=duration_text(task.queue_eta_seconds),
        queue_eta_at=_eta_at(task),
        gateway_position=None if task.queue_ahead is None else task.queue_ahead + 1,
        gateway_total=task.queue_length,
        progress=progress_of(task),
        video_url=results[0].url if results and task.kind == "video" else None,
        poster_url=results[0].poster_url if results else None,
        files=[_file(each) for each in task.job.files],
        results=results,
        attempts=[_attempt(each) for each in task.attempts],
        duration=task.job.duration or None,
        **task.job.model_dump(exclude={"files", "duration"}),
        **task.terms.model_dump(),
        **{name: getattr(task, name) for name in _AS_IT_IS},
    )


_AS_IT_IS = (TaskView.model_fields.keys() & requests.Task.model_fields.keys()) - {
    "results",
    "attempts",
}


def progress_of(task: requests.Task | TaskChanged) -> int | None:
    """Return how far a task is, of 100. It may stand still, it is never a guess."""
    if task.status == "polling" and task.stage == "upstream_queue":
        return SENT + _through(task) * (GENERATING - SENT) // 100
    if task.status == "polling":
        return GENERATING
    return _PROGRESS.get(task.status)


SENT, GENERATING = 10, 50
_PROGRESS = {"queued": 0, "submitting": 5, "downloading": 90, "succeeded": 100}


def _through(task: requests.Task | TaskChanged) -> int:
    """Return how much of the site's queue is behind it, of 100."""
    if task.queue_position is None or not task.queue_total:
        return 0
    left = min(max(task.queue_position, 0), task.queue_total)
    return (task.queue_total - left) * 100 // task.queue_total


def _eta_at(task: requests.Task) -> datetime | None:
    if task.told_at is None or task.queue_eta_seconds is None:
        return None
    try:
        return task.told_at + timedelta(seconds=task.queue_eta_seconds)
    except OverflowError:  # the site may say anything
        return None


def duration_text(seconds: int | None) -> str | None:
    """Write a length of time as "1h5m", "3m20s" or "40s"."""
    if seconds is None:
        return None
    seconds = max(0, seconds)
    if seconds >= HOUR:
        return f"{seconds // HOUR}h{seconds % HOUR // MINUTE}m"
    if seconds >= MINUTE:
        return f"{seconds // MINUTE}m{seconds % MINUTE}s"
    return f"{seconds}s"


def result_views(
    task: str, results: Sequence[ResultRef], links: Links
) -> list[ResultView]:
    """Show the results of a task."""
    return [_result(Target(task, each.index), each, links) for each in results]


def _result(film: Target, result: ResultRef, links: Links) -> ResultView:
    picture = replace(film, kind="poster")
    return ResultView(
        url=links.of(film),
        poster_url=links.of(picture) if result.poster else None,
        **result.model_dump(exclude={"key", "poster"}),
    )


def _file(file: FileRef) -> FileView:
    if not file.url:
        return FileView(**file.model_dump(exclude={"key", "url"}), url=None)
    known = file.model_dump(include={"name", "kind", "width", "height", "duration_ms"})
    return FileView(**known, mime=None, size=None, sha256=None, url=masked(file.url))


def _attempt(attempt: AttemptView) -> AttemptEntry:
    return AttemptEntry(**attempt.model_dump())
