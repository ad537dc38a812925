"""The upstream of a run: the real site, what stands for it, or a simulator."""

import asyncio
import logging
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from runtime.settings import SettingsError
from standalone.children import end, spawn

READY_SECONDS = 20.0
LOOK_SECONDS = 3.0
log = logging.getLogger("standalone")


class Simulator:
    """While entered, a simulated site runs as a child; `origin` is where."""

    def __init__(self, data_dir: Path) -> None:
        self._data = data_dir / "simulator"
        self._output = data_dir / "logs" / "simulator.log"
        self._child: asyncio.subprocess.Process | None = None
        self.origin = ""

    async def __aenter__(self) -> Self:
        await self.start()
        self.origin = await self.ready()
        return self

    async def start(self) -> None:
        """Begin to start it; `ready` waits for it."""
        self._output.parent.mkdir(parents=True, exist_ok=True)
        command = (sys.executable, "-m", "simulator", "--port", "0")
        self._child = await spawn(
            *command,
            *("--data", str(self._data), "--die-with-parent"),
            output=asyncio.subprocess.PIPE,
            errors=self._output,
        )

    async def ready(self) -> str:
        """Return its origin once it listens."""
        if self._child is None or self._child.stdout is None:
            raise RuntimeError("the simulator was not started")
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                async for line in self._child.stdout:
                    if line.startswith(b"simulator ready "):
                        return line.split()[-1].decode()
        raise SettingsError(
            f"the simulator did not start; its last words are in {self._output}"
        )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child:
            await end(self._child)


async def look(origin: str) -> None:
    """Look at an upstream before it is used.

    Raises SettingsError for the earlier gateway's Node service, which speaks another
    protocol; an upstream that does not answer is a warning, because it may come back.
    """
    async with httpx.AsyncClient(trust_env=False, timeout=LOOK_SECONDS) as client:
        try:
            ping = await client.get(f"{origin}/ping")
            page = await client.get(f"{origin}/ai-tool/generate")
        except httpx.HTTPError as error:
            log.warning(
                "JIMENG_UPSTREAM %s does not answer (%s): tasks wait until it does. "
                "Is it running, and is the address right?",
                origin,
                type(error).__name__,
            )
            return
    if ping.text.strip() == "pong" and not page.is_success:
        raise SettingsError(
            f"JIMENG_UPSTREAM {origin} is a jimeng-free-api service, which this "
            f"gateway replaces: unset JIMENG_UPSTREAM to speak to the site itself"
        )
