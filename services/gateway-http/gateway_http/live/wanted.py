"""Which events a client asked for, and may see. Pure."""

from dataclasses import dataclass

from contracts import requests
from contracts.sessions import SessionChanged
from contracts.tasks import TaskChanged
from contracts.values import Kind, Status


@dataclass(frozen=True)
class Wanted:
    """What is wanted; an empty set leaves all of its kind in.

    `seen_by` is whose tasks the client may see, None: everybody's. `task` is there
    where one task is followed, to its end.
    """

    seen_by: str | None = None
    task: str | None = None
    tasks: bool = True
    sessions: bool = False
    ids: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    statuses: frozenset[Status] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    models: frozenset[str] = frozenset()

    def has(self, event: TaskChanged | SessionChanged) -> bool:
        """Tell whether an event is for this client."""
        if isinstance(event, SessionChanged):
            return self.sessions
        return self.tasks and self._fits(event, event.task, event.model)

    def shows(self, task: requests.Task) -> bool:
        """Tell whether a task belongs into this client's snapshot."""
        return self.tasks and self._fits(task, task.id, task.job.model)

    def _fits(self, found: TaskChanged | requests.Task, task: str, model: str) -> bool:
        return (
            self.seen_by in {None, found.owner}
            and (self.task is None or self.task == task)
            and (not self.ids or task in self.ids)
            and (not self.owners or found.owner in self.owners)
            and (not self.statuses or found.status in self.statuses)
            and (not self.kinds or found.kind in self.kinds)
            and (not self.models or model in self.models)
        )
