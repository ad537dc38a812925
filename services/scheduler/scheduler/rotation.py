"""The root secrets: the present one, the one before, and going from one to the next."""

import asyncio
from pathlib import Path

from sqlalchemy.engine import URL

from runtime.sealing import (
    SealError,
    forget_previous,
    previous_of,
    previous_secret,
    root_secret,
    rotate,
)
from runtime.settings import SettingsError
from scheduler.settings import SchedulerSettings
from scheduler.store.engine import database_url, writing, writing_engine
from scheduler.store.migrate import migrate
from scheduler.vault import Vault


def vault_of(settings: SchedulerSettings) -> Vault:
    """Build what seals and opens. Raises SettingsError for a secret of no use."""
    value, before = settings.secret_key, settings.secret_key_previous
    file = _file(settings)
    old_file = settings.secret_key_previous_file or previous_of(file)
    try:
        root = root_secret(value.get_secret_value() if value else None, file)
        old = previous_secret(before.get_secret_value() if before else None, old_file)
    except (SealError, OSError) as error:
        raise SettingsError(f"SECRET_KEY: {error}") from None
    return Vault(root, *([old] if old and old != root else []))


def rotate_key(settings: SchedulerSettings) -> int:
    """Seal every credential with a new secret; return how many.

    The file gets a new one; one from the environment was changed there, the one before
    being told as SECRET_KEY_PREVIOUS. Nothing else may use the database meanwhile.
    Raises SettingsError.
    """
    file = _file(settings)
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
    vault, count = vault_of(settings), 0
    if Path(str(url.database)).exists():
        migrate(url)
        count = asyncio.run(_seal_again(url, vault))
    if settings.secret_key is None:
        forget_previous(file)
    return count


def _file(settings: SchedulerSettings) -> Path:
    return settings.secret_key_file or settings.data_dir / "secret.key"


async def _seal_again(url: URL, vault: Vault) -> int:
    """Do it in one transaction, then leave no page of the old seals behind."""
    engine = writing_engine(url)
    try:
        async with writing(engine) as db:
            count = await vault.seal_again(db)
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
