"""What the messages of a task's life are made of: its job, its files, how far it is."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from contracts.errors import ErrorCode
from contracts.message import Value

Kind = Literal["video", "image"]
Status = Literal[
    "queued",
    "submitting",
    "polling",
    "downloading",
    "succeeded",
    "failed",
    "cancelled",
]
Stage = Literal[
    "waiting",
    "no_session",
    "owner_limit",
    "uploading",
    "preparing",
    "sending",
    "unknown",
    "held",
    "upstream_queue",
    "generating",
    "storing",
]
TERMINAL: frozenset[Status] = frozenset({"succeeded", "failed", "cancelled"})


class FileRef(Value):
    """A reference file the client gave: where its bytes lie, and what they are.

    One that is still to be fetched from `url` has no type, size and sha256 yet, and its
    kind is a guess: the uploader tells by the bytes, which then lie under the key too.
    """

    key: str
    name: str
    kind: Literal["image", "video", "audio"]
    mime: str
    size: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    url: str = Field("", repr=False)
    """As it was given. It may hold a signature: people see it without its query."""


class ResultRef(Value):
    """A stored result: where its bytes lie, and what they are."""

    index: int
    key: str
    mime: str
    size: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    poster: str | None = None
    """Where a picture of it lies, for lists."""


class Job(Value):
    """What the client wants made. The same in create, in commands and in the row."""

    model: str
    prompt: str
    duration: int
    """Seconds; 0: it is an image."""
    ratio: str
    resolution: str | None = None
    function_mode: str | None = None
    files: tuple[FileRef, ...] = ()


class Webhook(Value):
    """Where a task's end is told, sealed: scheduler and gateway alone can open it."""

    sealed: str = Field(repr=False)
    """URL, secret, and what links begin with; bound to the task's id. Base64."""
    shown: str
    """The URL as people see it: without its query."""


LENT = "lent:"
"""What the owner of a task begins with that runs on its client's own account; the
session's id follows."""


class Belonging(Value):
    """Whose a task is and how it is ranked; in every message clients can see."""

    kind: Kind = "video"
    owner: str | None = None
    priority: int = 5
    metadata: dict[str, str] = Field(default_factory=dict)
    retry_of: str | None = None


class Terms(Value):
    """How far the gateway may go for a task."""

    max_attempts: int = Field(8, ge=1, le=50)
    """After so many tries it fails, unless the last failed for an account's sake."""
    deadline: datetime | None = None
    """When it fails if the site has not finished it."""
    buy_again: int = Field(0, ge=0, le=3)
    """How many generations that failed at the site may still be bought again."""
    credits: int = Field(0, ge=0)
    """What it was expected to cost; so much was counted for its owner."""


class Item(Value):
    """One finished thing at the site, with its links, the best first."""

    id: str
    urls: tuple[str, ...]
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    size: int | None = None


class Progress(Value):
    """Where a job stands at the site."""

    stage: Literal["upstream_queue", "generating"] = "upstream_queue"
    queue_position: int | None = None
    queue_total: int | None = None
    queue_eta_seconds: int | None = None


class Failure(Value):
    """Why something did not work: the site's own code where there was one."""

    code: ErrorCode | None = None
    upstream_code: str | None = None
    detail: str
    answer: str | None = None
    """The site's whole answer, secrets removed, at most 64 KiB."""
