"""Puts followed lines into LOG, each once, and remembers how far it came."""

import asyncio
import json
import logging
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from nats.js.errors import NotFoundError

from boundary import boundary
from contracts.bus import Bus
from contracts.logs import LogLine
from contracts.message import now
from log_streamer.domain import Budget, level_of, text_of
from log_streamer.follow import File, Line, Place

AGAIN_SECONDS = 2.0
log = logging.getLogger("log-streamer")


class Stream:
    """Follows one source's file.

    Files are looked at by stat: output comes in bursts, a quarter of a second is soon
    enough, and it works the same on every file system.
    """

    def __init__(
        self, bus: Bus, source: str, path: Path, look_seconds: float, per_second: int
    ) -> None:
        self._bus = bus
        self._source = source
        self._path = path
        self._look = look_seconds
        self._budget = Budget(per_second)

    async def follow(self) -> None:
        """Follow for ever; what goes wrong is said, and tried again."""
        while True:
            try:
                await self._follow()
            except Exception as error:  # noqa: BLE001 - said, and tried again
                log.warning("cannot follow %s: %s", self._path.name, error)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self) -> None:
        file = File(self._path, await self._left_at())
        try:
            while True:
                lines = await asyncio.to_thread(file.read)
                for line in lines:
                    await self._publish(line)
                if lines:
                    await self._remember(lines[-1].after)
                else:
                    await asyncio.sleep(self._look)
        finally:
            file.close()

    async def _publish(self, line: Line) -> None:
        if not (text := text_of(line.raw)):
            return
        allowed, skipped = self._budget.take(time.monotonic())
        if skipped:
            await self._say(f"{skipped} lines skipped: too many at once", "", line)
        if allowed:
            await self._say(text, f"{line.after.inode}:{line.begin}", line)

    async def _say(self, text: str, identity: str, line: Line) -> None:
        message = LogLine(
            source=self._source, level=level_of(text), time=now(), text=text
        )
        # The id makes a line that was published just before a crash no second one.
        unique = identity or f"{line.after.inode}:{line.begin}:skipped"
        with boundary("publish", message.subject):
            await self._bus.jetstream.publish(
                message.subject,
                message.body(),
                stream=LogLine.STREAM,
                headers={"Nats-Msg-Id": f"{self._source}:{unique}"},
            )

    async def _left_at(self) -> Place | None:
        with suppress(NotFoundError):
            kept = await self._bus.jetstream.get_last_msg(
                "KV_follow", self._key, direct=True
            )
            return Place(**json.loads(kept.data or b"{}"))
        return None

    async def _remember(self, place: Place) -> None:
        body = json.dumps(asdict(place)).encode()
        with boundary("publish", self._key):
            await self._bus.jetstream.publish(self._key, body)

    @property
    def _key(self) -> str:
        return f"$KV.follow.{self._source}"
