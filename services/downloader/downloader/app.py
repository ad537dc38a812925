"""Puts the downloader together."""

import blobs
import jimeng
from contracts.bus import Bus
from contracts.workers import Credential
from downloader import handlers, tidying
from downloader.batch import Source
from downloader.domain import account_of
from downloader.settings import Settings
from downloader.storing import Shelf
from runtime import logs, service
from runtime.room import Room
from runtime.settings import SettingsError


def create_app(settings: Settings) -> service.App:
    """Return the downloader. Raises SettingsError when STORAGE_URL cannot be used."""
    bus = Bus("downloader", settings.link, fatal=service.fatal, scope=logs.about)
    upstream = jimeng.Upstream(settings.jimeng_upstream or None)

    def site(credential: Credential) -> jimeng.Jimeng:
        return jimeng.Jimeng(account_of(credential), upstream)

    def straight(credential: Credential) -> jimeng.Jimeng:
        return site(credential.model_copy(update={"proxy": None}))

    source = Source(
        site=site,
        carrier=site if settings.download_proxy else straight,
        upstream=upstream.origin,
        hosts=settings.download_hosts,
        max_bytes=settings.download_max_bytes,
    )
    store = _store(settings)
    room = Room(settings.min_free_disk, settings.data_dir, store.folder)
    handlers.register(
        bus,
        Shelf(store, settings.ffmpeg_path),
        source,
        room,
        concurrency=settings.download_concurrency,
        deadline_seconds=settings.download_deadline_secs,
    )
    tidying.register(bus, store)
    return service.App(
        bus,
        after=[tidying.tidied(bus, store)],
        state=lambda: {"lacking_room": room.lacking()},
    )


def _store(settings: Settings) -> blobs.Store:
    url = settings.storage_url or f"file:{settings.data_dir / 'blobs'}"
    try:
        return blobs.open_store(url)
    except (ValueError, OSError) as error:
        raise SettingsError(f"STORAGE_URL: {error}") from None
