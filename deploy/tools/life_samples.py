"""Samples of a task's situations and of all that can happen, for document and tests.

Sample rows of each situation meet sample happenings of each kind. What differs by a
detail (held or not, a resend wanted or not) is a variant of the row or of the
happening.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
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
from scheduler.domain import steps
from scheduler.domain.life import advance
from scheduler.domain.rows import Attempt, AttemptState, Task
from scheduler.domain.verbs import awaited

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LIMITS = steps.Limits(max_poll=DAY, settle_rounds=3)
STATUSES: tuple[Status, ...] = get_args(Status)
STATES: tuple[AttemptState | None, ...] = (None, *get_args(AttemptState))


@dataclass(frozen=True)
class Case:
    """A sample, and which detail it has; empty: nothing special."""

    detail: str
    value: Any


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
    asked = steps.PermitAsked(1, 1, "nonce", "hash")
    second = replace(asked, send=2, nonce="other")
    begun = Attempt("t", 2, "s", "submit-2", NOW)
    taken_over = replace(
        begun, n=1, state="permitted", sends=1, permitted_at=NOW, adopted=True
    )
    failed = {**ONE, "upstream_code": "2002", "detail": "generation failed"}
    return {
        steps.Reserved: [Case("", steps.Reserved(begun))],
        steps.Adopted: [Case("", steps.Adopted(taken_over))],
        said.Uploaded: [Case("", said.Uploaded(**ONE, materials=({"uri": "u"},)))],
        said.UploadFailed: [
            Case("for good", said.UploadFailed(**ONE, **_bad_reference())),
            Case("for the account's sake", said.UploadFailed(**ONE, **_LOGIN)),
            Case("the site is away", said.UploadFailed(**ONE, **_AWAY)),
        ],
        steps.PermitAsked: [
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
        steps.CancelAsked: [Case("", steps.CancelAsked())],
        steps.ResolveAsked: [
            Case("resend", steps.ResolveAsked("resend")),
            Case("fail", steps.ResolveAsked("fail")),
        ],
        steps.Due: [Case("", steps.Due())],
    }


def _bad_reference() -> dict[str, Any]:
    return {"code": ErrorCode.REFERENCE_INVALID, "detail": "not an image"}


def superseded(event: steps.Happening) -> steps.Happening | None:
    """Return the same of another attempt, where it is about one."""
    if isinstance(event, said.TaskEvent):
        return event.model_copy(update={"attempt": 7})
    return replace(event, attempt=7) if isinstance(event, steps.PermitAsked) else None


def run(row: Case, event: Case) -> steps.Step:
    """Let it happen; what the signer says is about the newest send, or about none."""
    task, attempt = row.value
    happening = event.value
    if isinstance(happening, said.Unknown | said.Refused | said.Died) and attempt:
        n = (attempt.sends or 1) if happening.n == 1 else happening.n
        happening = happening.model_copy(update={"n": n})
    return advance(task, attempt, happening, NOW, LIMITS)


def kinds() -> set[type]:
    """Return every kind of happening there is."""

    def below(kind: type) -> Iterator[type]:
        for each in kind.__subclasses__():
            yield each
            yield from below(each)

    own = {kind for kind in get_args(steps.Happening) if kind is not Event}
    return own | {k for k in below(said.TaskEvent) if k.__module__ == said.__name__}
