"""What happened, as the event log tells it and as clients are sent it."""

import json
import logging
from dataclasses import dataclass, field

from fastapi.sse import format_sse_event
from pydantic import BaseModel, ValidationError

from contracts.sessions import SessionChanged
from contracts.tasks import TaskChanged
from contracts.values import TERMINAL, Status
from gateway_http.event_views import Done, session_change, task_change
from gateway_http.links import Links

log = logging.getLogger("live")


@dataclass(frozen=True)
class Told:
    """A public event and its place in EVT, which is its id for clients."""

    sequence: int
    event: TaskChanged | SessionChanged
    _frames: dict[Links, bytes] = field(default_factory=dict, compare=False, repr=False)

    @property
    def task(self) -> str | None:
        """The task it is about; None: it is about a session."""
        return self.event.task if isinstance(self.event, TaskChanged) else None

    @property
    def revision(self) -> int | None:
        """The task's revision; what is told of sessions has none to go by."""
        return self.event.revision if isinstance(self.event, TaskChanged) else None

    @property
    def end(self) -> Status | None:
        """How its task has ended by it; None: it has not."""
        if isinstance(self.event, TaskChanged) and self.event.status in TERMINAL:
            return self.event.status
        return None

    @property
    def deleted(self) -> bool:
        """Tell whether its task was deleted by it."""
        return isinstance(self.event, TaskChanged) and self.event.deleted_at is not None

    def frame(self, links: Links) -> bytes:
        """Return it as it is sent, with links to what was made.

        Made once, however many clients it goes to.
        """
        if links not in self._frames:
            self._frames[links] = self._made(links)
        return self._frames[links]

    def _made(self, links: Links) -> bytes:
        event, place = self.event, self.sequence
        if isinstance(event, TaskChanged):
            name = "deleted" if self.deleted else event.what
            return frame(name, task_change(event, links), place)
        return frame(f"session.{event.what}", session_change(event), place)


def told(body: bytes, sequence: int, subject: str) -> Told | None:
    """Read an event of the log; one that cannot be read is skipped, and logged."""
    kind = SessionChanged if subject.startswith("evt.session.") else TaskChanged
    try:
        return Told(sequence, kind.parse(body))
    except ValidationError as error:
        log.warning("an event cannot be read: %s", error, extra={"sequence": sequence})
        return None


def frame(name: str, body: BaseModel, sequence: int | None = None) -> bytes:
    """Write one event of the stream.

    In ASCII, because some readers take U+2028 and others for the end of a line.
    """
    return format_sse_event(
        event=name,
        data_str=json.dumps(body.model_dump(mode="json")),
        id=None if sequence is None else str(sequence),
    )


def done(task: str, status: Status) -> bytes:
    """Write that nothing more comes; without an id, for it has no place in the log."""
    return frame("done", Done(task_id=task, status=status))


def comment(text: str) -> bytes:
    """Write what programs skip, and people may read."""
    return format_sse_event(comment=text)
