"""Write docs/life-of-a-task.md: what `advance` does, asked of `advance` itself.

Sample rows of each situation meet sample happenings of each kind. What differs by a
detail (held or not, a resend wanted or not) is a variant of the row or of the
happening; it gets a line of its own only where its outcome is another one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, get_args

from contracts import tasks as said
from contracts.errors import ErrorCode
from contracts.message import Event
from contracts.values import (
    TERMINAL,
    Belonging,
    FileRef,
    Item,
    Job,
    ResultRef,
    Stage,
    Status,
    Terms,
)
from scheduler.domain.life import TABLE, advance
from scheduler.domain.rows import Attempt, AttemptState, Task
from scheduler.domain.steps import (
    Adopted,
    CancelAsked,
    Due,
    Happening,
    Limits,
    PermitAsked,
    Reserved,
    ResolveAsked,
    Step,
)
from scheduler.domain.verbs import awaited

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LIMITS = Limits(max_poll=DAY, settle_rounds=3)
STATUSES: tuple[Status, ...] = get_args(Status)
STATES: tuple[AttemptState | None, ...] = (None, *get_args(AttemptState))
NOTHING = "–"

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


@dataclass(frozen=True)
class Case:
    """A sample, and which detail it has; empty: nothing special."""

    detail: str
    value: Any


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


def job(**changes: Any) -> Job:
    """Return a job without references, that needs no page."""
    fields = {
        "model": "jimeng-video-3.0",
        "prompt": "a fox",
        "duration": 5,
        "ratio": "16:9",
    }
    return Job.model_validate(fields | changes)


IMAGE = FileRef(
    key="t/1", name="a.png", kind="image", mime="image/png", size=1, sha256="0"
)
ITEM = Item(id="i", urls=("http://127.0.0.1/v.mp4",))
RESULT = ResultRef(index=0, key="t/r", mime="video/mp4", size=1, sha256="0")
STAGES: dict[Status, Stage] = {
    "queued": "waiting",
    "submitting": "preparing",
    "polling": "generating",
    "downloading": "storing",
}


def rows(status: Status, state: AttemptState | None) -> list[Case]:
    """Return a task and its attempt in a situation, plain first, then its variants."""
    attempt = _attempt(state)
    stage = STAGES.get(status)
    if (status, state) == ("submitting", "permitted"):
        stage = "sending"
    ended = NOW if status in TERMINAL else None
    task = Task(
        "t",
        Belonging(),
        job(),
        NOW,
        Terms(max_attempts=2),
        status=status,
        stage=stage,
        attempt=1 if attempt else 0,
        session="s" if attempt else None,
        finished_at=ended,
    )
    found = [Case("", (task, attempt))]
    found += [Case(d, (_changed(task, **t), attempt)) for d, t in _of_task(task, state)]
    if attempt:
        found += [
            Case(d, (_changed(task, **t), replace(attempt, **a)))
            for d, t, a in _of_attempt(task, attempt)
        ]
    return [Case(c.detail, _timed(*c.value)) for c in found]


def _attempt(state: AttemptState | None) -> Attempt | None:
    if state is None:
        return None
    attempt = Attempt("t", 1, "s", "submit", NOW, state=state)
    if state == "reserved":
        return attempt
    attempt = replace(
        attempt, sends=1, nonce="nonce", permitted_at=NOW, round=9, since_round=4
    )
    if state == "ended":
        return replace(attempt, ended_at=NOW, items=(ITEM,), charged=True)
    return attempt


Changes = dict[str, Any]


def _of_task(task: Task, state: AttemptState | None) -> Iterator[tuple[str, Changes]]:
    """Give the details of a task that can matter where it stands."""
    if task.ended:
        return
    yield "its deadline is over", {"terms": Terms(deadline=NOW)}
    if task.status == "queued" or state == "reserved":
        yield "with references", {"job": job(files=(IMAGE,))}
    if state in {"reserved", "permitted"}:
        yield "its last try", {"terms": Terms(max_attempts=1)}
    if state in {"permitted", "known"}:
        yield "may buy again", {"terms": Terms(max_attempts=2, buy_again=1)}


def _of_attempt(task: Task, attempt: Attempt) -> Iterator[tuple[str, Changes, Changes]]:
    """Give the details of an attempt that can matter where it stands."""
    if attempt.state not in {"permitted", "known"}:
        return
    yield "sent longer ago than a task waits", {}, {"permitted_at": NOW - 2 * DAY}
    if attempt.state != "permitted":
        yield "adopted", {}, {"adopted": True, "charged": False}
        return
    last = {"absent": LIMITS.settle_rounds - 1}
    yield "settled", {}, last
    if task.status != "submitting":
        return
    spent = {"sends": LIMITS.max_sends, "allowed": LIMITS.max_sends}
    yield "settled, all sends used", {}, last | spent
    yield "adopted", {}, {"adopted": True, "charged": False}
    yield "adopted, settled", {}, last | {"adopted": True, "charged": False}
    yield "a resend is wanted", {"stage": "preparing"}, {"allowed": 2}
    yield "held", {"stage": "held"}, {}


def _changed(task: Task, **changes: Any) -> Task:
    if "job" in changes and task.status == "submitting":
        changes["stage"] = "uploading"
    return replace(task, **changes)


def _timed(task: Task, attempt: Attempt | None) -> tuple[Task, Attempt | None]:
    """Give a sample the time that it would have."""
    moments = [NOW] if awaited(task, attempt) else []
    if task.terms.deadline and task.status in {"queued", "submitting", "polling"}:
        moments.append(task.terms.deadline)
    return replace(task, due_at=min(moments, default=None)), attempt


ONE: Any = {"task": "t", "attempt": 1}
_CONTENT = {"upstream_code": "2038", "detail": "against the rules"}
_LOGIN = {"upstream_code": "1015", "detail": "login error"}
_AWAY = {"code": ErrorCode.SITE_UNREACHABLE, "detail": "connection refused"}


def happenings() -> dict[type, list[Case]]:
    """Return samples of everything that can happen; the usual of each first."""
    asked = PermitAsked(1, 1, "nonce", "hash")
    second = replace(asked, send=2, nonce="other")
    begun = Attempt("t", 2, "s", "submit-2", NOW)
    taken_over = replace(
        begun, n=1, state="permitted", sends=1, permitted_at=NOW, adopted=True
    )
    failed = {**ONE, "upstream_code": "2002", "detail": "generation failed"}
    return {
        Reserved: [Case("", Reserved(begun))],
        Adopted: [Case("", Adopted(taken_over))],
        said.Uploaded: [Case("", said.Uploaded(**ONE, materials=({"uri": "u"},)))],
        said.UploadFailed: [
            Case("for good", said.UploadFailed(**ONE, **_bad_reference())),
            Case("for the account's sake", said.UploadFailed(**ONE, **_LOGIN)),
            Case("the site is away", said.UploadFailed(**ONE, **_AWAY)),
        ],
        PermitAsked: [
            Case("for the first send", asked),
            Case("for the second send", second),
            Case("but the account takes none", replace(asked, usable=False)),
            Case("for the second, none taken", replace(second, usable=False)),
        ],
        said.Submitted: [Case("", said.Submitted(**ONE, n=1, upstream_id="7"))],
        said.Refused: [
            Case("for the content's sake", said.Refused(**ONE, n=1, **_CONTENT)),
            Case("for the account's sake", said.Refused(**ONE, n=1, **_LOGIN)),
            Case("the site is away", said.Refused(**ONE, n=1, **_AWAY)),
            Case("another send", said.Refused(**ONE, n=9, **_CONTENT)),
        ],
        said.Unknown: [
            Case("", said.Unknown(**ONE, n=1, detail="reset")),
            Case("another send", said.Unknown(**ONE, n=9, detail="reset")),
        ],
        said.Progressed: [
            Case("", said.Progressed(**ONE, n=9, stage="upstream_queue"))
        ],
        said.Absent: [
            Case("", said.Absent(**ONE, n=9)),
            Case("asked before the send", said.Absent(**ONE, n=4)),
        ],
        said.Generated: [Case("", said.Generated(**ONE, n=9, items=(ITEM,)))],
        said.GenerationFailed: [
            Case("", said.GenerationFailed(**failed)),
            Case(
                "for the content's sake",
                said.GenerationFailed(**failed | {"upstream_code": "2041"}),
            ),
        ],
        said.Stored: [Case("", said.Stored(**ONE, results=(RESULT,)))],
        said.StoreFailed: [Case("", said.StoreFailed(**ONE, detail="gone"))],
        said.Died: [
            Case(f"of the {who}", said.Died(**ONE, n=1, service=who, reason="gave up"))
            for who in ("uploader", "signer", "downloader")
        ],
        CancelAsked: [Case("", CancelAsked())],
        ResolveAsked: [
            Case("resend", ResolveAsked("resend")),
            Case("fail", ResolveAsked("fail")),
        ],
        Due: [Case("", Due())],
    }


def _bad_reference() -> dict[str, Any]:
    return {"code": ErrorCode.REFERENCE_INVALID, "detail": "not an image"}


def superseded(event: Happening) -> Happening | None:
    """Return the same of another attempt, where it is about one."""
    if isinstance(event, said.TaskEvent):
        return event.model_copy(update={"attempt": 7})
    return replace(event, attempt=7) if isinstance(event, PermitAsked) else None


def run(row: Case, event: Case) -> Step:
    """Let it happen; what the signer says is about the newest send, or about none."""
    task, attempt = row.value
    happening = event.value
    if isinstance(happening, said.Unknown | said.Refused | said.Died) and attempt:
        n = (attempt.sends or 1) if happening.n == 1 else happening.n
        happening = happening.model_copy(update={"n": n})
    return advance(task, attempt, happening, NOW, LIMITS)


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


def kinds() -> set[type]:
    """Return every kind of happening there is."""

    def below(kind: type) -> Iterator[type]:
        for each in kind.__subclasses__():
            yield each
            yield from below(each)

    own = {kind for kind in get_args(Happening) if kind is not Event}
    return own | {k for k in below(said.TaskEvent) if k.__module__ == said.__name__}


if __name__ == "__main__":
    print(document(), end="")
