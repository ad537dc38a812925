"""Room: how much of a disk is left, told without naming where."""

import pytest

from blobs import open_store
from runtime.room import NoRoomError, Room
from runtime.settings import Settings, SettingsError, StorageSettings, load

EVERYTHING = 10**18


class Stored(StorageSettings, Settings):
    """What a service with files reads."""


def test_there_is_room_until_less_is_left_than_wanted(tmp_path):
    assert Room(0, tmp_path).lacking() == ""
    assert Room(1, tmp_path, open_store(f"file:{tmp_path}/b").folder).lacking() == ""
    Room(1).check()


def test_what_is_lacking_is_told_with_what_to_do_and_no_path(tmp_path):
    with pytest.raises(NoRoomError) as raised:
        Room(EVERYTHING, tmp_path).check()
    assert "less than MIN_FREE_DISK (909494.7 TiB)" in str(raised.value)
    assert "RETENTION_DAYS" in str(raised.value)
    assert str(tmp_path) not in str(raised.value)


def test_a_folder_that_is_still_to_be_made_lies_where_it_will(tmp_path):
    assert Room(1, tmp_path / "not" / "there").lacking() == ""


@pytest.mark.parametrize(
    ("written", "size"),
    [("2GiB", 2 * 1024**3), ("500MB", 500_000_000), ("0", 0), ("1048576", 1024**2)],
)
def test_a_size_is_written_with_its_unit_or_in_bytes(monkeypatch, written, size):
    monkeypatch.setenv("MIN_FREE_DISK", written)
    assert load(Stored, _env_file=None).min_free_disk == size


@pytest.mark.parametrize("written", ["much", "-1", "5 apples"])
def test_what_is_no_size_ends_the_start_by_name(monkeypatch, written):
    monkeypatch.setenv("MIN_FREE_DISK", written)
    with pytest.raises(SettingsError, match="MIN_FREE_DISK"):
        load(Stored, _env_file=None)
