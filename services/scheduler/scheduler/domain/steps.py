"""What happens to a task, and what a happening leads to."""

from dataclasses import dataclass
from datetime import timedelta

from contracts.message import Command, Event
from jimeng.errors import SessionEffect
from scheduler.domain.rows import Attempt, Task


@dataclass(frozen=True)
class Limits:
    """The settings that decide when waiting ends."""

    max_poll: timedelta
    settle_rounds: int

    @property
    def follow(self) -> timedelta:
        """How long an attempt is followed whatever became of its task."""
        return max(timedelta(hours=24), self.max_poll)


@dataclass(frozen=True)
class Reserved:
    """The task got a session: its next attempt begins."""

    attempt: Attempt


@dataclass(frozen=True)
class PermitAsked:
    """The signer is about to send and asks whether it may."""

    attempt: int
    send: int
    nonce: str
    body_hash: str


@dataclass(frozen=True)
class CancelAsked:
    """The client wants it no more."""


Happening = Event | Reserved | PermitAsked | CancelAsked


@dataclass(frozen=True)
class Signal:
    """What an answer of the site says about the session that got it."""

    session: str
    effect: SessionEffect
    text: str
    model: str | None = None


@dataclass(frozen=True)
class Step:
    """What a happening leads to."""

    task: Task
    attempt: Attempt | None
    commands: tuple[Command, ...] = ()
    signal: Signal | None = None
