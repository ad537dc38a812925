"""What happens by itself: the next task gets a session, a late one is looked at."""

import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from time import monotonic

from sqlalchemy.exc import DBAPIError, IntegrityError

from contracts.tasks import PollSession
from contracts.values import Stage
from scheduler.domain import choice, dispatch
from scheduler.domain.rows import Attempt, Session
from scheduler.domain.steps import Due, Reserved, Step
from scheduler.store import attempts, keys, outbox, queue, sessions, tasks
from scheduler.work import Rules, advance_task, write
from scheduler.writer import Turn

log = logging.getLogger("scheduler")
INBOX_KEPT = timedelta(days=31)  # a day more than events live
FLEETING_KEPT = timedelta(hours=2)
LONG_SECONDS = 0.02
REST = 4
EXPLAINED = 100  # tasks told in one transaction why they wait
Todo = Callable[[], Awaitable[None]]
PUT_OFF = timedelta(minutes=5)  # of a task that could not be looked after


class Lookout:
    """Looks at the end of each transaction for what is due.

    With a long queue dispatch takes its time; then it rests four times as long, so
    that the transactions of those who wait for an answer do not each pay for it.

    A task that cannot be looked after, of another version perhaps, is told of once and
    put off: it must not stop the others, nor take their place.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._rested_at = 0.0
        self._told: set[str] = set()
        self._failed = False

    async def look(self, turn: Turn) -> float | None:
        """Do what is due now; return in how many seconds to look again."""
        moments = [await self._look_at_late(turn), await self._dispatch(turn)]
        coming = min((m for m in moments if m), default=None)
        # A hair later than due: at the very moment it may not be yet.
        return (coming - turn.now).total_seconds() + 0.01 if coming else None

    async def _look_at_late(self, turn: Turn) -> datetime | None:
        found = await queue.due(turn.db)
        late = [task_id for task_id, moment in found if moment <= turn.now]
        await self._each(
            turn, [(t, partial(_late, turn, t, self._rules)) for t in late]
        )
        return next((moment for _, moment in found if moment > turn.now), None)

    async def _dispatch(self, turn: Turn) -> datetime | None:
        began = monotonic()
        if began < self._rested_at:
            return turn.now + timedelta(seconds=self._rested_at - began)
        again = await self._dispatch_waiting(turn)
        if (took := monotonic() - began) > LONG_SECONDS:
            self._rested_at = monotonic() + REST * took
        return again

    async def _dispatch_waiting(self, turn: Turn) -> datetime | None:
        """Give waiting tasks their sessions; return when a pause ends."""
        self._failed = False
        waiting, strange, pause = await queue.waiting(
            turn.db, turn.now, max(PUT_OFF, self._rules.limits.longest_pause)
        )
        for task_id, why in strange:
            await self._put_off(turn, task_id, why)
        if not waiting:
            return pause
        found = await sessions.pool(turn.db)
        room = await _room(turn, self._rules, len(waiting))
        running = await queue.running_of(turn.db)
        plan = dispatch.dispatch(
            waiting,
            found,
            running,
            room,
            turn.now,
            policy=self._rules.policy,
            limits=await keys.concurrent(turn.db),
        )
        by_id = {s.id: s for s in found}
        rules, stages = self._rules, plan.stages[:EXPLAINED]
        begin = [
            (t, partial(_reserve, turn, t, by_id[s], rules)) for t, s in plan.pairs
        ]
        explain = [(t, partial(_explain, turn, t, stage)) for t, stage in stages]
        await self._each(turn, [*begin, *explain])
        # The rest at once, not in one transaction; or who was behind a broken one.
        if len(plan.stages) > EXPLAINED or self._failed:
            return turn.now
        ends = [s.until for s in found if s.until and s.until > turn.now]
        return min([*ends, pause] if pause else ends, default=None)

    async def _each(self, turn: Turn, todo: list[tuple[str, Todo]]) -> None:
        """Do something to each of some tasks; where one fails, only not to that one.

        All in one savepoint, which is far cheaper, until something goes wrong.
        """
        if todo and await _failure(turn, [work for _, work in todo]):
            for task_id, work in todo:
                if why := await _failure(turn, [work]):
                    self._failed = True
                    await self._put_off(turn, task_id, why)

    async def _put_off(self, turn: Turn, task_id: str, why: Exception) -> None:
        await queue.put_off(turn.db, task_id, turn.now + PUT_OFF)
        if task_id not in self._told:
            self._told.add(task_id)
            about = {"task": task_id}
            log.error("a task cannot be looked after", exc_info=why, extra=about)


async def _failure(turn: Turn, works: Iterable[Todo]) -> Exception | None:
    """Do all of it, or nothing; return why not."""
    said = len(turn.parcels)
    try:
        async with turn.db.begin_nested():
            for work in works:
                await work()
    except Exception as error:
        if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
            raise  # no row's fault
        del turn.parcels[said:]
        return error
    return None


async def _late(turn: Turn, task_id: str, rules: Rules) -> None:
    if task := await tasks.load(turn.db, task_id):
        await advance_task(turn, task, Due(), rules)


async def _room(turn: Turn, rules: Rules, wanted: int) -> int:
    if rules.concurrency is None:
        return wanted
    running = await attempts.at_work(turn.db)
    return max(0, rules.concurrency - running)


async def _reserve(turn: Turn, task_id: str, session: Session, rules: Rules) -> None:
    task = await tasks.load(turn.db, task_id)
    if task is None:
        return
    attempt = Attempt(
        task=task_id,
        n=task.attempt + 1,
        session=session.id,
        submit_id=str(uuid.uuid4()),
        reserved_at=turn.now,
    )
    if await attempts.reserve(turn.db, attempt, choice.slots(session)):
        await advance_task(turn, task, Reserved(attempt), rules)


async def _explain(turn: Turn, task_id: str, stage: Stage) -> None:
    task = await tasks.load(turn.db, task_id)
    if task and task.status == "queued":
        said = Step(task.with_stage(stage), None)
        await write(turn, task, None, said)


async def reconcile(turn: Turn) -> None:
    """Look whether anything was lost: sent attempts that nobody polls, old notes."""
    for session in await attempts.sessions_with_open(turn.db):
        turn.say(PollSession(session=session), once=True)
    await outbox.forget_old(turn.db, turn.now - INBOX_KEPT, turn.now - FLEETING_KEPT)
