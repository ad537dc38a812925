"""Puts the uploader together."""

import blobs
import fetch
import jimeng
from contracts.bus import Bus
from contracts.workers import Credential
from runtime import logs, service
from runtime.room import Room
from runtime.settings import SettingsError
from uploader import handlers
from uploader.domain import account_of
from uploader.references import References
from uploader.settings import Settings


def create_app(settings: Settings, network: fetch.Network | None = None) -> service.App:
    """Return the uploader; `network` stands for the internet that URLs lead to.

    Raises SettingsError when STORAGE_URL cannot be used.
    """
    bus = Bus("uploader", settings.link, fatal=service.fatal, scope=logs.about)
    upstream = jimeng.Upstream(settings.jimeng_upstream or None)

    def site(credential: Credential) -> jimeng.Jimeng:
        return jimeng.Jimeng(account_of(credential), upstream)

    store = _store(settings)
    room = Room(settings.min_free_disk, settings.data_dir, store.folder)
    fetcher = fetch.Fetcher(settings.jimeng_upstream, network)
    handlers.register(
        bus,
        References(store, fetcher, room),
        site,
        concurrency=settings.upload_concurrency,
        patience=settings.reference_patience_secs,
        deadline_seconds=settings.upload_deadline_secs,
    )
    return service.App(bus, state=lambda: {"lacking_room": room.lacking()})


def _store(settings: Settings) -> blobs.Store:
    url = settings.storage_url or f"file:{settings.data_dir / 'blobs'}"
    try:
        return blobs.open_store(url)
    except (ValueError, OSError) as error:
        raise SettingsError(f"STORAGE_URL: {error}") from None
