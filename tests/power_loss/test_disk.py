"""What a cut leaves: bytes and names that were synced, and what a habit adds."""

import stat

import pytest

from power_loss.disk import Disk, Habits

FILE, FOLDER = stat.S_IFREG | 0o600, stat.S_IFDIR | 0o700


class Cutting:
    """A disk that is read anew after each cut."""

    def __init__(self, folder):
        self._folder = folder
        self.disk = Disk(folder)

    def habits(self, **habits):
        self.disk = Disk(self._folder, Habits(**habits))

    def write(self, path, data, offset=0):
        self.disk.write(self.disk.find(path), data, offset)

    def sync(self, *paths):
        for path in paths:
            node = self.disk.find(path)
            (self.disk.sync_folder if node.is_folder else self.disk.sync)(node)

    def cut(self):
        self.disk = Disk(self._folder)

    def read(self, path):
        node = self.disk.find(path)
        return self.disk.read(node, 0, 1 << 20)


@pytest.fixture
def power(tmp_path):
    power = Cutting(tmp_path)
    power.disk.create("/old", FILE)
    power.write("/old", b"before")
    power.sync("/old", "/")
    return power


def names(power):
    return sorted(power.disk.find("/").names)


def test_what_was_synced_survives_and_nothing_else(power):
    power.write("/old", b"AFTER!")
    assert power.read("/old") == b"AFTER!"
    power.cut()
    assert power.read("/old") == b"before"


def test_a_synced_file_has_no_name_before_its_folder_is_synced(power):
    power.disk.create("/new", FILE)
    power.write("/new", b"x")
    power.sync("/new")
    power.cut()
    assert names(power) == ["old"]


def test_a_name_can_survive_without_bytes(power):
    power.disk.create("/new", FILE)
    power.write("/new", b"x")
    power.sync("/")
    power.cut()
    assert power.read("/new") == b""


def test_a_rename_that_is_not_synced_leaves_the_old_file(power):
    power.disk.create("/draft", FILE)
    power.write("/draft", b"new")
    power.sync("/draft")
    power.disk.rename("/draft", "/old")
    assert power.read("/old") == b"new"
    power.cut()
    assert names(power) == ["old"]
    assert power.read("/old") == b"before"


def test_a_synced_rename_brings_the_bytes_along(power):
    power.disk.create("/draft", FILE)
    power.write("/draft", b"new")
    power.sync("/draft")
    power.disk.rename("/draft", "/old")
    power.sync("/")
    power.cut()
    assert power.read("/old") == b"new"


def test_what_was_unlinked_comes_back_unless_synced(power):
    power.disk.unlink("/old")
    power.cut()
    assert names(power) == ["old"]
    power.disk.unlink("/old")
    power.sync("/")
    power.cut()
    assert names(power) == []


def test_a_folder_needs_its_own_name_synced(power):
    power.disk.create("/in", FOLDER)
    power.disk.create("/in/file", FILE)
    power.sync("/in/file", "/in")
    power.cut()
    assert names(power) == ["old"]


def test_names_with_file_survive_by_the_sync_of_a_file(power):
    power.habits(names="with file")
    power.disk.create("/in", FOLDER)
    power.disk.create("/in/file", FILE)
    power.write("/in/file", b"x")
    power.sync("/in/file")
    power.cut()
    assert power.read("/in/file") == b"x"


def test_names_at_once_survive_before_their_bytes(power):
    power.habits(names="at once")
    power.disk.create("/draft", FILE)
    power.write("/draft", b"new")
    power.disk.rename("/draft", "/old")
    power.cut()
    assert names(power) == ["old"]
    assert power.read("/old") == b""


def test_early_bytes_survive_unasked(power):
    power.habits(early=1.0)
    power.write("/old", b"AFTER!")
    power.cut()
    assert power.read("/old") == b"AFTER!"


def test_cut_off_and_lengthened_again_there_are_zeros(power):
    node = power.disk.find("/old")
    power.disk.truncate(node, 2)
    power.write("/old", b"z", 5)
    power.sync("/old")
    power.cut()
    assert power.read("/old") == b"be\0\0\0z"


def test_a_linked_file_has_both_names_after_the_sync(power):
    power.disk.link("/old", "/other")
    power.sync("/")
    power.cut()
    power.write("/old", b"shared")
    assert power.read("/other") == b"shared"
    assert power.disk.find("/old").links == 2


def test_memory_is_given_back_when_nobody_needs_it(power):
    node = power.disk.find("/old")
    power.disk.opened(node)
    power.disk.released(node)
    assert node.data is None
    assert power.read("/old") == b"before"


def test_an_open_file_without_a_name_is_gone(power):
    power.disk.rename("/old", "/.fuse_hidden01")
    power.sync("/")
    power.cut()
    assert names(power) == []
