"""What happens to a task, and what a happening leads to."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from contracts.message import Command, Event
from jimeng.errors import SessionEffect
from scheduler.domain.rows import Attempt, Task

OnUnknown = Literal["resend", "hold"]


GROWTH = 1, 3, 12, 60  # of the pause before a task is tried again


@dataclass(frozen=True)
class Limits:
    """The settings that decide when waiting ends."""

    max_poll: timedelta
    settle_rounds: int
    on_unknown: OnUnknown = "resend"
    max_sends: int = 3
    followed: timedelta = timedelta(hours=24)
    upload: timedelta = timedelta(seconds=900)
    submit: timedelta = timedelta(seconds=90)
    store: timedelta = timedelta(seconds=1800)
    first_pause: timedelta = timedelta(seconds=5)

    def pause(self, attempt: int) -> timedelta:
        """How long a task waits after its n-th attempt before it is tried again."""
        return self.first_pause * GROWTH[min(attempt, len(GROWTH)) - 1]

    @property
    def longest_pause(self) -> timedelta:
        """How long a task waits at most before it is tried again."""
        return self.pause(len(GROWTH))

    @property
    def follow(self) -> timedelta:
        """How long an attempt is followed whatever became of its task."""
        return max(self.followed, self.max_poll)


@dataclass(frozen=True)
class Reserved:
    """The task got a session: its next attempt begins."""

    attempt: Attempt


@dataclass(frozen=True)
class Adopted:
    """A retry goes on with what its forerunner may have at the site."""

    attempt: Attempt


@dataclass(frozen=True)
class PermitAsked:
    """The signer is about to send and asks whether it may. Asked on its session."""

    attempt: int
    send: int
    nonce: str
    body_hash: str
    usable: bool = True
    """Whether the session takes work at all now."""


@dataclass(frozen=True)
class CancelAsked:
    """The client wants it no more."""


@dataclass(frozen=True)
class ResolveAsked:
    """An operator ends a hold."""

    action: Literal["resend", "fail"]


@dataclass(frozen=True)
class Due:
    """The time has come to look at it again: a step is late, or the task is."""


Happening = Event | Reserved | Adopted | PermitAsked | CancelAsked | ResolveAsked | Due


@dataclass(frozen=True)
class Signal:
    """What an answer of the site says about the session that got it."""

    session: str
    effect: SessionEffect
    text: str
    model: str | None = None
    code: str = ""


@dataclass(frozen=True)
class Step:
    """What a happening leads to."""

    task: Task
    attempt: Attempt | None
    commands: tuple[Command, ...] = ()
    signal: Signal | None = None
