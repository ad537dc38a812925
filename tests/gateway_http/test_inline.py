"""Files inside JSON: read in short steps, exactly as the parser alone would."""

import asyncio
import base64
import json
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from gateway_http import inline
from gateway_http.fields import MAX_PROMPT
from gateway_http.inline import STEP_BYTES, EncodingError, decoded, lift
from gateway_http.problems import Problem

MIB = 1024 * 1024
# Bytes of a text, as they may lie in a body; the last six make it no JSON at all.
UNITS = [
    *(
        b"QUJD",
        b"/",
        b"\\/",
        b"\\n",
        b" ",
        b"=",
        b"\\\\",
        b'\\"',
        b"\\u0041",
        b"\0"[1:],
    ),
    *(b"\\u00e9", b"\\ud83e\\udd8a", "é狐🦊".encode(), b"[{,:", b"data"),
    *(b"\\q", b"\\u12", b"\\ud83e", b"\n", b"\xff", b'"'),
]


@st.composite
def texts(draw):
    """Give a text's bytes, short or of some steps, cut by them wherever it may be."""
    units = draw(st.lists(st.sampled_from(UNITS[:-6]), max_size=6))
    size = draw(st.sampled_from([0, 10, STEP_BYTES, 3 * STEP_BYTES, 13 * STEP_BYTES]))
    begun = draw(st.binary(max_size=12)).hex().encode()
    body = b"".join(units)
    bad = draw(st.sampled_from([b""] * 8 + UNITS[-6:]))
    return b'"' + begun + body * (size // max(1, len(body))) + bad + b'"'


def objects(inner):
    keys = st.one_of(st.just(b'"data"'), texts())
    pair = st.tuples(keys, st.sampled_from([b":", b" :\n"]), inner).map(b"".join)
    return st.lists(pair, max_size=3).map(lambda all_: b"{" + b",".join(all_) + b"}")


BODIES = st.recursive(
    st.one_of(texts(), st.sampled_from([b"1", b"null", b"1e5", b" ", b"nul"])),
    lambda inner: st.one_of(
        objects(inner),
        st.lists(inner, max_size=3).map(lambda all_: b"[" + b", ".join(all_) + b"]"),
    ),
    max_leaves=4,
)


async def read(body):
    lifted = await lift(body)
    assert len(lifted.rest) <= inline.LARGEST_REST
    return restored(from_json(bytes(lifted.rest)), lifted)


def restored(value, lifted):
    match value:
        case str():
            return "".join(lifted.pieces(value))
        case list():
            return [restored(each, lifted) for each in value]
        case dict():
            return {restored(k, lifted): restored(v, lifted) for k, v in value.items()}
    return value


@settings(max_examples=300, deadline=None)
@given(body=BODIES, damage=st.none() | st.tuples(st.integers(0), st.binary(max_size=1)))
def test_any_body_is_read_as_the_parser_alone_would(body, damage):
    if damage and body:
        place = damage[0] % len(body)
        body = body[:place] + damage[1] + body[place + 1 :]
    try:
        expected = from_json(body)
    except ValueError:
        with pytest.raises((ValueError, Problem)):
            asyncio.run(read(body))
    else:
        assert asyncio.run(read(body)) == expected


def straightforward(text):
    head, _, data = text.partition(",") if text[:5] == "data:" else ("", "", text)
    data = "".join(data.split())
    if head and not head.endswith(";base64"):
        return None
    if len(data) % 4 or not re.fullmatch("[A-Za-z0-9+/]*={0,2}", data):
        return None
    return base64.b64decode(data)


ENCODED = st.one_of(
    st.binary(max_size=60).map(lambda data: base64.b64encode(data).decode()),
    st.text("QUJD=/+-é \n", max_size=12),
)


@given(
    head=st.sampled_from(["", "data:image/png;base64,", "data:,", "data:;base64"]),
    runs=st.lists(ENCODED, max_size=3),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
def test_pieces_cut_anywhere_decode_as_the_whole(head, runs, cuts):
    text = "".join(runs)
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [text[a:b] for a, b in pairwise(ends)] or [""]
    pieces[0] = head + pieces[0]

    async def whole():
        return b"".join([piece async for piece in decoded(iter(pieces))])

    expected = straightforward(head + text)
    if expected is None:
        with pytest.raises(EncodingError):
            asyncio.run(whole())
    else:
        assert asyncio.run(whole()) == expected


async def test_the_loop_turns_after_each_step():
    turns = 0

    async def tick():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    body = json.dumps({"data": base64.b64encode(bytes(3 * MIB)).decode()}).encode()
    ticking = asyncio.create_task(tick())
    lifted = await lift(body)
    cut = turns
    pieces = lifted.pieces(from_json(bytes(lifted.rest))["data"])
    size = sum([len(piece) async for piece in decoded(pieces)])
    ticking.cancel()

    assert size == 3 * MIB
    assert min(cut, turns - cut) >= len(body) // STEP_BYTES


def test_a_mark_is_too_long_for_every_other_text():
    lifted = asyncio.run(lift(b'{"data": "' + b"A" * MIB + b'"}'))
    assert MAX_PROMPT < len(from_json(bytes(lifted.rest))["data"]) < STEP_BYTES
