"""Puts the uploader together."""

import blobs
import jimeng
from contracts.bus import Bus
from contracts.requests import Credential
from runtime import logs, service
from runtime.settings import SettingsError
from uploader import handlers
from uploader.domain import account_of
from uploader.settings import Settings


def create_app(settings: Settings) -> service.App:
    """Return the uploader. Raises SettingsError when STORAGE_URL cannot be used."""
    bus = Bus("uploader", settings.link, fatal=service.fatal, scope=logs.about)
    upstream = jimeng.Upstream(settings.jimeng_upstream or None)

    def site(credential: Credential) -> jimeng.Jimeng:
        return jimeng.Jimeng(account_of(credential), upstream)

    handlers.register(
        bus, _store(settings), site, concurrency=settings.upload_concurrency
    )
    return service.App(bus)


def _store(settings: Settings) -> blobs.Store:
    url = settings.storage_url or f"file:{settings.data_dir / 'blobs'}"
    try:
        return blobs.open_store(url)
    except (ValueError, OSError) as error:
        raise SettingsError(f"STORAGE_URL: {error}") from None
