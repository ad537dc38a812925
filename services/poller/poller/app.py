"""Puts the poller together."""

import jimeng
from contracts.bus import Bus
from poller import handlers
from poller.domain import Pace
from poller.settings import Settings
from poller.sites import Sites
from runtime import logs, service


def create_app(settings: Settings) -> service.App:
    """Return the poller, which keeps its connections to the site between polls."""
    bus = Bus("poller", settings.link, fatal=service.fatal, scope=logs.about)
    sites = Sites(jimeng.Upstream(settings.jimeng_upstream or None))
    pace = Pace(settings.poll_interval_secs, settings.poll_min_secs)
    handlers.register_poll(bus, sites, pace, concurrency=settings.poll_concurrency)
    handlers.register_check(bus, sites, concurrency=settings.check_concurrency)
    return service.App(bus, before=[sites])
