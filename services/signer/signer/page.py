"""One session's page: the site's own, logged in, ready to sign, used for one submit.

What the page signs is not this code's business: it hands a request to the page's
`fetch`, and lets it leave only when the page's own script has signed it.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Self, cast
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import Browser, BrowserContext, Route
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page as Tab

import jimeng
from boundary import boundary
from jimeng import SessionEffect
from jimeng.draft import PATH as GENERATE_PATH
from signer.domain import NotSentError
from signer.exit import Exit, Fence, place_of

OLDEST_SECONDS = 1800.0  # the site's page tokens are good for about an hour
ANSWER_SECONDS = 2.0
CLOSE_SECONDS = 1.0
_UNUSED = {"image", "media", "font", "stylesheet", "texttrack", "manifest"}
_HIDDEN_COOKIES = {"sessionid", "sessionid_ss", "sid_tt", "uid_tt", "uid_tt_ss"}

# Ready means that a request to the generate URL comes out signed. The trial is answered
# by `_filter` and never leaves. The first test keeps trials from a page not yet hooked.
_READY = """async url => {
  for (;;) {
    const hooked = window.bdms || window.byted_acrawler
      || !/\\[native code\\]/.test(window.fetch);
    if (hooked && (await fetch(url, {method: "POST", body: "{}"})).ok) return;
    await new Promise(again => setTimeout(again, 20));
  }
}"""
_SEND = """async ([url, body]) => {
  const answer = await fetch(url, {
    method: "POST", headers: {"Content-Type": "application/json"}, body,
    credentials: "include", redirect: "error",
  });
  return [answer.status, await answer.text()];
}"""

log = logging.getLogger("signer")


class PageNotReadyError(Exception):
    """The site's page did not load, or its script did not sign in time."""


@dataclass
class _Sending:
    """A submit on its way: where to, until when it may leave, and whether it has."""

    place: tuple[str, int]
    permit_until: float
    seconds: float
    timer: asyncio.Timeout
    left: bool = False
    why_not: str = "the page did not send it"

    def forbidden(self, url: str) -> str | None:
        """Return why a request must not leave."""
        if self.left:
            return self.why_not
        if place_of(url) != self.place:
            return "the page turned it to another host"
        if not _signed(url):
            return "the page's script did not sign it"
        if self.timer.expired() or monotonic() >= self.permit_until:
            return "the permit expired before it left"
        return None


class Page:
    """A browser context of one session, with its way out and its one tab."""

    def __init__(
        self, account: jimeng.Account, upstream: jimeng.Upstream, fence: Fence
    ) -> None:
        self.account = account
        self.spoiled = False
        self._upstream = upstream
        self._fence = fence
        secret = account.proxy
        self._exit = Exit(fence, secret.get_secret_value() if secret else None)
        self._context: BrowserContext | None = None
        self._tab: Tab | None = None
        self._loaded_at = 0.0
        self._trial = False
        self._sending: _Sending | None = None

    @classmethod
    async def open(
        cls,
        browser: Browser,
        account: jimeng.Account,
        upstream: jimeng.Upstream,
        fence: Fence,
    ) -> Self:
        """Open a context of the account's own: its cookies, its proxy, nothing else."""
        page = cls(account, upstream, fence)
        try:
            address = await page._exit.open()
            page._context = await browser.new_context(
                # Chromium would go to loopback hosts past the proxy.
                proxy={"server": address, "bypass": "<-loopback>"},
                # Requests of service workers pass no route handler.
                service_workers="block",
                accept_downloads=False,
            )
            await page._context.add_cookies(cast("Any", page._cookies()))
            await page._context.route("**/*", page._filter)
        except BaseException:
            await page.close()
            raise
        return page

    def _cookies(self) -> list[dict[str, object]]:
        """Return the account's cookies, for the whole domain as the site sets them."""
        site = urlsplit(self._upstream.site_origin(self.account.region))
        host = site.hostname or ""
        if self._upstream.origin is None:
            host = "." + ".".join(host.split(".")[-2:])
        return [
            {
                "name": name,
                "value": value,
                "domain": host,
                "path": "/",
                "secure": site.scheme == "https",
                "httpOnly": name in _HIDDEN_COOKIES,
            }
            for name, value in self.account.cookies()
        ]

    async def prepare(self, seconds: float) -> None:
        """Load the page and wait until it signs; at once when it does already.

        Raises PageNotReadyError.
        """
        if self._tab and monotonic() - self._loaded_at < OLDEST_SECONDS:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._load()
        except TimeoutError:
            raise PageNotReadyError(f"not ready within {seconds:g} s") from None
        except PlaywrightError as error:
            raise PageNotReadyError(_first_line(error)) from None

    async def answers(self) -> bool:
        """Tell whether the tab is alive, before a permit is spent on it."""
        if self.spoiled or self._tab is None:
            return False
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._tab.evaluate("0")
        except (TimeoutError, PlaywrightError):
            return False
        return True

    async def _load(self) -> None:
        assert self._context  # noqa: S101 - it is open
        if self._tab:
            await self._tab.close()
        self._tab = await self._context.new_page()
        self._tab.on("crash", self._on_crash)
        region = self.account.region
        await self._tab.goto(
            self._upstream.page_url(region), wait_until="commit", timeout=0
        )
        self._trial = True
        try:
            await self._tab.evaluate(_READY, self._upstream.api(region, GENERATE_PATH))
        finally:
            self._trial = False
        self._loaded_at = monotonic()

    def _on_crash(self, _: Tab) -> None:
        self.spoiled = True  # a crashed tab cannot be loaded again

    async def send(
        self, submission: jimeng.Submission, permit_until: float, seconds: float
    ) -> jimeng.Accepted:
        """Send a submit once, before the permit ends; then it may take so many seconds.

        Raises NotSentError when it certainly did not leave, Refused for a certain no,
        and Unknown for the rest. A page that failed, or is suspected, is spoiled.
        """
        url = submission.url(self._upstream, self.account.region)
        status, text = await self._fetch(url, submission.body, permit_until, seconds)
        try:
            return jimeng.read_submit(status, text, secrets=self.account.secrets())
        except jimeng.Refused as no:
            if no.effect.session is not SessionEffect.NONE:
                self.spoiled = True  # it may be about this page: its tokens, its age
            raise

    async def _fetch(
        self, url: str, body: str, permit_until: float, seconds: float
    ) -> tuple[int, str]:
        assert self._tab  # noqa: S101 - `prepare` has made it
        try:
            async with asyncio.timeout(permit_until - monotonic()) as timer:
                sending = _Sending(place_of(url), permit_until, seconds, timer)
                self._sending = sending
                with boundary("page exchange"):
                    status, text = await self._tab.evaluate(_SEND, [url, body])
        except (TimeoutError, PlaywrightError) as error:
            raise self._failed(sending, error) from None
        except BaseException:
            self.spoil()
            raise
        finally:
            self._sending = None
            self._exit.release()
        if not sending.left:
            raise self._failed(sending, None)
        return int(status), str(text)

    def _failed(
        self, sending: _Sending, error: Exception | None
    ) -> NotSentError | jimeng.Unknown:
        """Tell *certainly not sent* from *unknown*, once nothing more can leave."""
        self.spoil()
        if not sending.left:
            return NotSentError(f"{sending.why_not}; nothing was sent")
        if not self._exit.sent:
            return NotSentError("no connection to the site; nothing was sent")
        if isinstance(error, TimeoutError):
            return jimeng.Unknown(f"no answer within {sending.seconds:g} s")
        return jimeng.Unknown(f"no answer: {_first_line(error)}")

    async def _filter(self, route: Route) -> None:
        """Decide about each request of the context, before it leaves the browser."""
        url, host = route.request.url, place_of(route.request.url)
        with suppress(PlaywrightError):  # the tab is gone
            if urlsplit(url).path == GENERATE_PATH:
                await self._depart(route)
            elif route.request.resource_type in _UNUSED:
                await route.abort("blockedbyclient")
            elif not self._fence.allows(*host):
                log.debug("the page asked for %s:%d, outside its fence", *host)
                await route.abort("blockedbyclient")
            else:
                await route.continue_()  # no boundary: the page loads itself

    async def _depart(self, route: Route) -> None:
        """Let the awaited submit leave, once; no other request to the generate URL."""
        sending, url = self._sending, route.request.url
        if self._trial:
            await route.fulfill(status=200 if _signed(url) else 403, body="{}")
        elif sending is None or route.request.method != "POST":
            await route.abort("blockedbyclient")
        elif reason := sending.forbidden(url):
            sending.why_not = reason
            await route.abort("blockedbyclient")
        else:
            sending.left = True
            now = asyncio.get_running_loop().time()
            sending.timer.reschedule(now + sending.seconds)
            self._exit.guard(sending.place[0], sending.seconds)
            with boundary("page leave"):
                await route.continue_()

    def spoil(self) -> None:
        """Cut it off at once; what it may still want to send finds no way out."""
        self.spoiled = True
        self._exit.close()

    async def close(self) -> None:
        """Close the context; a browser that does not answer is not waited for."""
        self.spoil()
        if self._context:
            with suppress(PlaywrightError, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._context.close()


def _signed(url: str) -> bool:
    return bool(parse_qs(urlsplit(url).query).get("a_bogus"))


def _first_line(error: BaseException | None) -> str:
    return str(error).partition("\n")[0]
