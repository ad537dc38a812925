"""Server-sent events as they come, byte by byte."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One event; `id` is what a reader that comes again begins after."""

    name: str
    body: dict[str, Any]
    id: str | None


def events(chunks: Iterable[bytes]) -> Iterator[Event | None]:
    """Read a stream; None is a sign of life without news."""
    name, data, place = "message", "", None
    for line in _lines(chunks):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Event(name, json.loads(data), place)
            name, data, place = "message", "", None
        elif not field:  # a comment
            yield None
        elif field == "event":
            name = value
        elif field == "data":
            data += value
        elif field == "id":
            place = value


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Split at newlines alone: the texts of others have more kinds of line ends."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode().removesuffix("\r") for line in whole)
