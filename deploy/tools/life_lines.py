"""What each happening leads to in a situation, in words: the lines of the document.

A variant of a row or of a happening gets a line of its own only where its outcome is
another one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from contracts.values import Status
from life_samples import Case, happenings, rows, run
from scheduler.domain.rows import Attempt, AttemptState, Task
from scheduler.domain.steps import Step

NOTHING = "–"


@dataclass(frozen=True)
class Line:
    """What one happening leads to in one situation."""

    event: str
    detail: str
    outcome: str
    commands: str
    leads_to: tuple[Status, AttemptState | None]

    @property
    def told(self) -> tuple[str, str]:
        """What it says to a reader."""
        return self.outcome, self.commands


def lines(status: Status, state: AttemptState | None) -> list[Line]:
    """Return what each happening leads to; variants only where they differ."""
    found = []
    samples = rows(status, state)
    for kind, events in happenings().items():
        grid = [[_line(kind, row, event) for event in events] for row in samples]
        for r, row in enumerate(samples):
            same = len({line.told for line in grid[r]}) == 1
            plainer = [n for n in range(r) if row.detail.startswith(samples[n].detail)]
            for e, line in enumerate(grid[r]):
                others = [*(grid[n][e] for n in plainer), *grid[r][: min(e, 1)]]
                if line.told not in {other.told for other in others}:
                    found.append(replace(line, detail=row.detail) if same else line)
    return found


def _line(kind: type, row: Case, event: Case) -> Line:
    before, step = Step(*row.value), run(row, event)
    detail = "; ".join(filter(None, (event.detail, row.detail)))
    names = ", ".join(type(c).__name__ for c in step.commands)
    state = step.attempt.state if step.attempt else None
    place = step.task.status, state
    return Line(kind.__name__, detail, outcome(before, step), names, place)


def outcome(before: Step, after: Step) -> str:
    """Say what changed."""
    words = [*_task_words(before.task, after.task)]
    words += _attempt_words(before.attempt, after.attempt)
    if after.signal:
        words.append(f"the account: {after.signal.effect.value}")
    same = replace(after.task, due_at=None) == replace(before.task, due_at=None)
    if not words and not (same and after.attempt == before.attempt):
        words.append("noted")
    if not words and after.commands:
        words.append("issued again")
    return "; ".join(words) or NOTHING


def _task_words(before: Task, after: Task) -> Iterator[str]:
    if (before.status, before.stage) != (after.status, after.stage):
        code = f", `{after.error_code}`" if after.error_code else ""
        yield f"**{after.status}**{f' · {after.stage}' if after.stage else ''}{code}"
    if after.not_before and after.not_before != before.not_before:
        yield "after a pause"
    if after.terms.buy_again < before.terms.buy_again:
        yield "one purchase fewer left"


def _attempt_words(before: Attempt | None, after: Attempt | None) -> Iterator[str]:
    if after is None:
        return
    if before is None or before.n != after.n:
        before = replace(after, state="reserved" if after.adopted else "ended")
    if after.state != before.state:
        charge = {True: "charged", False: "not charged", None: "charge unknown"}
        how = f", {charge[after.charged]}" if after.state == "ended" else ""
        yield f"attempt *{after.state}*{how}"
    if after.state == "permitted" and after.sends > before.sends > 0:
        yield f"send {after.sends} is allowed"
    if after.allowed > before.allowed:
        yield f"send {after.allowed} is wanted"
    if after.allowed < before.allowed:
        yield "no further send"
    if after.absent > before.absent:
        yield "one more answer without it"
