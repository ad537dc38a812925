"""Puts the notifier together."""

import fetch
from contracts.bus import Bus
from notifier import handlers
from notifier.settings import Settings
from runtime import logs, service
from runtime.settings import SettingsError


def create_app(settings: Settings, network: fetch.Network | None = None) -> service.App:
    """Return the notifier; `network` stands for the internet that URLs lead to.

    Raises SettingsError when WEBHOOK_ALLOW cannot be used.
    """
    bus = Bus("notifier", settings.link, fatal=service.fatal, scope=logs.about)
    try:
        allowed = fetch.Allowed.parse(settings.webhook_allow)
    except ValueError as error:
        raise SettingsError(f"WEBHOOK_ALLOW: {error}") from None
    handlers.register(
        bus,
        fetch.Sender(allowed, network),
        concurrency=settings.webhook_concurrency,
        seconds=settings.webhook_timeout_secs,
    )
    return service.App(bus)
