"""What workers ask of the scheduler while they work, and what it answers.

Credentials travel here, in the answers; on their way into the pool, in `pool.py`; and
nowhere else.
"""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from contracts.message import Secret, Value
from contracts.requests import Request
from contracts.values import Kind, Progress


class Credential(Value):
    """How to be one account. Lives in memory and in replies, nowhere else."""

    session: str
    credential: int
    sessionid: Secret
    region: str
    web_id: str
    user_id: str
    proxy: Secret | None = None


class GetCredential(Request[Credential]):
    """The credential of a session, or a named one of its credentials."""

    SUBJECT: ClassVar[str] = "req.scheduler.credential"
    REPLY: ClassVar[type[BaseModel]] = Credential

    session: str
    credential: int | None = None


class Permit(Value):
    """The scheduler's durable answer to one wish to send."""

    granted: bool
    reason: Literal[
        "", "already_granted", "cancelled", "superseded", "session_not_active"
    ] = ""
    valid_seconds: float = 0


class AskPermit(Request[Permit]):
    """May this attempt's n-th send leave? Asking again with one nonce is one question.

    A granted permit is stored before the answer goes out.
    """

    SUBJECT: ClassVar[str] = "req.scheduler.permit"
    REPLY: ClassVar[type[BaseModel]] = Permit
    WRITES: ClassVar[bool] = True

    task: str
    attempt: int
    send: int
    nonce: str
    submit_id: str
    body_hash: str


class DueAttempt(Value):
    """An attempt to look up now, and what was last said of it."""

    task: str
    attempt: int
    submit_id: str
    round: int
    last: Progress | None = None
    last_said_at: datetime | None = None
    kind: Kind = "video"


class DueAttempts(Value):
    """What to ask the site now; nothing and no `next_seconds`: this session is done."""

    attempts: tuple[DueAttempt, ...] = ()
    credential: Credential | None = None
    next_seconds: float | None = None


class AskDue(Request[DueAttempts]):
    """What is due on a session? Each asking starts a new round for what it gets."""

    SUBJECT: ClassVar[str] = "req.scheduler.due"
    REPLY: ClassVar[type[BaseModel]] = DueAttempts
    WRITES: ClassVar[bool] = True

    session: str
    advice_seconds: float | None = None
    """The interval the site advised in its last answer."""


class Orphans(Value):
    """Which of the tasks that were asked about need no files."""

    tasks: tuple[str, ...] = ()


class AskOrphans(Request[Orphans]):
    """Files lie in the store for these tasks; some may not exist, or need none.

    The answer is none of them while creates wait: their files lie there already.
    """

    SUBJECT: ClassVar[str] = "req.scheduler.orphans"
    REPLY: ClassVar[type[BaseModel]] = Orphans

    tasks: tuple[str, ...] = Field(max_length=1000)
