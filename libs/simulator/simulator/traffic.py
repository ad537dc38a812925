"""What arrived: the requests of late, counters, and a way to wait for the n-th."""

import asyncio
import itertools
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

_KEPT = 5000


@dataclass
class Note:
    """One request as it is remembered; handlers fill in `uid` and `verdict`."""

    number: int
    kind: str
    method: str
    path: str
    uid: str | None = None
    verdict: str = ""
    fault: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=time.time)
    at_monotonic: float = field(default_factory=time.monotonic)
    took_ms: float | None = None


class Traffic:
    """The requests of late and how many of each kind there ever were."""

    def __init__(self) -> None:
        self.recent: deque[Note] = deque(maxlen=_KEPT)
        self.counts: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._changed = asyncio.Condition()

    def arrived(self, kind: str, method: str, path: str) -> Note:
        """Remember a request that has just come in."""
        note = Note(next(self._numbers), kind, method, path)
        self.recent.append(note)
        return note

    async def happened(self, event: str) -> None:
        """Count an event and wake whoever waits for it."""
        async with self._changed:
            self.counts[event] += 1
            self._changed.notify_all()

    async def wait(self, event: str, count: int, seconds: float) -> int:
        """Return once `event` has happened `count` times, or when time is up."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self.counts[event] >= count)
        except TimeoutError:
            pass
        return self.counts[event]
