"""What happens by itself: the next task gets a session, a late one is looked at."""

import logging
import uuid
from datetime import datetime, timedelta
from time import monotonic

from contracts.tasks import PollSession
from contracts.values import Stage
from jimeng import InvalidJob
from scheduler.domain import choice, dispatch
from scheduler.domain.rows import Attempt, Session
from scheduler.domain.steps import Due, Reserved, Step
from scheduler.store import attempts, outbox, sessions, tasks
from scheduler.work import Rules, advance_task, write
from scheduler.writer import Turn

log = logging.getLogger("scheduler")
INBOX_KEPT = timedelta(days=31)  # a day more than events live
FLEETING_KEPT = timedelta(hours=2)
LONG_SECONDS = 0.02
REST = 4
EXPLAINED = 100  # tasks told in one transaction why they wait


class Lookout:
    """Looks at the end of each transaction for what is due.

    With a long queue dispatch takes its time; then it rests four times as long, so
    that the transactions of those who wait for an answer do not each pay for it.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._rested_at = 0.0

    async def look(self, turn: Turn) -> float | None:
        """Do what is due now; return in how many seconds to look again."""
        moments = [await _look_at_late(turn, self._rules), await self._dispatch(turn)]
        coming = min((m for m in moments if m), default=None)
        # A hair later than due: at the very moment it may not be yet.
        return (coming - turn.now).total_seconds() + 0.01 if coming else None

    async def _dispatch(self, turn: Turn) -> datetime | None:
        began = monotonic()
        if began < self._rested_at:
            return turn.now + timedelta(seconds=self._rested_at - began)
        again = await dispatch_waiting(turn, self._rules)
        if (took := monotonic() - began) > LONG_SECONDS:
            self._rested_at = monotonic() + REST * took
        return again


async def _look_at_late(turn: Turn, rules: Rules) -> datetime | None:
    for task_id, moment in await tasks.due(turn.db):
        if moment > turn.now:
            return moment
        if task := await tasks.load(turn.db, task_id):
            try:
                await advance_task(turn, task, Due(), rules)
            except InvalidJob:  # of another version: it must not stop the others
                log.exception("a task of an unknown model", extra={"task": task_id})
    return None


async def dispatch_waiting(turn: Turn, rules: Rules) -> datetime | None:
    """Give waiting tasks their sessions; return when a pause ends."""
    waiting, pause = await tasks.waiting(turn.db, turn.now)
    if not waiting:
        return pause
    found = await sessions.pool(turn.db)
    room = await _room(turn, rules, len(waiting))
    running = await tasks.running_of(turn.db)
    plan = dispatch.dispatch(
        waiting, found, running, room, turn.now, policy=rules.policy
    )
    by_id = {s.id: s for s in found}
    for task_id, session_id in plan.pairs:
        await _reserve(turn, task_id, by_id[session_id], rules)
    for task_id, stage in plan.stages[:EXPLAINED]:
        await _explain(turn, task_id, stage)
    if len(plan.stages) > EXPLAINED:  # the rest at once, but not in one transaction
        return turn.now
    ends = [s.until for s in found if s.until and s.until > turn.now]
    return min([*ends, pause] if pause else ends, default=None)


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
