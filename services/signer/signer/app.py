"""Puts the signer together."""

import logging
from collections.abc import Iterable
from pathlib import Path

import jimeng
from contracts.bus import Bus
from runtime import logs, service
from signer import chromium, handlers
from signer.browser import Browser, Limits
from signer.exit import Fence
from signer.settings import Settings

log = logging.getLogger("signer")


def create_app(
    settings: Settings, candidates: Iterable[Path] | None = None
) -> service.App:
    """Return the signer; without a browser it takes the plain submits only.

    Raises SettingsError when CHROMIUM_PATH names what cannot be the browser.
    """
    bus = Bus("signer", settings.link, fatal=service.fatal, scope=logs.about)
    upstream = jimeng.Upstream(settings.jimeng_upstream or None)
    seconds = settings.submit_timeout_secs
    handlers.register_plain(
        bus, upstream, concurrency=settings.plain_concurrency, seconds=seconds
    )
    try:
        found = chromium.find(
            settings.chromium_path,
            chromium.candidates() if candidates is None else candidates,
        )
    except chromium.NoBrowserError as error:
        state = {"browser": False, "reason": str(error)}
        log.warning("no browser, so no submits inside the page: %s", error)
        return service.App(bus, state=lambda: state)
    browser = _browser(found, settings, upstream)
    handlers.register_pages(
        bus, browser.page, concurrency=settings.page_concurrency, seconds=seconds
    )
    return service.App(bus, before=[browser], state=browser.state)


def _browser(path: Path, settings: Settings, upstream: jimeng.Upstream) -> Browser:
    return Browser(
        path,
        upstream,
        Fence(upstream.origin, settings.browser_hosts),
        Limits(
            contexts=settings.max_contexts,
            idle_seconds=settings.browser_idle_secs,
            ready_seconds=settings.browser_ready_secs,
        ),
        settings.chromium_log,
    )
