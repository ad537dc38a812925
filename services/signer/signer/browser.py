"""One headless Chromium and its contexts: one for each session, closed when unused."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

from playwright.async_api import Browser as Chromium
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Playwright, async_playwright

import jimeng
from signer.exit import Fence
from signer.page import Page

STOP_SECONDS = 2.0
# No packet leaves but through a context's own way out: names do not resolve, and
# neither UDP nor the browser's own services speak to anybody.
ARGS = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--enable-logging",
)
log = logging.getLogger("signer")


@dataclass(frozen=True)
class Limits:
    """How many pages may be open, how long unused, and how long they may load."""

    contexts: int
    idle_seconds: float
    ready_seconds: float


@dataclass
class _Seat:
    """A session's place in the browser; its lock is what makes submits take turns."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    page: Page | None = None
    used_at: float = 0.0

    async def close(self) -> None:
        if self.page:
            page, self.page = self.page, None
            await page.close()


class Browser:
    """The browser, started in the background, started again when it is gone."""

    def __init__(
        self,
        path: Path,
        upstream: jimeng.Upstream,
        fence: Fence,
        limits: Limits,
        log_file: Path,
    ) -> None:
        self._path = path
        self._upstream = upstream
        self._fence = fence
        self._limits = limits
        self._log_file = log_file
        # Chromium's own sandbox does not start as root.
        self._sandbox = os.geteuid() != 0
        self._playwright: Playwright | None = None
        self._chromium: Chromium | None = None
        self._starting = asyncio.Lock()
        self._places = asyncio.Semaphore(limits.contexts)
        self._seats: dict[str, _Seat] = {}
        self._background: list[asyncio.Task[None]] = []
        self._problem: str | None = None

    async def __aenter__(self) -> Self:
        self._background = [
            asyncio.create_task(self._warm()),
            asyncio.create_task(self._reap()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        async with self._starting:
            await self._stop()

    def state(self) -> Mapping[str, Any]:
        """Return what the heartbeat says of the browser."""
        return {
            "browser": True,
            "path": str(self._path),
            "chromium": self._chromium.version if self._chromium else None,
            "sandbox": self._sandbox,
            "contexts": sum(1 for seat in self._seats.values() if seat.page),
            **({"reason": self._problem} if self._problem else {}),
        }

    @asynccontextmanager
    async def page(self, session: str, account: jimeng.Account) -> AsyncIterator[Page]:
        """Hold the session's page, ready to send; one holder at a time.

        Raises PageNotReadyError, or PlaywrightError when there is no browser.
        """
        seat = self._seats.setdefault(session, _Seat())
        async with seat.lock, self._places:
            try:
                yield await self._ready(seat, account)
            finally:
                seat.used_at = monotonic()
                if seat.page and seat.page.spoiled:
                    await seat.close()

    async def _ready(self, seat: _Seat, account: jimeng.Account) -> Page:
        chromium = await self._started()
        if seat.page and (seat.page.spoiled or seat.page.account != account):
            await seat.close()
        if seat.page is None:
            await self._make_room()
            async with asyncio.timeout(self._limits.ready_seconds):
                seat.page = await Page.open(
                    chromium, account, self._upstream, self._fence
                )
        try:
            await seat.page.prepare(self._limits.ready_seconds)
        except BaseException:
            seat.page.spoil()
            raise
        return seat.page

    async def _make_room(self) -> None:
        """Close the page unused the longest, when there are as many as may be."""
        resting = [s for s in self._seats.values() if s.page]
        if len(resting) < self._limits.contexts:
            return
        free = [seat for seat in resting if not seat.lock.locked()]
        if free:
            await self._close(min(free, key=lambda seat: seat.used_at))

    async def close_unused(self, seconds: float) -> None:
        """Close the pages that nobody has used for so long."""
        since = monotonic() - seconds
        for seat in list(self._seats.values()):
            if seat.page and seat.used_at <= since and not seat.lock.locked():
                await self._close(seat)

    async def _close(self, seat: _Seat) -> None:
        async with seat.lock:
            await seat.close()

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(min(30.0, self._limits.idle_seconds / 2))
            await self.close_unused(self._limits.idle_seconds)

    async def _warm(self) -> None:
        """Start before the first submit; a failure shows in the heartbeat."""
        with suppress(PlaywrightError, OSError):
            await self._started()

    async def _started(self) -> Chromium:
        async with self._starting:
            if self._chromium is None or not self._chromium.is_connected():
                await self._stop()
                try:
                    self._chromium = await self._start()
                except (PlaywrightError, OSError) as error:
                    self._problem = str(error)[:500]
                    log.error("Chromium does not start: %s", self._problem)  # noqa: TRY400
                    raise
            return self._chromium

    async def _start(self) -> Chromium:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        self._playwright = await async_playwright().start()
        chromium = await self._playwright.chromium.launch(
            executable_path=self._path,
            chromium_sandbox=self._sandbox,
            args=ARGS,
            # Nothing of our own environment: no secret of ours is its business.
            env={
                "HOME": str(self._log_file.parent),
                "PATH": os.environ.get("PATH", ""),
                "CHROME_LOG_FILE": str(self._log_file),
            },
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        self._problem = None
        sandbox = "on" if self._sandbox else "off, because this runs as root"
        log.info("Chromium %s started, sandbox %s", chromium.version, sandbox)
        return chromium

    async def _stop(self) -> None:
        """Let go of browser and driver, dead or alive, without waiting long."""
        for seat in self._seats.values():
            if seat.page:
                seat.page.spoil()
        chromium, self._chromium = self._chromium, None
        playwright, self._playwright = self._playwright, None
        with suppress(PlaywrightError, TimeoutError, OSError):
            async with asyncio.timeout(STOP_SECONDS):
                if chromium:
                    await chromium.close()
                if playwright:
                    await playwright.stop()
