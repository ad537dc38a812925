"""What a client was shown already: only what is newer is sent. Pure."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol

MOST_TASKS = 10_000


class Happening(Protocol):
    """What is told."""

    @property
    def sequence(self) -> int:
        """Its place in the log."""

    @property
    def task(self) -> str | None:
        """The task it is about, if it is about one."""

    @property
    def revision(self) -> int | None:
        """That task's revision."""


class Newer:
    """Passes each happening on once, in order, and none that was shown before.

    `sequence` is how far the log was read, `revisions` what a snapshot showed. The same
    change may lie in the log twice, so the revision decides; it is remembered of the
    tasks that changed last.
    """

    def __init__(
        self, sequence: int = 0, revisions: Mapping[str, int] | None = None
    ) -> None:
        self.sequence = sequence
        self._revisions = OrderedDict(revisions or {})

    def passes(self, told: Happening) -> bool:
        """Tell whether this is news; it is none from then on."""
        if told.sequence <= self.sequence:
            return False
        self.sequence = told.sequence
        if told.task is None or told.revision is None:
            return True
        if told.revision <= self._revisions.get(told.task, -1):
            return False
        self._remember(told.task, told.revision)
        return True

    def _remember(self, task: str, revision: int) -> None:
        self._revisions[task] = revision
        self._revisions.move_to_end(task)
        if len(self._revisions) > MOST_TASKS:
            self._revisions.popitem(last=False)
