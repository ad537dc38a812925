"""One client that follows: what waits to be sent to it, within bounds."""

import asyncio
from collections.abc import Callable

from contracts.keys import KeyEntry
from gateway_http.links import Links
from gateway_http.live.newer import Newer
from gateway_http.live.told import Told, comment, done
from gateway_http.live.wanted import Wanted

MOST_BYTES = 256 * 1024
PING = comment("ping")
ENOUGH = comment("come again with the last id, and be looked at anew")


class Follower:
    """Takes what happens while it is joined to the hub; nobody waits for its client.

    A client that does not read is cut off once too much waits for it; one that comes
    back reads on from where it was. Its stream lasts so many seconds at most, and no
    longer than the `key` that opened it is as it was.
    """

    def __init__(
        self,
        wanted: Wanted,
        links: Links,
        newer: Newer,
        *,
        seconds: float,
        key: KeyEntry | None = None,
    ) -> None:
        self.wanted = wanted
        self._key = key
        self._links = links
        self._newer = newer
        self._clock = asyncio.get_running_loop().time
        self._told_at = self._clock()
        self._until = self._told_at + seconds
        self._frames: list[bytes] = []
        self._bytes = 0
        self._more = asyncio.Event()
        self.over = False
        self._abort: Callable[[], None] = lambda: None

    def cut_by(self, abort: Callable[[], None]) -> None:
        """Say how its connection is ended without its client's doing."""
        self._abort = abort

    def offer(self, told: Told) -> None:
        """Let it have what happened, if it is for it."""
        if self.over or not self._newer.passes(told):
            return
        if self.wanted.has(told.event):
            self.put(told.frame(self._links))
            self._end_after(told)

    def put(self, frame: bytes) -> None:
        """Send this in its turn."""
        self._told_at = self._clock()
        self._bytes += len(frame)
        self._frames.append(frame)
        if self._bytes > MOST_BYTES:
            self.cut()
        self._more.set()

    def finish(self) -> None:
        """Send what waits, and no more."""
        self.over = True
        self._more.set()

    def cut(self) -> None:
        """End its connection now."""
        self._frames.clear()
        self.finish()
        self._abort()

    def hear_of(self, key: KeyEntry) -> None:
        """End it if it was opened with this key, which is another now, or none."""
        if self._key and self._key.hash == key.hash and self._key.key != key.key:
            self._end()

    def look(self, now: float, ping: float) -> None:
        """Say that the stream lives if it was silent for so long; end it in time."""
        if now >= self._until:
            self._end()
        elif now - self._told_at >= ping:
            self.put(PING)

    async def take(self) -> bytes:
        """Return all that waits, once there is something; empty: it is over."""
        await self._more.wait()
        return self.drain()

    def drain(self) -> bytes:
        """Return all that waits."""
        found = b"".join(self._frames)
        self._frames.clear()
        self._bytes = 0
        if not self.over:
            self._more.clear()
        return found

    def _end(self) -> None:
        self.put(ENOUGH)
        self.finish()

    def _end_after(self, told: Told) -> None:
        if self.wanted.task and told.end:
            self.put(done(self.wanted.task, told.end))
            self.finish()
