"""The root secrets: the present one, the one before, and going from one to the next."""

import asyncio
from dataclasses import replace
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime import hooks
from runtime.roots import root_file, roots
from runtime.sealing import Ring, SealError, forget_previous, rotate
from runtime.settings import SettingsError
from scheduler.endpoint_work import opened, seal
from scheduler.settings import SchedulerSettings
from scheduler.store import endpoints, tasks
from scheduler.store.engine import database_url, writing, writing_engine
from scheduler.store.migrate import migrate
from scheduler.vault import Vault


def rotate_key(settings: SchedulerSettings) -> int:
    """Seal every credential and webhook anew; return how many credentials.

    The file gets a new one; one from the environment was changed there, the one before
    being told as SECRET_KEY_PREVIOUS. Nothing else may use the database meanwhile.
    Raises SettingsError.
    """
    file = root_file(settings, settings.data_dir)
    if settings.secret_key is None:
        try:
            rotate(file)
        except (SealError, OSError) as error:
            raise SettingsError(f"SECRET_KEY_FILE: {error}") from None
    elif not settings.secret_key_previous and not settings.secret_key_previous_file:
        raise SettingsError(
            "SECRET_KEY: make it the new secret and SECRET_KEY_PREVIOUS the present "
            "one, then ask again"
        )
    url = database_url(settings.database_url, settings.data_dir)
    keys = roots(settings, settings.data_dir)
    count = 0
    if Path(str(url.database)).exists():
        migrate(url)
        ring = Ring(hooks.PURPOSE, *keys)
        count = asyncio.run(_seal_again(url, Vault(*keys), ring))
    if settings.secret_key is None:
        forget_previous(file)
    return count


async def _seal_again(url: URL, vault: Vault, ring: Ring) -> int:
    """Do it in one transaction, then leave no page of the old seals behind."""
    engine = writing_engine(url)
    try:
        async with writing(engine) as db:
            count = await vault.seal_again(db)
            await _seal_webhooks(db, ring)
        async with engine.connect() as db:
            plain = await db.get_raw_connection()
            await plain.driver_connection.execute("VACUUM")  # type: ignore[union-attr]
            await plain.driver_connection.execute(  # type: ignore[union-attr]
                "PRAGMA wal_checkpoint(TRUNCATE)"
            )
    except SealError as error:
        raise SettingsError(f"SECRET_KEY_PREVIOUS: {error}") from None
    finally:
        await engine.dispose()
    return count


async def _seal_webhooks(db: AsyncConnection, ring: Ring) -> None:
    for task, webhook in (await tasks.webhooks(db)).items():
        if hooks.is_old(ring, webhook):
            hook = hooks.open_(ring, webhook, task)
            await tasks.seal(db, task, hooks.seal(ring, hook, task, webhook.shown))
    for endpoint in await endpoints.every(db):
        if ring.is_old(endpoint.sealed):
            sealed = seal(ring, endpoint.id, opened(ring, endpoint))
            await endpoints.save(db, replace(endpoint, sealed=sealed))
