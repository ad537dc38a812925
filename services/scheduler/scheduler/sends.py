"""What the signer and the poller ask before they speak to the site."""

from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.workers import AskDue, AskPermit, Credential, DueAttempts, Permit
from scheduler.domain import choice
from scheduler.domain.rows import Attempt, Task
from scheduler.domain.steps import PermitAsked, Step
from scheduler.store import attempts, sessions, tasks
from scheduler.work import Rules, advance_on
from scheduler.writer import Turn

IDLE_POLL_SECONDS = 60.0
SOONER = 0.95  # of an interval: timers are not exact


async def permit(turn: Turn, asked: AskPermit, rules: Rules) -> Permit:
    """Answer one wish to send; a yes is stored before it goes out."""
    task = await tasks.load(turn.db, asked.task)
    attempt = await attempts.load(turn.db, asked.task, asked.attempt)
    if task is None or attempt is None or attempt.submit_id != asked.submit_id:
        return Permit(granted=False, reason="superseded")
    session = await sessions.load(turn.db, attempt.session)
    usable = session is not None and choice.usable(session, turn.now)
    wish = PermitAsked(asked.attempt, asked.send, asked.nonce, asked.body_hash, usable)
    step = await advance_on(turn, task, attempt, wish, rules)
    if granted(step, wish):
        return Permit(granted=True, valid_seconds=rules.permit_seconds)
    return Permit(granted=False, reason=_why_not(task, attempt, step))


def granted(step: Step, wish: PermitAsked) -> bool:
    """Whether this asker has the permit: it got it now, or asks once more."""
    held = step.attempt
    return (
        held is not None
        and step.task.status == "submitting"
        and (held.state, held.n) == ("permitted", wish.attempt)
        and (held.sends, held.nonce) == (wish.send, wish.nonce)
    )


def _why_not(task: Task, attempt: Attempt, step: Step) -> str:
    if task.status == "cancelled":
        return "cancelled"
    if step.task != task or step.attempt != attempt:
        return "session_not_active"
    if task.attempt != attempt.n or attempt.state in {"reserved", "ended"}:
        return "superseded"
    return "already_granted"


class Rounds:
    """Keeps the poll rounds of a session apart.

    So many good answers without a submit settle that it was not taken, and each round
    stands for POLL_MIN_SECS of waiting. A poll that is put back by a worker that stops,
    or delivered twice, must not make rounds of no time. Kept in memory, on the
    monotonic clock: what a restart forgets is one round.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds * SOONER
        self._begun: dict[str, float] = {}

    def wait(self, session: str) -> float:
        """Return in how many seconds a round may begin; 0: it begins now."""
        now = monotonic()
        left = self._begun.get(session, -inf) + self._seconds - now
        if left > 0:
            return left
        self._begun[session] = now
        return 0.0


async def due(
    turn: Turn,
    asked: AskDue,
    rules: Rules,
    rounds: Rounds,
    credential: Callable[[AsyncConnection, str], Awaitable[Credential]],
) -> DueAttempts:
    """Say what is to be looked up on a session now, and when to ask again."""
    session = await sessions.load(turn.db, asked.session)
    if session is None:
        return DueAttempts()
    # A punished account still tells of its jobs; a signed-out one tells nothing.
    if session.state in {"expired", "unchecked"}:
        waiting = await attempts.unended(turn.db, asked.session)
        return DueAttempts(next_seconds=IDLE_POLL_SECONDS if waiting else None)
    if not await attempts.has_open(turn.db, asked.session):
        return DueAttempts()
    if early := rounds.wait(asked.session):
        return DueAttempts(next_seconds=early)
    found = await attempts.due(turn.db, asked.session)
    advised = asked.advice_seconds or rules.poll_interval_seconds
    return DueAttempts(
        attempts=tuple(found),
        credential=await credential(turn.db, asked.session),
        next_seconds=max(advised, rules.poll_min_seconds),
    )
