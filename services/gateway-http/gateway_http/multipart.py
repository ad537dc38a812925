"""Forms, read part by part as they arrive: no part is ever held in memory whole."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

MOST_HEADERS = 8
LONGEST_HEADER = 4 * 1024
STEP_BYTES = 8 * 1024  # 3 ms of parsing, were they all the smallest parts there are


class BrokenFormError(Exception):
    """The body is not the multipart form its header promises."""


@dataclass
class Part:
    """One field of a form; `filename` is None when it is no file."""

    name: str
    filename: str | None
    chunks: AsyncIterator[bytes]


@dataclass
class _Headers:
    fields: dict[bytes, bytes] = field(default_factory=dict)


class _End:
    """The end of a part."""


async def parts(stream: AsyncIterator[bytes], content_type: str) -> AsyncIterator[Part]:
    """Read a form; each part's chunks are read before the next part is asked for.

    Raises BrokenFormError.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise BrokenFormError("the boundary is missing in Content-Type")
    form = _Form(_steps(stream), boundary)
    while (event := await form.next()) is not None:
        if isinstance(event, _Headers):
            yield _part(event, form)


async def _steps(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Let the loop have a turn after each step."""
    async for chunk in stream:
        for start in range(0, len(chunk), STEP_BYTES):
            yield chunk[start : start + STEP_BYTES]
            await asyncio.sleep(0)


class _Form:
    """The parser's callbacks, turned into events that can be awaited."""

    def __init__(self, stream: AsyncIterator[bytes], boundary: bytes) -> None:
        self._stream = stream
        self._events: deque[_Headers | bytes | _End] = deque()
        self._name = b""
        self._value = b""
        self._headers = _Headers()
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_begin,
                    "on_header_field": self._on_name,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header,
                    "on_headers_finished": self._on_headers,
                    "on_part_data": self._on_data,
                    "on_part_end": lambda: self._events.append(_End()),
                    "on_end": self._on_end,
                },
                max_header_count=MOST_HEADERS,
                max_header_size=LONGEST_HEADER,
            )
        except FormParserError as error:
            raise BrokenFormError(str(error)) from None

    async def next(self) -> _Headers | bytes | _End | None:
        """Return what comes next, None after the last part."""
        while not self._events:
            try:
                chunk = await anext(self._stream)
            except StopAsyncIteration:
                if not self._ended:
                    raise BrokenFormError("the form breaks off") from None
                return None
            self._write(chunk)
        return self._events.popleft()

    async def data(self) -> AsyncIterator[bytes]:
        """Read the current part to its end."""
        while isinstance(event := await self.next(), bytes):
            yield event

    def _write(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise BrokenFormError(str(error)) from None

    def _on_begin(self) -> None:
        self._headers = _Headers()

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers.fields[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_headers(self) -> None:
        self._events.append(self._headers)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _on_end(self) -> None:
        self._ended = True


def _part(headers: _Headers, form: _Form) -> Part:
    kind, options = parse_options_header(headers.fields.get(b"content-disposition"))
    if kind != b"form-data" or b"name" not in options:
        raise BrokenFormError("a part has no name")
    filename = options.get(b"filename")
    return Part(
        name=options[b"name"].decode(errors="replace"),
        filename=None if filename is None else filename.decode(errors="replace"),
        chunks=form.data(),
    )
