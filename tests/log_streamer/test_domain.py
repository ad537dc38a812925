import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_streamer.domain import LONGEST, level_of, split, text_of


@given(chunks=st.lists(st.binary(max_size=60)))
def test_lines_are_whole_however_their_bytes_arrive(chunks):
    lines, rest = [], b""
    for chunk in chunks:
        whole, rest = split(rest + chunk)
        lines += whole
    assert b"".join(lines) + rest == b"".join(chunks)
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert b"\n" not in rest


def test_a_line_that_never_ends_is_not_waited_for():
    whole, rest = split(b"x" * 10 * LONGEST)
    assert whole
    assert len(rest) <= 2 * LONGEST


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("[12] 2026/11/21 09:30:00.000001 [INF] Server is ready", "info"),
        ("[12] 2026/11/21 09:30:00.000001 [WRN] slow consumer", "warning"),
        ("[12] 2026/11/21 09:30:00.000001 [ERR] no space left", "error"),
        ("[12] 2026/11/21 09:30:00.000001 [FTL] cannot listen", "critical"),
        ("[12] 2026/11/21 09:30:00.000001 [DBG] ping", "debug"),
        ("[1:1:1121/093000.0:ERROR:bus.cc(399)] Failed to connect", "error"),
        ("[1:1:1121/093000.0:WARNING:gpu.cc(1)] fallback", "warning"),
        ("frame=  120 fps= 25", "info"),
    ],
)
def test_a_line_says_its_own_level(line, level):
    assert level_of(line) == level


def test_a_line_is_shown_without_escapes_broken_bytes_and_secrets():
    raw = b"\x1b[31mred\x1b[0m \xff\x00 Cookie: sessionid=0123456789abcdef\r\n"
    shown = text_of(raw)
    assert shown.startswith("red \ufffd")
    assert "0123456789abcdef" not in shown
    assert shown.isprintable()


def test_a_long_line_is_cut():
    assert len(text_of(b"x" * 3 * LONGEST)) <= LONGEST
