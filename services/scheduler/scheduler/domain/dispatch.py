"""Who goes next: which waiting task gets which session."""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.values import Stage
from jimeng.models import Model
from scheduler.domain import choice
from scheduler.domain.rows import Session

HEAD_START_SECONDS = 3600  # of each step of priority


@dataclass(frozen=True)
class Waiting:
    """A queued task that may go now, as far as the order needs it."""

    id: str
    owner: str | None
    rank: int
    created_at: datetime
    model: Model
    stage: Stage | None


@dataclass(frozen=True)
class Dispatched:
    """What was decided: pairs of task and session, and why the others wait."""

    pairs: tuple[tuple[str, str], ...]
    stages: tuple[tuple[str, Stage], ...]
    """Tasks whose stage must change to tell why they wait."""


def dispatch(
    waiting: Sequence[Waiting],
    sessions: Sequence[Session],
    running: Mapping[str | None, int],
    room: int,
    now: datetime,
    *,
    policy: choice.Policy = "lru",
    limits: Mapping[str | None, int] | None = None,
) -> Dispatched:
    """Give tasks their sessions, the best one each, as long as there are any.

    Higher priority first (an hour's wait counts as a step of it), then the owner with
    the fewest at work, then the older task. `running` counts each owner's; `room` is
    how many more may hold a slot over the whole pool. An owner of `limits` has so
    many at work; the others wait.
    """
    kinds = {_kind(task): task for task in waiting}
    able = {
        kind: [
            s
            for s in sessions
            if choice.fits(s, task.model, now) and choice.serves(s, task.owner)
        ]
        for kind, task in kinds.items()
    }
    lines = _lines(waiting)
    busy = defaultdict(int, running)
    taken: defaultdict[str, int] = defaultdict(int)
    pairs: list[tuple[str, str]] = []

    def is_full(owner: str | None) -> bool:
        return bool(limits and owner in limits and busy[owner] >= limits[owner])

    def urgency(line: deque[Waiting]) -> tuple[int, int, int, datetime, str]:
        first = line[0]
        level = (int(now.timestamp()) - first.rank) // HEAD_START_SECONDS
        return -level, busy[first.owner], first.rank, first.created_at, first.id

    while len(pairs) < room:
        lines = [line for line in lines if line and not is_full(line[0].owner)]
        if not lines:
            break
        line = min(lines, key=urgency)
        kind = _kind(line[0])
        open_ = [s for s in able[kind] if s.active + taken[s.id] < choice.slots(s)]
        if not open_:
            lines = [other for other in lines if _kind(other[0]) != kind]
            continue
        task, pick = line.popleft(), choice.pick(policy, open_, taken)
        taken[pick.id] += 1
        busy[task.owner] += 1
        pairs.append((task.id, pick.id))
    gone = {task for task, _ in pairs}
    left = [task for task in waiting if task.id not in gone]
    return Dispatched(tuple(pairs), tuple(_explained(left, able, is_full)))


Kind = tuple[str, str | None]


def _kind(task: Waiting) -> Kind:
    """Return what decides which sessions may take a task."""
    return task.model.key, choice.lender(task.owner)


def _lines(waiting: Sequence[Waiting]) -> list[deque[Waiting]]:
    """Return a line of each owner for each model, the first ones first."""
    lines: defaultdict[tuple[str | None, str], deque[Waiting]] = defaultdict(deque)
    for task in sorted(waiting, key=lambda t: (t.rank, t.created_at, t.id)):
        lines[task.owner, task.model.key].append(task)
    return list(lines.values())


def _explained(
    left: Sequence[Waiting],
    able: Mapping[Kind, Sequence[Session]],
    is_full: Callable[[str | None], bool],
) -> list[tuple[str, Stage]]:
    found: list[tuple[str, Stage]] = []
    for task in left:
        why: Stage = "waiting" if able[_kind(task)] else "no_session"
        if why == "waiting" and is_full(task.owner):
            why = "owner_limit"
        if why != task.stage:
            found.append((task.id, why))
    return found


def rank(priority: int, created_at: datetime) -> int:
    """Return a task's place in the order: a step of priority is an hour's start.

    So who came long ago goes before whoever comes now, and nobody waits for ever.
    """
    return int(created_at.timestamp()) - priority * HEAD_START_SECONDS
