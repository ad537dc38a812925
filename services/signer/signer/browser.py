"""One headless Chromium and its contexts: one for each session, closed when unused."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Mapping
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
from contracts.ending import end
from signer.exit import Fence
from signer.page import Page, PageNotReadyError

STOP_SECONDS = 1.0
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
KEPT_NAMES = ("HOME", "PATH", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
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
    in_use: bool = False
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
        self._pid: int | None = None

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
        # A start that is cut off would leave a driver behind.
        await asyncio.wait(self._background[:1], timeout=STOP_SECONDS)
        for task in self._background:
            await end(task)
        async with self._starting:
            await self._stop()

    def state(self) -> Mapping[str, Any]:
        """Return what the heartbeat says of the browser."""
        return {
            "browser": self._chromium is not None or self._problem is None,
            "path": str(self._path),
            "chromium": self._chromium.version if self._chromium else None,
            "sandbox": self._sandbox,
            "contexts": self.open_pages,
            **({"reason": self._problem.splitlines()[0]} if self._problem else {}),
        }

    @asynccontextmanager
    async def page(self, session: str, account: jimeng.Account) -> AsyncIterator[Page]:
        """Hold the session's page, ready to send; one holder at a time.

        Raises PageNotReadyError, or PlaywrightError when there is no browser.
        """
        seat = self._seats.setdefault(session, _Seat())
        async with seat.lock, self._places:
            seat.in_use = True
            try:
                yield await self._ready(seat, account)
            finally:
                seat.in_use, seat.used_at = False, monotonic()
                if seat.page and seat.page.spoiled:
                    await seat.close()

    async def _ready(self, seat: _Seat, account: jimeng.Account) -> Page:
        chromium = await self._started()
        page = seat.page
        if page and not (page.account == account and await page.answers()):
            await seat.close()
        if seat.page is None:
            await self._make_room()
            seat.page = await self._opened(chromium, account)
        try:
            await seat.page.prepare(self._limits.ready_seconds)
        except BaseException:
            seat.page.spoil()
            raise
        return seat.page

    async def _opened(self, chromium: Chromium, account: jimeng.Account) -> Page:
        try:
            async with asyncio.timeout(self._limits.ready_seconds):
                return await Page.open(chromium, account, self._upstream, self._fence)
        except (TimeoutError, PlaywrightError) as error:
            async with self._starting:
                if self._chromium is chromium and not await _alive(chromium):
                    await self._stop()
            reason = str(error) or "no answer"
            raise PageNotReadyError(f"the browser opens no page: {reason}") from None

    async def _make_room(self) -> None:
        """Close the page unused the longest, when there are as many as may be."""
        resting = [s for s in self._seats.values() if s.page and not s.in_use]
        if resting and self.open_pages >= self._limits.contexts:
            await min(resting, key=lambda seat: seat.used_at).close()

    async def close_unused(self, seconds: float) -> None:
        """Close the pages that nobody has used for so long."""
        since = monotonic() - seconds
        for seat in list(self._seats.values()):
            if not seat.in_use and seat.used_at <= since:
                await seat.close()

    @property
    def open_pages(self) -> int:
        """How many sessions have a page."""
        return sum(1 for seat in self._seats.values() if seat.page)

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(min(30.0, self._limits.idle_seconds / 2))
            if self._problem:  # nobody asks for a page while there is no browser
                await self._warm()
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
            env=self._environment(),
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        self._problem, self._pid = None, await _pid_of(chromium)
        sandbox = "on" if self._sandbox else "off, because this runs as root"
        log.info("Chromium %s started, sandbox %s", chromium.version, sandbox)
        return chromium

    def _environment(self) -> dict[str, str | float | bool]:
        """Give what a browser needs and no more: our secrets may be in the rest."""
        kept = {name: os.environ[name] for name in KEPT_NAMES if name in os.environ}
        return {**kept, "CHROME_LOG_FILE": str(self._log_file)}

    async def _stop(self) -> None:
        """Let go of browser and driver, dead or alive, without waiting long."""
        for seat in self._seats.values():
            if seat.page:
                seat.page.spoil()
        chromium, self._chromium = self._chromium, None
        playwright, self._playwright = self._playwright, None
        if chromium and not await _in_time(chromium.close()) and self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        if playwright:
            await _in_time(playwright.stop())


async def _pid_of(chromium: Chromium) -> int | None:
    """Ask the browser for its own process; Playwright does not tell."""
    session = await chromium.new_browser_cdp_session()
    info = await session.send("SystemInfo.getProcessInfo")
    await session.detach()
    found = (p["id"] for p in info["processInfo"] if p["type"] == "browser")
    return next(found, None)


async def _alive(chromium: Chromium) -> bool:
    """Tell whether it answers: one that is frozen, or lost its driver, is connected."""
    with suppress(PlaywrightError, TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            return await _pid_of(chromium) is not None
    return False


async def _in_time(closing: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await closing
    except TimeoutError:
        return False
    except (PlaywrightError, OSError):
        pass  # gone already
    return True
