"""What a task has cost its owner's budget, as far as it is known."""

from scheduler.domain.rows import Attempt, Task


def settled(task: Task, attempt: Attempt | None) -> bool:
    """Whether nothing more can be charged for a task: it and its last try ended."""
    return task.ended and (attempt is None or attempt.state == "ended")


def bought(attempt: Attempt) -> bool:
    """Whether a try was paid for. What nobody knows was.

    One that took over another task's submit was paid for there.
    """
    sent = attempt.permitted_at is not None and attempt.charged is not False
    return sent and not attempt.adopted
