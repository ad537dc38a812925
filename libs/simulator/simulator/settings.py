"""What the simulated site is like: its accounts, its pace and its moods."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class Credits(_Strict):
    """The three purses of an account, spent in this order."""

    vip: int = 0
    gift: int = 0
    purchase: int = 0

    @property
    def total(self) -> int:
        """What the site shows as one number."""
        return self.vip + self.gift + self.purchase


class Account(_Strict):
    """One person's account, known to the site by its `sessionid` cookie."""

    sessionid: str
    uid: str
    credits: Credits = Credits(gift=10_000)
    concurrency: int = 3
    region: Literal["cn", "us", "hk", "jp", "sg"] = "cn"
    vip: bool = True
    lacks: list[str] = []
    unconfirmed: list[str] = []
    punished: bool = False
    dead: bool = False
    daily_limit: int | None = None


class Knobs(_Strict):
    """What may be changed while the simulator runs, through `/_sim/settings`."""

    require_abogus: list[str] = ["dreamina_seedance_*"]
    unsigned_allowed: int = 0
    deny_code: str = "1019"
    require_sign: Literal["off", "if_present", "required"] = "if_present"
    require_web_id_match: bool = True
    block_ip: list[str] = []
    dedupe: bool = True
    busy_code: Literal["1310", "5001"] = "1310"
    refund_failed: bool = True
    audio_duration: Literal["always", "sometimes", "never"] = "sometimes"
    etag: bool = True
    scale: float = 1.0
    instant: bool = False
    share_films: bool = False
    interval_seconds: int | None = None
    link_seconds: float = 3600
    credential_seconds: float = 3600
    nonce_seconds: float = 3600
    sdk_delay_ms: int = 150
    sdk_inline: bool = False


class Pace(_Strict):
    """Seconds a video spends in each phase, before `Knobs.scale` stretches them.

    Together about 8 s from submit to file; the real site takes minutes to hours.
    """

    invisible: float = 0.7
    queued: float = 2.0
    generating: float = 1.3
    thinking: float = 2.0
    partial: float = 1.0


DEMO_SESSIONS = (
    "51e0de305e55104d0000000000000001",
    "51e0de305e55104d0000000000000002",
)
"""The `sessionid` values that work at once on a fresh simulator."""


def demo_accounts() -> list[Account]:
    """Two ordinary accounts, so that a first run has a pool."""
    return [
        Account(sessionid=session, uid=f"10000000000000{number}")
        for number, session in enumerate(DEMO_SESSIONS, 1)
    ]


class Settings(_Strict):
    """Everything a simulator is started with."""

    data: Path
    accounts: list[Account] = Field(default_factory=demo_accounts)
    knobs: Knobs = Field(default_factory=Knobs)
    pace: Pace = Field(default_factory=Pace)
    ffmpeg: str | None = None
    renders: int = 2
