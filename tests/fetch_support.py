"""A network that is only in memory: names, and what answers at which address.

Nothing here opens a socket, so no test can send a packet to a target it names.
"""

import socket
from collections.abc import AsyncIterator, Callable

import httpcore

PUBLIC = "93.184.216.34"
Script = Callable[[bytes], AsyncIterator[bytes]]


class Wire(httpcore.AsyncNetworkStream):
    """A connection that answers with what its script gives for the request."""

    def __init__(self, script: Script):
        self._script = script
        self._answer: AsyncIterator[bytes] | None = None
        self.sent = b""
        self.tls: str | None = None
        self.closed = False
        self.given = 0

    async def read(self, *_, **__):
        if self._answer is None:
            self._answer = self._script(self.sent)
        piece = await anext(self._answer, b"")
        self.given += len(piece)
        return piece

    async def write(self, buffer, *_, **__):
        self.sent += buffer

    async def aclose(self):
        self.closed = True

    async def start_tls(self, *_, server_hostname=None, **__):
        self.tls = server_hostname
        return self

    def get_extra_info(self, _):
        return None


class FakeNetwork:
    """Names and addresses of a test, and a record of what was dialled."""

    def __init__(self, names=None, script=None):
        self.names: dict[str, list[str]] = {"files.example": [PUBLIC], **(names or {})}
        self.script: Script = script or answering(b"HTTP/1.1 200 OK\r\n\r\n")
        self.resolved: list[str] = []
        self.dialled: list[tuple[str, int]] = []
        self.wires: list[Wire] = []
        self.down: set[str] = set()

    async def resolve(self, host):
        self.resolved.append(host)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.names[host]

    async def dial(self, address, port, _):
        self.dialled.append((address, port))
        if address in self.down:
            raise httpcore.ConnectError("refused")
        self.wires.append(Wire(self.script))
        return self.wires[-1]


def answering(*pieces: bytes) -> Script:
    """Answer every request with these bytes, then hang up."""

    async def script(_):
        for piece in pieces:
            yield piece

    return script


def file(content: bytes, *headers: str) -> Script:
    """Answer with a file."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(content)}", *headers]
    return answering("\r\n".join([*lines, "\r\n"]).encode() + content)


def redirect(location: str, status: int = 302) -> Script:
    """Answer with a redirect."""
    line = f"HTTP/1.1 {status} Moved\r\nLocation: ".encode()
    return answering(line + location.encode(errors="replace") + b"\r\n\r\n")
