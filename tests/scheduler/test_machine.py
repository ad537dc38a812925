"""A task among a site, a signer and a poller that do whatever they can do wrong.

Commands are done twice, or late, or their worker dies at any point; facts are lost for
a while, doubled and turned around; a send shows its effect late or never. However it
goes: nothing is paid for twice, an end is written once, a slot comes back.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from contracts import tasks as said
from contracts.values import Belonging, Item, Job, ResultRef, Terms
from scheduler.domain.life import advance
from scheduler.domain.rows import Attempt, Task
from scheduler.domain.steps import (
    CancelAsked,
    Due,
    Limits,
    PermitAsked,
    Reserved,
    ResolveAsked,
    Step,
)
from scheduler.sends import granted

START = datetime(2026, 11, 21, tzinfo=UTC)
SETTLE = 3
JOB = Job(model="jimeng-video-3.0", prompt="a fox", duration=5, ratio="16:9")
ITEM = Item(id="i", urls=("http://127.0.0.1/v.mp4",))
RESULT = ResultRef(index=0, key="t/r", mime="video/mp4", size=1, sha256="0")
Fate = st.sampled_from(["late", "late", "lost", "taken", "refused"])
Death = st.sampled_from(["", "", "", "before", "after"])


@dataclass
class Bought:
    """A submit at the site, which knows no doubles: each arrival is paid for."""

    attempt: int
    charges: int = 0
    coming: list[int] = field(default_factory=list)  # rounds until an effect shows
    state: str = "running"


class Life(RuleBasedStateMachine):
    @initialize(hold=st.booleans(), buy_again=st.integers(0, 1), timed=st.booleans())
    def begin(self, hold, buy_again, timed):
        self.now = START
        self.limits = Limits(
            max_poll=timedelta(hours=24),
            settle_rounds=SETTLE,
            on_unknown="hold" if hold else "resend",
        )
        deadline = START + timedelta(hours=1) if timed else None
        terms = Terms(max_attempts=4, buy_again=buy_again, deadline=deadline)
        self.bought = 1 + buy_again
        self.step = Step(Task("t", Belonging(), JOB, START, terms), None)
        self.commands = []
        self.facts = []
        self.jobs = {}
        self.nonce = 0
        self.freed = set()

    def happen(self, event):
        before, after = (
            self.step,
            advance(self.step.task, self.step.attempt, event, self.now, self.limits),
        )
        if before.task.ended:
            assert replace(after.task, due_at=None) == replace(before.task, due_at=None)
            assert not any(isinstance(c, said.Submit) for c in after.commands)
        same = before.attempt and after.attempt and before.attempt.n == after.attempt.n
        if same and before.attempt.state == "ended":
            assert after.attempt == before.attempt
        over = after.attempt and after.attempt.state == "ended"
        if over and not (same and before.attempt.state == "ended"):
            assert after.attempt.n not in self.freed
            self.freed.add(after.attempt.n)
        self.commands += after.commands
        self.step = after
        return after

    @precondition(lambda self: self.step.task.status == "queued")
    @rule()
    def reserve(self):
        n = self.step.task.attempt + 1
        self.happen(Reserved(Attempt("t", n, "s", f"submit-{n}", self.now)))

    @precondition(lambda self: self.commands)
    @rule(data=st.data(), fate=Fate, dies=Death)
    def work(self, data, fate, dies):
        """A worker takes a command; it stays there when its worker dies."""
        self.commands = [
            c for c in self.commands if not isinstance(c, said.PollSession)
        ]
        if not self.commands:
            return
        place = data.draw(st.integers(0, len(self.commands) - 1))
        command = self.commands[place]
        if isinstance(command, said.Submit):
            self._send(command, fate, dies)
        elif isinstance(command, said.StoreResults) and fate != "lost":
            self._tell(
                said.Stored(task="t", attempt=command.attempt, results=(RESULT,))
            )
        if not dies:
            del self.commands[place]

    def _send(self, command, fate, dies):
        self.nonce += 1
        about = {"task": "t", "attempt": command.attempt, "n": command.send}
        asked = PermitAsked(command.attempt, command.send, str(self.nonce), "hash")
        if not granted(self.happen(asked), asked):
            if not dies:
                self._tell(said.Unknown(**about, detail="already granted"))
            return
        if dies == "before":
            return
        job = self.jobs.setdefault(command.attempt, Bought(command.attempt))
        if fate == "taken":
            job.charges += 1
        elif fate == "late":
            job.coming.append(SETTLE - 1)
        if dies:
            return
        if fate == "refused":
            self._tell(said.Refused(**about, upstream_code="1019", detail="no"))
        elif fate == "taken":
            self._tell(said.Submitted(**about, upstream_id="7"))
        else:
            self._tell(said.Unknown(**about, detail="reset"))

    def _tell(self, fact):
        self.facts.append(fact)

    @precondition(
        lambda self: (
            self.step.attempt and self.step.attempt.state in {"permitted", "known"}
        )
    )
    @rule(progress=st.booleans(), at_once=st.booleans())
    def look(self, progress, at_once):
        """The poller asks the site; its answer is a fact that may come later."""
        self.poll(progress)
        if at_once:
            self.happen(self.facts.pop())

    def poll(self, progress):
        n = self.step.attempt.n
        self.step = replace(
            self.step,
            attempt=replace(self.step.attempt, round=self.step.attempt.round + 1),
        )
        about = {"task": "t", "attempt": n, "n": self.step.attempt.round}
        job = self.jobs.get(n)
        if job:
            job.charges += sum(1 for left in job.coming if left == 1)
            job.coming = [left - 1 for left in job.coming if left > 1]
        if not job or not job.charges:
            self._tell(said.Absent(**about))
        elif job.state == "running":
            self._tell(said.Progressed(**about, stage="generating"))
            job.state = "done" if progress else "failed"
        elif job.state == "done":
            self._tell(said.Generated(**about, items=(ITEM,)))
        else:
            fact = said.GenerationFailed(**about, upstream_code="2002", detail="x")
            self._tell(fact)

    @precondition(lambda self: self.facts)
    @rule(data=st.data(), twice=st.booleans())
    def hear(self, data, twice):
        place = data.draw(st.integers(0, len(self.facts) - 1))
        fact = self.facts[place] if twice else self.facts.pop(place)
        if not twice or not isinstance(fact, said.Absent):  # the inbox drops twins
            self.happen(fact)

    @precondition(lambda self: self.nonce % 3 == 2)
    @rule(service=st.sampled_from(["signer", "downloader"]))
    def dead_letter(self, service):
        attempt = self.step.attempt
        if attempt and self.step.task.status in {"submitting", "downloading"}:
            about = {"task": "t", "attempt": attempt.n, "n": attempt.allowed}
            self._tell(said.Died(**about, service=service, reason="deadline"))

    @rule(minutes=st.integers(0, 9))
    def time(self, minutes):
        self.now += timedelta(minutes=minutes)
        if self.step.task.due_at and self.step.task.due_at <= self.now:
            self.happen(Due())

    @precondition(lambda self: self.step.task.stage == "held")
    @rule(action=st.sampled_from(["resend", "fail"]))
    def resolve(self, action):
        self.happen(ResolveAsked(action))

    @precondition(lambda self: self.nonce % 5 == 4)  # not at once: others too
    @rule()
    def cancel(self):
        self.happen(CancelAsked())

    @invariant()
    def nothing_is_paid_for_twice(self):
        if not hasattr(self, "jobs"):
            return
        assert all(job.charges <= 1 for job in self.jobs.values())
        assert sum(job.charges for job in self.jobs.values()) <= self.bought

    @invariant()
    def what_is_waited_for_has_its_time(self):
        if not hasattr(self, "step"):
            return
        task, attempt = self.step.task, self.step.attempt
        if task.status == "downloading":
            assert task.due_at
        if task.status == "submitting" and attempt.sends < attempt.allowed:
            assert task.due_at
        if task.ended:
            assert task.due_at is None

    @invariant()
    def one_attempt_at_most_is_open(self):
        if hasattr(self, "step") and self.step.attempt:
            assert self.freed >= set(range(1, self.step.attempt.n))

    def teardown(self):
        """Left alone, everything comes to its end."""
        if not hasattr(self, "step"):
            return
        for _ in range(400):
            attempt = self.step.attempt
            if self.step.task.ended and (not attempt or attempt.state == "ended"):
                return
            self._go_on()
            self.nothing_is_paid_for_twice()
        raise AssertionError(f"it never ends: {self.step}")

    def _go_on(self):
        """A minute of a world in which everything works."""
        attempt = self.step.attempt
        self.now += timedelta(minutes=1)
        if self.step.task.due_at and self.step.task.due_at <= self.now:
            self.happen(Due())
        if self.step.task.status == "queued":
            self.reserve()
        if self.step.task.stage == "held":
            self.happen(ResolveAsked("fail"))
        for command in [self.commands.pop() for _ in self.commands[:]]:
            if isinstance(command, said.Submit):
                self._send(command, "taken", "")
            elif isinstance(command, said.StoreResults):
                who = {"task": "t", "attempt": command.attempt}
                self._tell(said.Stored(**who, results=(RESULT,)))
        if attempt and attempt.state in {"permitted", "known"}:
            self.poll(progress=True)
        for fact in [self.facts.pop(0) for _ in self.facts[:]]:
            self.happen(fact)


Life.TestCase.settings = settings(max_examples=150, stateful_step_count=30)
TestLife = Life.TestCase
