"""Files inside JSON, read in steps that are short enough for an event loop.

A call into C holds the interpreter's lock until it returns, in a thread too: decoding
31 MiB at once stops every other request for 170 ms. So a long text is never handled
whole. It is set aside where it lies in the body, and the parser gets a mark instead.

This needs of JSON only where its texts begin and end (RFC 8259 §7); all the rest is
the parser's to judge, which also sees every piece of what was set aside. What is not
JSON stays so.
"""

import asyncio
import binascii
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from secrets import token_hex

from pydantic_core import from_json

from gateway_http.fields import MAX_PROMPT
from gateway_http.problems import Problem, field_error, invalid

STEP_BYTES = 16 * 1024  # below 1 ms, whatever they are
LONGEST_TEXT = 192 * 1024  # the longest prompt is 15,000 times \ud83e\udd8a
LARGEST_REST = 1536 * 1024  # 50 files just below a step, and the longest prompt
MOST_VALUES = 1000  # of which a create can use 250; 5 ms if each of them is wrong

_TEXT = rb'"(?:[^"\\]++|\\.)*+"'
_texts = re.compile(_TEXT, re.DOTALL)
_whole_texts = re.compile(rb'(?:[^"]++|' + _TEXT + rb")*+", re.DOTALL)
# Inside a text: an escape is not cut, nor are the two that make one character.
_characters = re.compile(
    rb'(?:[^"\\]++|\\[^u]|\\u(?![dD][89abAB])....|\\u[dD][89abAB]..\\u....)*+',
    re.DOTALL,
)
_is_data = re.compile(rb'"data"\s*:\s*\Z')
_LATER_BYTES = range(0x80, 0xC0)  # of a character of up to four bytes (RFC 3629 §3)
_KEY_BYTES = 64  # a key, and the white space around its colon


class EncodingError(ValueError):
    """A file's text is not what it should be; the text is for its sender."""


class Lifted:
    """A body whose long texts are set aside; `rest` is what a parser gets."""

    def __init__(self, body: bytes | memoryview) -> None:
        self.rest = bytearray()
        self._body = body
        self._values = 0
        # Nobody outside can know it. Longer than any text may be but a file's data:
        # a mark in another place is refused for its length, as the text would be.
        self._mark = token_hex(16).ljust(MAX_PROMPT, "-")
        self._cuts: dict[str, list[int]] = {}

    def pieces(self, text: str) -> Iterator[str]:
        """Give a parsed text, or piece by piece the long one that it marks."""
        if text not in self._cuts:
            yield text
            return
        for start, end in pairwise(self._cuts[text]):
            yield _parsed(self._body[start:end])

    def take(self, start: int, end: int) -> None:
        """Pass on what holds whole texts. Raises Problem."""
        outside = _texts.sub(b"", self._body[start:end])
        self._values += sum(map(outside.count, (b",", b"[", b"{")))
        if self._values > MOST_VALUES:
            text = f"has more than {MOST_VALUES} values"
            raise invalid([field_error((), text)], 400)
        self._add(self._body[start:end])

    def take_text(self, cuts: list[int]) -> None:
        """Set a long text aside, or pass on what may be a prompt. Raises Problem."""
        start, end = cuts[0], cuts[-1]
        key = max(0, len(self.rest) - _KEY_BYTES)
        if end - start <= LONGEST_TEXT and not _is_data.search(self.rest, key):
            self._add(self._body[start - 1 : end + 1])
            return
        mark = f"{self._mark}{len(self._cuts)}"
        self._cuts[mark] = cuts
        self._add(f'"{mark}"'.encode())

    def _add(self, taken: bytes | memoryview) -> None:
        self.rest += taken
        if len(self.rest) > LARGEST_REST:
            text = f"JSON ends at {LARGEST_REST // 1024} KiB beside its files' data"
            raise Problem(413, "too_large", text)


async def lift(body: bytes | memoryview) -> Lifted:
    """Set a body's long texts aside. Raises Problem."""
    lifted = Lifted(body)
    place = 0
    while place < len(body):
        end = _end(_whole_texts, body, place)
        if end > place:
            lifted.take(place, end)
        else:  # a text begins here that is longer than a step
            cuts = await _cuts(body, place + 1)
            lifted.take_text(cuts)
            end = cuts[-1] + 1
        place = end
        await asyncio.sleep(0)
    return lifted


async def decoded(pieces: Iterator[str]) -> AsyncIterator[bytes]:
    """Decode the Base64 (RFC 4648 §4) or data: URI of a file. Raises EncodingError."""
    left = ""
    padded = False
    for text in _without_head(pieces):
        left += "".join(text.split())
        if padded and left:
            break
        whole, left = left[: len(left) // 4 * 4], left[len(left) // 4 * 4 :]
        padded = padded or whole.endswith("=")
        yield _bytes(whole)
        await asyncio.sleep(0)
    if left:
        raise EncodingError("is not base64")


def _without_head(pieces: Iterator[str]) -> Iterator[str]:
    first = next(pieces)
    if first[:5].lower() == "data:":
        head, _, first = first.partition(",")
        if not head.lower().endswith(";base64"):
            raise EncodingError("a data: URI must be base64")
    yield first
    yield from pieces


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EncodingError("is not base64") from None


async def _cuts(body: bytes | memoryview, place: int) -> list[int]:
    """Cut a text between characters, a step at most apart; the last is its end.

    Raises Problem when it is no text, or has no end.
    """
    cuts = [place]
    while body[place : place + 1] != b'"':
        end = _end(_characters, body, place)
        for _ in range(3):
            end -= end < len(body) and body[end] in _LATER_BYTES
        if end <= place:
            raise _broken()
        _parsed(body[place:end])
        cuts.append(place := end)
        await asyncio.sleep(0)
    return cuts


def _end(pattern: re.Pattern[bytes], body: bytes | memoryview, place: int) -> int:
    """Say how far it reaches within a step; each pattern also matches nothing."""
    found = pattern.match(body, place, place + STEP_BYTES)
    return found.end() if found else place


def _parsed(piece: bytes | memoryview) -> str:
    try:
        return str(from_json(b'"' + piece + b'"'))
    except ValueError:
        raise _broken() from None


def _broken() -> Problem:
    return invalid([field_error((), "is not valid JSON")], 400)
