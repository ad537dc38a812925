"""`jimeng rotate-key`: seal the credentials with a new secret."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def run(
    data: Annotated[
        Path | None, typer.Option(help="The folder where everything is kept.")
    ] = None,
) -> None:
    """Seal every credential with a new secret, and forget the old one.

    The gateway must be stopped. With the secret in a file, the file gets a new one.
    With SECRET_KEY in the environment, set it to the new secret and
    SECRET_KEY_PREVIOUS to the present one before; the latter can go afterwards.
    """
    from runtime.data import REAL_SITE, DataFolder
    from runtime.settings import SettingsError, load
    from scheduler.app import rotate_key
    from scheduler.settings import SchedulerSettings

    try:
        settings = load(SchedulerSettings, **({"data_dir": data} if data else {}))
        owner = settings.data_dir / "upstream"
        site = owner.read_text().strip() if owner.exists() else REAL_SITE
        with DataFolder(settings.data_dir, site, alone=True):
            count = rotate_key(settings)
    except SettingsError as error:
        sys.stderr.write(f"jimeng: {error}\n")
        raise typer.Exit(2) from None
    sys.stdout.write(f"{count} credentials are sealed with the new secret\n")
    copies = sorted(p.name for p in settings.data_dir.glob("*.before-*"))
    if copies:
        names = ", ".join(copies)
        sys.stdout.write(f"these copies still need the old one: {names}\n")
