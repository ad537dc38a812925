"""What we write ourselves survives a cut, on a real mount of either kind."""

import sqlite3

from sqlalchemy.engine import make_url

from blobs import open_store
from runtime.data import DataFolder
from runtime.durable import make_folder, write_whole
from runtime.sealing import root_secret
from scheduler.slot import slot
from scheduler.store.migrate import migrate
from standalone.nats_server import _passwords


def test_the_mount_forgets_what_was_not_synced(powered):
    file = powered.path / "file"
    file.write_text("never synced")
    powered.cut()
    assert not file.exists() or file.read_text() == ""


def test_locks_links_and_listings_work_on_it(powered):
    file = powered.path / "file"
    file.write_text("x")
    (powered.path / "link").hardlink_to(file)
    assert sorted(p.name for p in powered.path.iterdir()) == ["file", "link"]
    assert file.stat().st_nlink == 2
    file.unlink()
    assert (powered.path / "link").read_text() == "x"


def test_a_commit_survives(powered):
    path = powered.path / "a.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (n)")
    for number in range(20):
        connection.execute("INSERT INTO t VALUES (?)", (number,))
        connection.commit()
    powered.cut()
    again = sqlite3.connect(path)
    assert again.execute("SELECT count(*) FROM t").fetchone() == (20,)
    assert again.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    again.close()


def test_a_file_written_whole_is_there_or_as_it_was(powered):
    file = powered.path / "a" / "b" / "file"
    make_folder(file.parent)
    write_whole(file, "first", mode=0o600)
    powered.cut()
    assert file.read_text() == "first"
    assert file.stat().st_mode & 0o777 == 0o600
    write_whole(file, "second")
    powered.cut()
    assert file.read_text() == "second"


def test_the_data_folder_remembers_whose_it_is(powered):
    with DataFolder(powered.path / "data", "http://127.0.0.1:1", alone=True):
        pass
    powered.cut()
    assert (powered.path / "data" / "upstream").read_text() == "http://127.0.0.1:1\n"


def test_the_secret_is_the_same(powered):
    file = powered.path / "secret.key"
    before = root_secret(None, file)
    powered.cut()
    assert file.exists()
    assert root_secret(None, file) == before


def test_the_users_of_nats_keep_their_passwords(powered):
    file = powered.path / "users.json"
    before = _passwords(file)
    powered.cut()
    assert file.exists()
    assert _passwords(file) == before


def test_a_scheduler_keeps_its_name(powered):
    with slot(powered.path) as before:
        pass
    powered.cut()
    with slot(powered.path) as name:
        assert name == before


def test_a_new_database_is_there_and_sound(powered):
    file = powered.path / "data" / "gateway.db"
    migrate(make_url(f"sqlite:///{file}"))
    powered.cut()
    with sqlite3.connect(file) as connection:
        found = connection.execute("SELECT count(*) FROM alembic_version").fetchone()
    connection.close()
    assert found == (1,)


async def test_a_blob_survives_with_the_folders_it_lies_in(powered):
    async def chunks():
        yield b"film"

    store = open_store(f"file:{powered.path}/data/blobs")
    await store.put("task/result-0.mp4", chunks())
    powered.cut()
    film = powered.path / "data" / "blobs" / "task" / "result-0.mp4"
    assert film.read_bytes() == b"film"
