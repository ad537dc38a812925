"""Tasks and sessions as clients see them: the earlier gateway's fields, then ours."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, PlainSerializer

from contracts import pool, requests
from contracts.errors import ErrorCode, ErrorKind
from contracts.requests import AttemptView
from contracts.sessions import CheckOutcome, SessionChanged, SessionState
from contracts.values import FileRef, Kind, Stage, Status
from fetch import masked
from jimeng import InvalidJob, find_model

MINUTE = 60
HOUR = 3600
# A cooling session comes back by itself within minutes.
HEALTHY: frozenset[SessionState] = frozenset({"active", "cooling"})
OFF: frozenset[SessionState] = frozenset({"disabled", "draining"})


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
    reserved_at: Moment
    ended_at: Moment | None


class TaskView(BaseModel):
    """One task. The first 18 fields are the earlier gateway's."""

    id: str
    status: Status
    model: str
    prompt: str
    duration: int
    ratio: str
    session_pool_id: str | None
    history_record_id: str | None = Field(description="The site's id of the job.")
    queue_position: int | None = Field(description="Place in the site's queue.")
    queue_total: int | None
    queue_eta: str | None = Field(examples=["3m20s"])
    video_url: str | None = Field(
        description="Ours; null until succeeded, and once its file is deleted."
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
    revision: int
    attempt: int
    attempts: list[AttemptEntry]
    files: list[FileView]
    results: list[ResultView]
    queue_eta_seconds: int | None
    queue_ahead: int | None = Field(description="Tasks of this gateway that go first.")
    waiting_for: str | None = Field(
        description="What keeps it waiting that an operator could do something about."
    )
    error_code: ErrorCode | None
    upstream_code: str | None
    upstream_charged: bool | None = Field(
        description="Whether the site charges for its latest attempt; null: not known."
    )
    files_deleted_at: Moment | None = Field(
        description="When its files were deleted, for their age."
    )


def task_view(task: requests.Task, base: str) -> TaskView:
    """Show a task; `base` is what its links begin with."""
    done = task.status == "succeeded" and not task.files_deleted_at
    results = [_result(task, n, base) for n in range(len(task.results))] if done else []
    return TaskView(
        session_pool_id=task.session,
        history_record_id=task.upstream_id,
        queue_eta=duration_text(task.queue_eta_seconds),
        video_url=results[0].url if results else None,
        poster_url=results[0].poster_url if results else None,
        files=[_file(each) for each in task.job.files],
        results=results,
        attempts=[_attempt(each) for each in task.attempts],
        **task.job.model_dump(exclude={"files"}),
        **task.terms.model_dump(),
        **{name: getattr(task, name) for name in _AS_IT_IS},
    )


_AS_IT_IS = (TaskView.model_fields.keys() & requests.Task.model_fields.keys()) - {
    "results",
    "attempts",
}


def video_path(task: str, index: int = 0) -> str:
    """Return where a result is served, below the gateway's address."""
    path = f"/api/v1/tasks/{task}/video"
    return f"{path}?index={index}" if index else path


def poster_path(task: str, index: int = 0) -> str:
    """Return where the picture of a result is served."""
    path = f"/api/v1/tasks/{task}/poster"
    return f"{path}?index={index}" if index else path


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


def _result(task: requests.Task, place: int, base: str) -> ResultView:
    result = task.results[place]
    return ResultView(
        url=base + video_path(task.id, place),
        poster_url=base + poster_path(task.id, place) if result.poster else None,
        **result.model_dump(exclude={"key", "poster"}),
    )


def _file(file: FileRef) -> FileView:
    if not file.url:
        return FileView(**file.model_dump(exclude={"key", "url"}), url=None)
    known = file.model_dump(include={"name", "kind", "width", "height", "duration_ms"})
    return FileView(**known, mime=None, size=None, sha256=None, url=masked(file.url))


def _attempt(attempt: AttemptView) -> AttemptEntry:
    return AttemptEntry(**attempt.model_dump())


class CreditsView(BaseModel):
    """What an account may still spend."""

    gift: int
    purchase: int
    vip: int
    total: int


class ClosedModelView(BaseModel):
    """A model that the site does not let this account use."""

    model: str
    reason: str
    since: Moment


class SessionView(BaseModel):
    """One account of the pool; its credential only masked."""

    id: str
    label: str
    session_id: str = Field(description="Masked.", examples=["abcd...wxyz"])
    enabled: bool
    healthy: bool
    active_tasks: int
    total_tasks: int
    success_count: int
    fail_count: int
    last_used_at: Moment | None
    last_error: str | None
    created_at: Moment
    updated_at: Moment

    state: SessionState
    reason: str | None
    until: Moment | None
    region: str
    has_proxy: bool
    max_active: int
    credits: CreditsView | None
    code: str | None = Field(description="The site's code that led to this state.")
    since: Moment | None
    learnt: int | None = Field(
        description="Tasks at one time the site was seen to take, where fewer."
    )
    daily_cap: int | None
    today: int = Field(description="Jobs the site took today, in its own zone.")
    weight: int
    models: list[str] = Field(description="The only models it is used for; empty: all.")
    closed_models: list[ClosedModelView]
    checked_at: Moment | None


def session_view(session: pool.Session) -> SessionView:
    """Show a session."""
    return SessionView(
        session_id=session.masked,
        enabled=session.state not in OFF,
        healthy=session.state in HEALTHY,
        active_tasks=session.active,
        total_tasks=session.total,
        success_count=session.succeeded,
        fail_count=session.failed,
        credits=credits_view(session),
        models=[_name(key) for key in session.models],
        closed_models=[
            ClosedModelView(model=_name(c.model), reason=c.reason, since=c.since)
            for c in session.closed_models
        ],
        **{
            name: getattr(session, name)
            for name in SessionView.model_fields
            if name in pool.Session.model_fields and name not in _SHOWN_APART
        },
    )


_SHOWN_APART = {"credits", "models", "closed_models"}


def _name(model: str) -> str:
    """Return a model's public name; one of another version by its key."""
    try:
        return find_model(model).name
    except InvalidJob:
        return model


def credits_view(session: pool.Session) -> CreditsView | None:
    """Show what is left, all kinds added up."""
    left = session.credits
    return CreditsView(**left.model_dump(), total=left.total) if left else None


def outcome_words(checked: SessionChanged) -> str:
    """Say what a check found, in a sentence."""
    return checked.remedy or _OUTCOMES.get(checked.outcome, "")


_OUTCOMES: dict[CheckOutcome | None, str] = {
    "active": "the account works",
    "expired": "the sign-in has expired: get a new session id",
    "blocked": "the site has blocked the account",
    "wrong_region": "the session id belongs to another region: check its prefix",
    "unreachable": "the site could not be reached",
}
