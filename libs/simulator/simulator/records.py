"""What the site remembers: jobs, uploads, and the ledger of every submit."""

from typing import Any, Literal

from pydantic import BaseModel

Json = dict[str, Any]


class Reference(BaseModel):
    """One piece of material a job was given, in the order it was numbered."""

    kind: Literal["image", "video", "audio"]
    key: str


class Order(BaseModel):
    """What was asked for, read out of the draft."""

    kind: Literal["video", "image"]
    model: str
    prompt: str
    width: int
    height: int
    ratio: str
    seconds: float = 0.0
    resolution: str = ""
    seed: int = 0
    mode: str = "text"
    references: list[Reference] = []
    inputs: Json = {}

    @property
    def has_audio(self) -> bool:
        """Whether a sound was among the material, so that the result has a track."""
        return any(reference.kind == "audio" for reference in self.references)


class Timeline(BaseModel):
    """When each phase of a job begins, in the simulator's own time."""

    created: float
    visible: float
    running: float
    thinking: float
    partial: float
    done: float


class Job(BaseModel):
    """One generation: an order, its timeline, and how it will end."""

    id: str
    submit_id: str
    uid: str
    order: Order
    times: Timeline
    cost: int
    item_ids: list[str]
    end_status: int = 50
    fail_code: str = ""
    shown_empty: bool = False
    settled: bool = False
    clip: str = ""
    pictures: int = 4
    """How many of an image job's pictures come out; the check refuses the others."""

    @property
    def fails(self) -> bool:
        """Whether the timeline leads to a refusal instead of a file."""
        return self.end_status != 50  # noqa: PLR2004 - the site's word for success


class Upload(BaseModel):
    """One file on its way in: applied, sent, committed."""

    key: str
    uid: str
    service: Literal["imagex", "vod"]
    store_uri: str
    auth: str
    session_key: str
    size: int
    state: Literal["applied", "sent", "committed"] = "applied"
    meta: Json = {}

    @property
    def file_name(self) -> str:
        """The name the bytes are kept under."""
        return self.store_uri.replace("/", "-")


class Movement(BaseModel):
    """Credits taken or given back."""

    amount: int
    at: float
    job_id: str


class Entry(BaseModel):
    """The ledger's line of one `submit_id`: what a test asks about money."""

    submit_id: str
    uid: str
    received: int = 0
    verdicts: list[str] = []
    charges: list[Movement] = []
    refunds: list[Movement] = []
    job_id: str | None = None
    job_ids: list[str] = []
    model: str = ""
    first_at: float
    last_at: float
