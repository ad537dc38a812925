"""Faults that a test switches on: by kind of request, account and prompt, n times."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

_LATE_SECONDS = 5.0

Kind = Literal[
    "credits",
    "live",
    "upload_token",
    "apply",
    "upload",
    "commit",
    "submit",
    "history",
    "best_url",
    "download",
    "page",
    "sdk",
    "asset",
    "queue_info",
    "other",
    "any",
]

Name = Literal[
    "html_502",
    "html_404",
    "reset",
    "hang",
    "slow",
    "ret",
    "truncated",
    "lose_response",
    "late_effect",
    "invisible",
    "charge_twice",
    "absent",
    "expired",
    "corrupt",
    "uri_status",
]


class Fault(BaseModel):
    """One switched-on fault; `times` counts down, None means until it is deleted."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    fault: Name
    times: int | None = None
    account: str | None = None
    prompt: str | None = None
    ret: str = "1000"
    errmsg: str | None = None
    seconds: float = 5.0

    def matches(self, kind: str, account: set[str], body: bytes) -> bool:
        """Whether it concerns this request: its kind, its account, its prompt."""
        if self.kind not in (kind, "any") or self.times == 0:
            return False
        if self.account is not None and self.account not in account:
            return False
        return self.prompt is None or self.prompt.encode() in body


class Faults:
    """The faults that are on, in the order they were switched on."""

    def __init__(self) -> None:
        self._on: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Switch one on."""
        self._on.append(fault)

    def clear(self, kind: str | None = None) -> None:
        """Switch all off, or those of one kind."""
        self._on = [fault for fault in self._on if kind and fault.kind != kind]

    def take(self, kind: str, account: set[str], body: bytes) -> Fault | None:
        """The first fault that concerns this request, one of its times used up."""
        for fault in self._on:
            if fault.matches(kind, account, body):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def listed(self) -> list[dict[str, Any]]:
        """What is on, for the control API."""
        return [fault.model_dump() for fault in self._on if fault.times != 0]


def from_prompt(found: dict[str, str]) -> Fault | None:
    """The fault a prompt asks for at its own submit, if it does."""
    if "lost" in found:
        return Fault(kind="submit", fault="lose_response")
    if "late" in found:
        return Fault(
            kind="submit", fault="late_effect", seconds=float(found["late"] or 5)
        )
    if "reset" in found:
        return Fault(kind="submit", fault="reset")
    return None
