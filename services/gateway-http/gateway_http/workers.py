"""Which services live, by their heartbeats."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from contracts.bus import Bus
from runtime.heartbeat import SERVICES, living

FRESH_SECONDS = 1.0
PATIENCE_SECONDS = 2.0
NO_BROWSER = (
    "no signer has a browser: Seedance models are refused until one has. Install "
    "Chromium, or set CHROMIUM_PATH, and restart the signer"
)


class Beats:
    """What the live instances last said; None while NATS does not answer."""

    def __init__(self, found: list[dict[str, Any]] | None) -> None:
        self._found = found

    @property
    def known(self) -> bool:
        """Tell whether the heartbeats could be read."""
        return self._found is not None

    @property
    def instances(self) -> Mapping[str, int]:
        """How many instances each service has, none included."""
        count = Counter(str(beat.get("service")) for beat in self._found or ())
        return {name: count[name] for name in (*SERVICES, *sorted(count))}

    @property
    def missing(self) -> list[str]:
        """The services that must beat and do not."""
        instances = self.instances
        return [name for name in SERVICES if not instances[name]]

    @property
    def has_browser(self) -> bool:
        """Tell whether a model that needs the site's page can be used."""
        return any(
            beat.get("service") == "signer" and beat.get("browser") is True
            for beat in self._found or ()
        )

    @property
    def lacking_room(self) -> list[str]:
        """What workers say whose disk has too little room."""
        said = (beat.get("lacking_room") for beat in self._found or ())
        return [text for text in said if text]


class Workers:
    """Reads the heartbeats, at most once a second."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._beats = Beats(None)
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def beats(self) -> Beats:
        """Return what is known, at most a second old."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now - self._read_at >= FRESH_SECONDS:
                self._beats = await self._read()
                self._read_at = asyncio.get_running_loop().time()
            return self._beats

    async def _read(self) -> Beats:
        if not self._bus.client.is_connected:
            return Beats(None)
        with suppress(Exception):  # whatever it is, NATS does not answer
            async with asyncio.timeout(PATIENCE_SECONDS):
                return Beats(await living(self._bus))
        return Beats(None)
