"""What a line of somebody else's output says, and how it is shown."""

import re

from contracts.logs import Level
from runtime.logs import scrub_text

LONGEST = 8_000
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")
# nats-server: `[pid] time [ERR] …`; Chromium: `[pid:tid:time:ERROR:file(line)] …`
_LEVELS: tuple[tuple[re.Pattern[str], Level], ...] = (
    (re.compile(r"\[FTL\]|:FATAL:"), "critical"),
    (re.compile(r"\[ERR\]|:ERROR:|\berror\b", re.IGNORECASE), "error"),
    (re.compile(r"\[WRN\]|:WARNING:|\bwarning\b", re.IGNORECASE), "warning"),
    (re.compile(r"\[DBG\]|\[TRC\]|:VERBOSE\d*:"), "debug"),
)


def split(pending: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole lines, each with its newline, and what is not one yet.

    A line that never ends is cut where it becomes too long to wait for.
    """
    *lines, rest = pending.split(b"\n")
    whole = [line + b"\n" for line in lines]
    while len(rest) > 2 * LONGEST:
        whole.append(rest[:LONGEST])
        rest = rest[LONGEST:]
    return whole, rest


def text_of(line: bytes) -> str:
    """Return a line as it may be shown: whole characters, no escapes, no secrets."""
    text = line.rstrip(b"\r\n")[:LONGEST].decode("utf-8", "replace")
    return scrub_text(_CONTROL.sub("", _ANSI.sub("", text)))


def level_of(text: str) -> Level:
    """Return the level a line gives itself, else info."""
    return next((level for mark, level in _LEVELS if mark.search(text)), "info")


class Budget:
    """How many lines may pass in each second; the rest is counted."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = 0
        self._passed = 0
        self._skipped = 0

    def take(self, at: float) -> tuple[bool, int]:
        """Return whether a line may pass, and how many were skipped before it."""
        skipped = 0
        if int(at) != self._second:
            self._second, self._passed = int(at), 0
            skipped, self._skipped = self._skipped, 0
        if self._passed < self._per_second:
            self._passed += 1
            return True, skipped
        self._skipped += 1
        return False, skipped
