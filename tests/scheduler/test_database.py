"""The database is ours, whole, and as new as this version."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from runtime.settings import SettingsError
from scheduler.store.engine import (
    database_url,
    is_full,
    looking_engine,
    reading,
    reading_engine,
    writing_engine,
)
from scheduler.store.hook_tables import metadata
from scheduler.store.migrate import _config, migrate, prepare


def test_the_migrations_make_the_tables_as_they_are_declared(tmp_path):
    url = database_url("", tmp_path)
    migrate(url)
    engine = create_engine(url.set(drivername="sqlite"))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_a_model_that_was_closed_before_stays_closed(tmp_path):
    url = database_url("", tmp_path)
    command.upgrade(_config(url), "0002")
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as db:
        db.execute(
            "INSERT INTO sessions (id, label, state, closed_models, region, masked,"
            " has_proxy, max_active, created_at, updated_at) VALUES ('s', 'mine',"
            """ 'active', '["m"]', 'cn', '0', 0, 2, '2026', '2026-11-21T04:00:00Z')"""
        )
        db.commit()
    migrate(url)
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as db:
        [(closed,)] = db.execute("SELECT closed_models FROM sessions").fetchall()
    assert json.loads(closed) == [
        {"model": "m", "reason": "closed by the site", "since": "2026-11-21T04:00:00Z"}
    ]


def test_migrating_again_does_nothing(tmp_path):
    url = database_url("", tmp_path)
    migrate(url)
    migrate(url)
    assert not list(tmp_path.glob("*.before-*"))


def test_the_earlier_gateways_form_of_the_url_is_taken(tmp_path):
    url = database_url(f"sqlite://{tmp_path}/g.db?mode=rwc", tmp_path)
    assert str(url.database) == f"{tmp_path}/g.db"


def test_another_programs_database_is_refused_untouched(tmp_path):
    file = tmp_path / "gateway.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE theirs (id)")
        other.commit()
    before = file.read_bytes()
    with pytest.raises(SettingsError, match="another program"):
        migrate(database_url("", tmp_path))
    assert file.read_bytes() == before


def test_a_newer_schema_is_refused(tmp_path):
    migrate(database_url("", tmp_path))
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
        db.commit()
    with pytest.raises(SettingsError, match="newer version"):
        migrate(database_url("", tmp_path))


@pytest.mark.parametrize("make", [writing_engine, reading_engine, looking_engine])
async def test_every_connection_is_durable_checked_and_patient(tmp_path, make):
    url = database_url("", tmp_path)
    migrate(url)
    engine = make(url)
    async with reading(engine) as db:
        for pragma, value in (
            ("journal_mode", "wal"),
            ("synchronous", 2),
            ("foreign_keys", 1),
            ("busy_timeout", 5000),
        ):
            assert (await db.exec_driver_sql(f"PRAGMA {pragma}")).scalar() == value
    await engine.dispose()


@pytest.mark.parametrize("make", [reading_engine, looking_engine])
async def test_a_reading_connection_cannot_write(tmp_path, make):
    url = database_url("", tmp_path)
    migrate(url)
    engine = make(url)
    with pytest.raises(Exception, match="readonly"):
        async with reading(engine) as db:
            await db.exec_driver_sql("DELETE FROM tasks")
    await engine.dispose()


async def test_a_full_disk_is_told_from_other_failures(tmp_path):
    url = database_url("", tmp_path)
    migrate(url)
    engine = writing_engine(url)
    note = "INSERT INTO inbox (id, seen_at) VALUES (?, '2026')"
    async with engine.connect() as db:
        await db.exec_driver_sql("PRAGMA max_page_count=1")  # what it has already
        with pytest.raises(DBAPIError) as full:
            await db.exec_driver_sql(note, ("x" * 1_000_000,))
        await db.rollback()
        with pytest.raises(DBAPIError) as other:
            await db.exec_driver_sql(note, (None,))
    await engine.dispose()
    assert is_full(full.value)
    assert not is_full(other.value)
    assert not is_full(ValueError("full"))


DIE_AT = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from scheduler.store.engine import database_url
from scheduler.store.migrate import migrate
from pathlib import Path

left = int(sys.argv[1])

@event.listens_for(Engine, "before_cursor_execute")
def count(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

migrate(database_url("", Path(sys.argv[2])))
"""


@pytest.mark.slow
def test_an_upgrade_that_is_killed_leaves_the_database_as_it_was(tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    command.upgrade(_config(database_url("", old)), "0001")
    deaths = 0
    for statement in range(20, 500, 10):
        folder = tmp_path / str(statement)
        shutil.copytree(old, folder)
        died = [sys.executable, "-c", DIE_AT, str(statement), str(folder)]
        if not subprocess.run(died, check=False).returncode:
            break
        deaths += 1
        migrate(database_url("", folder))  # goes through as if nothing had happened
        (copy,) = folder.glob("gateway.db.before-*")
        assert _revision(copy) == "0001"
    assert deaths > 2


def beats(folder):
    with closing(sqlite3.connect(folder / "gateway.db")) as database:
        return database.execute("SELECT epoch, beat FROM lease").fetchone()


@pytest.mark.parametrize(("owner", "epoch"), [("another", 8), (None, 7)])
def test_only_the_holder_of_the_lease_upgrades(tmp_path, owner, epoch):
    url = database_url("", tmp_path)
    command.upgrade(_config(url), "0002")
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as db, db:
        db.execute("UPDATE lease SET owner = ?, epoch = ?", (owner, epoch))
    with pytest.raises(RuntimeError, match="nothing was upgraded"):
        migrate(url, epoch=7)
    assert _revision(tmp_path / "gateway.db") == "0002"
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as db, db:
        db.execute("UPDATE lease SET owner = 'me', epoch = 7, beat = 3")
    migrate(url, epoch=7)
    assert _revision(tmp_path / "gateway.db") > "0002"
    assert beats(tmp_path) == (7, 4)  # so that a standby waits anew


@pytest.mark.parametrize(
    ("found", "left"), [(None, False), ("0001", False), ("0002", True)]
)
def test_who_comes_makes_what_is_missing_and_leaves_what_has_a_lease(
    tmp_path, found, left
):
    url = database_url("", tmp_path)
    if found:
        command.upgrade(_config(url), found)
    prepare(url)
    assert (_revision(tmp_path / "gateway.db") == found) is left
    assert beats(tmp_path) == (0, 0)


def _revision(file):
    with closing(sqlite3.connect(file)) as database:
        return database.execute("SELECT version_num FROM alembic_version").fetchone()[0]
