"""Says every few seconds, in the `workers` bucket, that an instance lives and how."""

import asyncio
import json
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from time import monotonic
from types import TracebackType
from typing import Any, Self

from nats.js.errors import NotFoundError

from contracts.bus import Bus
from contracts.message import now
from runtime.background import running

SERVICES = (
    "gateway-http",
    "scheduler",
    "uploader",
    "signer",
    "poller",
    "downloader",
    "notifier",
    "log-streamer",
)
"""Who must live for everything to work."""

BEAT_SECONDS = 3.0
LOOK_SECONDS = 0.2  # so soon a change is told
TTL_SECONDS = 10
# A marker that would stay for ever is left by each instance, unless it expires.
_FAREWELL = {
    "KV-Operation": "PURGE",
    "Nats-Rollup": "sub",
    "Nats-TTL": str(TTL_SECONDS),
}
State = Callable[[], Mapping[str, Any]]


class Heartbeat:
    """While entered, `$KV.workers.<service>.<instance>` is kept alive.

    `state` adds what the service wants known, such as `{"browser": true}`.
    """

    def __init__(
        self, bus: Bus, state: State = dict, *, ttl_seconds: int = TTL_SECONDS
    ) -> None:
        self._bus = bus
        self._ttl = ttl_seconds
        self._state = state
        self._started_at = now().isoformat()
        self.instance = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._said: Mapping[str, Any] = {}
        self._due = 0.0
        self._beating = AsyncExitStack()

    @property
    def _subject(self) -> str:
        name = self.instance.replace(".", "-")
        return f"$KV.workers.{self._bus.service}.{name}"

    async def __aenter__(self) -> Self:
        await self.beat()
        await self._beating.enter_async_context(running(self._keep_beating))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._beating.aclose()
        with suppress(Exception):  # it expires by itself
            # no boundary: nobody's work depends on it
            await self._bus.jetstream.publish(self._subject, headers=_FAREWELL)

    async def beat(self) -> None:
        """Say it now; also worth calling when the state has changed."""
        self._said, self._due = self._state(), monotonic() + BEAT_SECONDS
        body = {
            "service": self._bus.service,
            "instance": self.instance,
            "version": version("jimeng-gateway-contracts"),
            "pid": os.getpid(),
            "started_at": self._started_at,
            "at": now().isoformat(),
            **self._said,
        }
        # A plain KV put would lose the time to live.
        # no boundary: nobody's work depends on it
        await self._bus.jetstream.publish(
            self._subject,
            json.dumps(body).encode(),
            headers={"Nats-TTL": str(self._ttl)},
        )

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._state() != self._said or monotonic() > self._due:
                with suppress(Exception):  # a lost beat is made good by the next
                    await self.beat()


async def living(bus: Bus) -> list[dict[str, Any]]:
    """Return what every live instance of every service last said."""
    stream = bus.jetstream
    info = await stream.stream_info("KV_workers", subjects_filter="$KV.workers.>")
    found = []
    for subject in info.state.subjects or {}:
        with suppress(NotFoundError):  # expired between the two reads
            beat = await stream.get_last_msg("KV_workers", subject, direct=True)
            found.append(json.loads(beat.data or b"{}"))
    return [f for f in found if f and _age(f) < TTL_SECONDS]


def _age(beat: Mapping[str, Any]) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(beat["at"])).total_seconds()
