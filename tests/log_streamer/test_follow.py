import os

import pytest

from log_streamer.follow import CHUNK, File, Place


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.log"


def _append(path, data):
    with path.open("ab") as out:
        out.write(data)


def _read(file):
    return [line.raw for line in file.read()]


def test_a_file_that_is_not_there_yet_is_waited_for(path):
    file = File(path, None)
    assert _read(file) == []
    path.write_bytes(b"a\n")
    assert _read(file) == [b"a\n"]
    file.close()


def test_half_a_line_is_kept_until_the_rest_comes(path):
    path.write_bytes(b"a\nhal")
    file = File(path, None)
    assert _read(file) == [b"a\n"]
    assert _read(file) == []
    _append(path, b"f\n")
    assert _read(file) == [b"half\n"]
    file.close()


def test_a_rotated_file_is_read_to_its_end_and_then_the_new_one(path):
    path.write_bytes(b"a\n")
    file = File(path, None)
    assert _read(file) == [b"a\n"]
    _append(path, b"b\n")
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"c\n")
    assert [line for _ in range(4) for line in _read(file)] == [b"b\n", b"c\n"]
    file.close()


def test_a_cut_file_is_read_from_its_beginning(path):
    path.write_bytes(b"aaaa\nbbbb\n")
    file = File(path, None)
    assert len(_read(file)) == 2
    os.truncate(path, 0)
    _append(path, b"c\n")
    assert [line for _ in range(3) for line in _read(file)] == [b"c\n"]
    file.close()


def test_reading_goes_on_where_it_was_left(path):
    path.write_bytes(b"a\nb\nhal")
    first = File(path, None)
    place = first.read()[-1].after
    first.close()
    assert place == Place(path.stat().st_ino, 4)
    _append(path, b"f\n")
    second = File(path, place)
    assert _read(second) == [b"half\n"]
    second.close()


@pytest.mark.parametrize("offset", [0, 10_000])
def test_a_place_in_another_or_a_shorter_file_is_no_place(path, offset):
    path.write_bytes(b"a\n")
    inode = path.stat().st_ino if offset else path.stat().st_ino + 1
    file = File(path, Place(inode, offset))
    assert _read(file) == [b"a\n"]
    file.close()


def test_a_large_file_is_taken_in_pieces(path):
    path.write_bytes(b"0123456789\n" * CHUNK)
    file = File(path, None)
    taken = file.read()
    assert 0 < sum(len(line.raw) for line in taken) <= CHUNK
    file.close()
