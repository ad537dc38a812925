"""Connections that stand still are closed: uvicorn itself waits for them for ever.

A client that owes us bytes – a request's head, its body – or that does not take an
answer must move 1 KB/s over 15 s. What we are at work on has no limit.
"""

import asyncio
import json
import socket
import struct
from contextlib import suppress
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway_http.problems import MEDIA_TYPE

WINDOW_SECONDS = 15.0
LEAST_BYTES = 15 * 1024  # in that time
LONGEST_HEAD = 64 * 1024  # a request's line and headers
SWEEP_SECONDS = 0.5
NO_LINGER = struct.pack("ii", 1, 0)
TITLES = {
    400: ("bad_request", "Bad Request", "this is no HTTP request"),
    408: ("request_timeout", "Request Timeout", "the request stopped coming"),
    431: (
        "headers_too_large",
        "Request Header Fields Too Large",
        f"more than {LONGEST_HEAD // 1024} KiB before the body",
    ),
}


class Meter:
    """Tells when a count has grown too little for too long."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._before = 0

    def rest(self) -> None:
        """Nothing is owed now."""
        self._since = None

    def stalled(self, now: float, count: int) -> bool:
        """Look at the count; True when it grew too little in the whole window."""
        if self._since is None or count - self._before >= LEAST_BYTES:
            self._since, self._before = now, count
            return False
        return now - self._since >= WINDOW_SECONDS


class Counted:
    """A transport that counts what was given to it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._given = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it."""
        self._given += len(data)
        self._transport.write(data)

    def drop(self) -> None:
        """End it at once; what the kernel still has for the client goes too."""
        if own := self._transport.get_extra_info("socket"):
            with suppress(OSError):  # it has ended by itself
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self._transport.abort()

    @property
    def waiting(self) -> int:
        """How many bytes the client has still to take."""
        return self._transport.get_write_buffer_size()

    @property
    def taken(self) -> int:
        """How many bytes the client's side took."""
        return self._given - self.waiting


class Connection(HttpToolsProtocol):
    """One connection, which `look` closes when it stands still."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; the client owes us a request."""
        self._out = Counted(transport)
        self._part: Literal["none", "head", "body"] = "none"
        self._received = self._head = 0
        self._reading, self._writing = Meter(), Meter()
        super().connection_made(self._out)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Take bytes in; a head without end is refused."""
        self._received += len(data)
        self._head += len(data)
        super().data_received(data)
        if self._part != "body" and self._head > LONGEST_HEAD:
            self._refuse(431)

    def on_message_begin(self) -> None:
        """A request's first byte is here; who answers it may end the connection."""
        self._part = "head"
        super().on_message_begin()
        self.scope["extensions"] = {"connection": {"transport": self._out}}

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._part, self._head = "body", 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is here."""
        self._part, self._head = "none", 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The client may take its time until the next request."""
        self._reading.rest()
        super().on_response_complete()

    def send_400_response(self, _: str) -> None:
        """Refuse what cannot be read as HTTP."""
        self._refuse(400)

    def look(self, now: float) -> None:
        """Close the connection if it stands still: `now` on the loop's clock."""
        if not self._out.waiting:
            self._writing.rest()
        elif self._writing.stalled(now, self._out.taken):
            self._out.drop()
            return
        if self._working or self.flow.read_paused:
            self._reading.rest()
        elif self._reading.stalled(now, self._received):
            self._refuse(408)

    @property
    def _working(self) -> bool:
        """Whether the next step is ours: answer, or ask for the body."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        return not cycle.more_body or cycle.waiting_for_100_continue

    def _refuse(self, status: int) -> None:
        """Say why, where no answer has begun, and end the connection."""
        cycle = self.cycle
        if self._part != "body" or not cycle.response_started:
            self._out.write(_problem(status))
        if cycle is not None:  # who waits for the body waits no longer
            cycle.disconnected = True
            cycle.message_event.set()
        self._out.close()


def _problem(status: int) -> bytes:
    kind, title, detail = TITLES[status]
    told = {"type": kind, "title": title, "status": status, "detail": detail}
    body = json.dumps(told | {"errors": [], "request_id": ""}).encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n"
        "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n"
    )
    return head.encode() + body
