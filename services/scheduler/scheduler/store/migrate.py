"""Brings the database to this version: under a lock, after a copy, before any work.

Another scheduler may be at work on it, of the version it has. So who comes only makes
what is not there yet, and upgrades once the lease is its own.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL, Connection

from boundary import boundary
from runtime.durable import make_folder, sync_folder
from runtime.settings import SettingsError
from scheduler.store.engine import copy_database

COPIES = 3


def prepare(url: URL) -> None:
    """Make a database with a lease to wait for; one that has it is left as it is.

    Raises SettingsError for a database that is not ours or newer than this version.
    """
    _upgrade(url, leased=False)


def migrate(url: URL, epoch: int | None = None) -> None:
    """Upgrade to the newest schema, or leave everything as it is.

    With an `epoch` only as the holder of the lease; raises RuntimeError for one that
    is no longer. Raises SettingsError as `prepare` does.
    """
    _upgrade(url, leased=True, epoch=epoch)


def _upgrade(url: URL, *, leased: bool, epoch: int | None = None) -> None:
    file = Path(str(url.database))
    make_folder(file.parent)
    with _locked(file):
        engine = create_engine(url.set(drivername="sqlite"))
        try:
            with engine.connect() as connection:
                now = _check(connection, file)
                others = not leased and inspect(connection).has_table("lease")
            config = _config(url)
            config.attributes["epoch"] = epoch
            if others or now == ScriptDirectory.from_config(config).get_current_head():
                return
            if now is not None:
                _keep_copy(file, now)
            with boundary("commit", "migration"):
                command.upgrade(config, "head")
            # The end of its journal counts only once the folder knows of it.
            sync_folder(file.parent)
        finally:
            engine.dispose()


def _check(connection: Connection, file: Path) -> str | None:
    tables = set(inspect(connection).get_table_names())
    if tables and "alembic_version" not in tables:
        raise SettingsError(
            f"DATABASE_URL: {file} holds tables of another program; it was not "
            f"touched. Choose another file"
        )
    now = MigrationContext.configure(connection).get_current_revision()
    script = ScriptDirectory.from_config(_config(connection.engine.url))
    known = {r.revision for r in script.walk_revisions()}
    if now is not None and now not in known:
        raise SettingsError(
            f"DATABASE_URL: {file} was written by a newer version (schema {now}): "
            f"install that version, or restore a copy from before"
        )
    return now


def _config(url: URL) -> Config:
    config = Config()
    config.set_main_option(
        "script_location", str(files("scheduler.store") / "migrations")
    )
    config.attributes["url"] = url.set(drivername="sqlite")
    return config


def _keep_copy(file: Path, version: str) -> None:
    target = file.with_name(f"{file.name}.before-{version}")
    if target.exists():  # of an upgrade that was cut off: what it kept is good
        return
    draft = file.with_name(f".{target.name}.part")
    draft.unlink(missing_ok=True)
    copy_database(file, draft)
    with closing(sqlite3.connect(draft)) as copy:
        found = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise SettingsError(
            f"DATABASE_URL: {file} is damaged, and was not upgraded: {found}"
        )
    with boundary("rename", target.name):
        draft.rename(target)
    sync_folder(target.parent)
    copies = sorted(file.parent.glob(f"{file.name}.before-*"), key=_age)
    for old in copies[:-COPIES]:
        old.unlink()


def _age(file: Path) -> float:
    return file.stat().st_mtime


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.with_name(f"{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
