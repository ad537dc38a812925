"""Following a file: whole lines, each once, through everything that happens to it."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_streamer.domain import LONGEST, Budget, level_of, split, text_of
from log_streamer.follow import File


@pytest.fixture
def follow():
    opened = []

    def follow(path, place=None):
        opened.append(File(path, place))
        return opened[-1]

    yield follow
    for file in opened:
        file.close()


def texts(lines):
    return [line.raw.decode().rstrip("\n") for line in lines]


def test_only_whole_lines_are_told(tmp_path, follow):
    path = tmp_path / "a.log"
    file = follow(path)
    assert file.read() == []
    path.write_text("one\ntw")
    assert texts(file.read()) == ["one"]
    with path.open("a") as more:
        more.write("o\n")
    assert texts(file.read()) == ["two"]


def test_it_goes_on_where_it_was_left(tmp_path, follow):
    path = tmp_path / "a.log"
    path.write_text("one\ntwo\n")
    first = follow(path)
    place = first.read()[0].after
    assert texts(follow(path, place).read()) == ["two"]


def test_a_rotated_file_is_read_to_its_end_and_then_the_new_one(tmp_path, follow):
    path = tmp_path / "a.log"
    path.write_text("old\n")
    file = follow(path)
    assert texts(file.read()) == ["old"]
    with path.open("a") as more:
        more.write("last of the old\n")
    path.rename(tmp_path / "a.log.1")
    path.write_text("new\n")
    seen = [line for _ in range(4) for line in texts(file.read())]
    assert seen == ["last of the old", "new"]


def test_a_cut_file_is_read_from_its_beginning(tmp_path, follow):
    path = tmp_path / "a.log"
    path.write_text("a long first line\n")
    file = follow(path)
    file.read()
    os.truncate(path, 0)
    with path.open("a") as more:
        more.write("short\n")
    assert [t for _ in range(3) for t in texts(file.read())] == ["short"]


def test_a_place_in_another_file_counts_for_nothing(tmp_path, follow):
    path = tmp_path / "a.log"
    path.write_text("one\n")
    place = follow(path).read()[0].after
    path.rename(tmp_path / "keeps-its-inode")
    path.write_text("a new file\n")
    assert texts(follow(path, place).read()) == ["a new file"]


@given(st.lists(st.binary(max_size=40).filter(lambda b: b"\n" not in b), max_size=20))
def test_no_byte_is_lost_or_doubled_however_the_output_is_cut(lines):
    output = b"".join(line + b"\n" for line in lines)
    for size in (1, 3, 17, 1000):
        pending, told = b"", []
        for at in range(0, len(output), size):
            whole, pending = split(pending + output[at : at + size])
            told += whole
        assert (b"".join(told), pending) == (output, b"")


def test_a_line_that_never_ends_is_told_in_pieces():
    told, rest = split(b"x" * (5 * LONGEST))
    assert b"".join(told) + rest == b"x" * (5 * LONGEST)
    assert len(rest) <= 2 * LONGEST


def test_a_line_is_shown_without_escapes_secrets_and_broken_characters():
    line = b"\x1b[31mred\x1b[0m \xff sessionid=0123456789abcdef \xe2\x80\xae\n"
    shown = text_of(line)
    assert shown.startswith("red \ufffd sessionid=***")
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_line_tells_its_own_level():
    assert level_of("[7] 2026/11/21 [ERR] disk full") == "error"
    assert level_of("[7] 2026/11/21 [WRN] slow") == "warning"
    assert level_of("[7] 2026/11/21 [INF] Server is ready") == "info"
    assert level_of("[1:2:1121/090000.1:ERROR:gpu.cc(9)] no gpu") == "error"


def test_a_flood_is_counted_and_said_in_a_later_second():
    budget = Budget(2)
    assert [budget.take(0.1)[0] for _ in range(5)] == [True, True, False, False, False]
    assert budget.take(1.0) == (True, 3)
    assert budget.take(1.1) == (True, 0)
