"""Write docs/life-of-a-task.md: what `advance` does, asked of `advance` itself."""

from collections.abc import Iterator
from itertools import groupby

from contracts.values import Status
from life_lines import NOTHING, lines
from life_samples import STATES, STATUSES, happenings
from scheduler.domain.life import TABLE
from scheduler.domain.rows import AttemptState

INTRODUCTION = """\
# Life of a task

Made by `make life` from `advance` in `services/scheduler/scheduler/domain/life.py`, by
running it. A test compares them, so what stands here is what happens.

A **task** is what a client asked for; its *status* is what the client sees, its
*stage* a finer word. An **attempt** is one try of it on one account, and holds one of
the account's slots until it has *ended*. An attempt is *reserved* when an account was
found, *permitted* once the scheduler has allowed one send (from then on it may cost
money), *known* when the site has shown that it has the job.

Workers do not decide: each takes a command, does one thing and says what happened. The
scheduler looks up status and attempt, asks `advance`, writes what it says and sends the
commands that follow, in one transaction. Three rules explain most lines below.

- **Late, doubled and superseded facts change nothing.** What stands in no table is
  ignored: a fact of an older attempt, an answer to an older send, whatever comes after
  an end. Messages may therefore be delivered twice, and workers may die anywhere.
- **A send is paid for.** Each needs its own permit. When its outcome is not known, the
  poller looks for it by its `submit_id`; only after enough good answers without it
  (*settled*) is the same submit sent once more, or the task *held* for a person.
- **An attempt outlives its task.** Cancelled or failed while something may be at the
  site, it is followed to its end: the slot is the account's, and charges stay known.

What a task waits for has a time. When it is over (`Due`) the command is issued again,
which does no harm where it still waits or is being worked on.
"""


def diagram() -> Iterator[str]:
    """Draw which situations lead to which."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    for node, title in {_node(*at): _title(*at) for at in TABLE}.items():
        yield f'    state "{title}" as {node}'
    yield "    [*] --> queued"
    ways: dict[tuple[str, str], list[str]] = {}
    for status, state in TABLE:
        start = _node(status, state)
        for line in lines(status, state):
            goal = _node(*line.leads_to)
            if goal != start and line.event not in ways.get((start, goal), ()):
                ways.setdefault((start, goal), []).append(line.event)
    for (start, goal), events in ways.items():
        yield f"    {start} --> {goal} : {', '.join(events)}"
    for status in ("succeeded", "failed", "cancelled"):
        yield f"    {status} --> [*]"
    yield "```"


def _node(status: Status, state: AttemptState | None) -> str:
    return status if state in {None, "ended"} else f"{status}_{state}"


def _title(status: Status, state: AttemptState | None) -> str:
    return status if state in {None, "ended"} else f"{status}, attempt {state}"


def document() -> str:
    """Return the whole document."""
    parts = [INTRODUCTION, *diagram(), ""]
    for status, state in TABLE:
        parts += section(status, state)
    parts += ["## Nothing more happens", ""]
    others = [(a, b) for a in STATUSES for b in STATES if (a, b) not in TABLE]
    for place in others:
        if any(line.outcome != NOTHING for line in lines(*place)):
            raise AssertionError(f"{place} is in no table and changes")
    for status, pairs in groupby(others, key=lambda pair: pair[0]):
        states = ", ".join(str(state or "none") for _, state in pairs)
        parts.append(f"- {status}, with an attempt that is: {states}")
    return "\n".join(parts) + "\n"


def section(status: Status, state: AttemptState | None) -> Iterator[str]:
    """Write one situation: what changes something, then what does not."""
    yield f"## {status}, {f'attempt {state}' if state else 'no attempt yet'}"
    yield ""
    yield "| happening | where | becomes | commands |"
    yield "|---|---|---|---|"
    found = lines(status, state)
    heard = {line.event for line in found if line.outcome != NOTHING}
    for line in found:
        if line.event in heard:
            cells = (line.event, line.detail, line.outcome, line.commands)
            yield f"| {' | '.join(cells)} |"
    silent = [kind.__name__ for kind in happenings() if kind.__name__ not in heard]
    yield ""
    yield f"Changes nothing: {', '.join(silent)}." if silent else "Nothing is ignored."
    yield ""


if __name__ == "__main__":
    print(document(), end="")
