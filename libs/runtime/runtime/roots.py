"""The root secrets as the settings name them."""

from pathlib import Path

from runtime.sealing import SealError, previous_of, previous_secret, root_secret
from runtime.settings import SecretSettings, SettingsError


def root_file(settings: SecretSettings, data_dir: Path) -> Path:
    """Return where the root secret lies, unless the environment has it."""
    return settings.secret_key_file or data_dir / "secret.key"


def roots(settings: SecretSettings, data_dir: Path) -> tuple[str, ...]:
    """Return the present root secret, and the one before where there is one.

    Raises SettingsError for a secret of no use.
    """
    value, before = settings.secret_key, settings.secret_key_previous
    file = root_file(settings, data_dir)
    old_file = settings.secret_key_previous_file or previous_of(file)
    try:
        root = root_secret(value.get_secret_value() if value else None, file)
        old = previous_secret(before.get_secret_value() if before else None, old_file)
    except (SealError, OSError) as error:
        raise SettingsError(f"SECRET_KEY: {error}") from None
    return (root, old) if old and old != root else (root,)
