"""What events say of tasks and sessions: the fields they know, under the same names."""

from pydantic import BaseModel, Field

from contracts.errors import ErrorCode, ErrorKind
from contracts.sessions import CheckOutcome, SessionChanged, SessionState
from contracts.tasks import TaskChanged
from contracts.values import Kind, Stage, Status
from gateway_http.links import Links
from gateway_http.session_views import HEALTHY, OFF, CreditsView, SessionView
from gateway_http.views import (
    Moment,
    ResultView,
    TaskView,
    duration_text,
    progress_of,
    result_views,
)


class ChangedTask(BaseModel):
    """A task as an event knows it; the rest is a read away."""

    id: str
    status: Status
    stage: Stage | None
    revision: int = Field(description="Grows with each change: drop what is not newer.")
    kind: Kind
    model: str
    prompt: str = Field(description="Cut to 300 characters.")
    priority: int
    metadata: dict[str, str]
    retry_of: str | None
    attempt: int
    session_pool_id: str | None
    queue_position: int | None
    queue_total: int | None
    queue_eta: str | None
    queue_eta_seconds: int | None
    progress: int | None
    results: list[ResultView]
    video_url: str | None
    poster_url: str | None
    error_message: str | None
    error_kind: ErrorKind | None
    error_code: ErrorCode | None
    files_deleted_at: Moment | None
    deleted_at: Moment | None = Field(description="When the task itself was deleted.")
    updated_at: Moment


class TaskChange(BaseModel):
    """What `queued` … `cancelled`, `progressed` and `deleted` carry."""

    task: ChangedTask


class ChangedSession(BaseModel):
    """An account as an event knows it."""

    id: str
    label: str
    state: SessionState
    enabled: bool
    healthy: bool
    reason: str | None
    until: Moment | None
    credits: CreditsView | None


class SessionChange(BaseModel):
    """What `session.checked`, `session.changed` and `session.removed` carry."""

    session: ChangedSession
    why: str | None = Field(description="What led to this.")
    outcome: CheckOutcome | None = Field(description="What a check found.")
    at: Moment


class TaskSnapshot(BaseModel):
    """What `snapshot` and `reset` carry where one task is followed."""

    task: TaskView


class Snapshot(BaseModel):
    """What `snapshot` and `reset` carry where many are followed."""

    tasks: list[TaskView] = Field(description="The newest first; see `limit`.")
    sessions: list[SessionView]


class Done(BaseModel):
    """What `done` carries: nothing more comes, close the stream."""

    task_id: str
    status: Status


def task_change(event: TaskChanged, links: Links) -> TaskChange:
    """Show a change of a task, with links to what it made."""
    made = event.results if event.status == "succeeded" else ()
    results = result_views(event.task, made, links)
    view = ChangedTask(
        id=event.task,
        session_pool_id=event.session,
        queue_eta=duration_text(event.queue_eta_seconds),
        progress=progress_of(event),
        results=results,
        video_url=results[0].url if results and event.kind == "video" else None,
        poster_url=results[0].poster_url if results else None,
        updated_at=event.at,
        **{name: getattr(event, name) for name in _AS_IT_IS},
    )
    return TaskChange(task=view)


_AS_IT_IS = (ChangedTask.model_fields.keys() & TaskChanged.model_fields.keys()) - {
    "results"
}


def session_change(event: SessionChanged) -> SessionChange:
    """Show a change of an account."""
    left = event.credits
    view = ChangedSession(
        id=event.session,
        label=event.label,
        state=event.state,
        enabled=event.state not in OFF,
        healthy=event.state in HEALTHY,
        reason=event.reason,
        until=event.until,
        credits=CreditsView(**left.model_dump(), total=left.total) if left else None,
    )
    return SessionChange(
        session=view, why=event.why, outcome=event.outcome, at=event.at
    )
