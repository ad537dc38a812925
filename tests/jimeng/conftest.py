"""A loopback HTTP server that plays the site, and an account to ask it with."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from jimeng import Account, Jimeng, Upstream

SESSION = "0123456789abcdef0123456789abcdef"


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self):
        return urlsplit(self.target).path

    @property
    def query(self):
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def json(self):
        return json.loads(self.body)


@dataclass
class Reply:
    """What the server says; `cut` closes the connection instead, `silent` waits."""

    body: Any = b""
    status: int = 200
    cut: bool = False
    silent: bool = False

    def raw(self):
        content = self.body
        if not isinstance(content, bytes):
            content = json.dumps(content, ensure_ascii=False).encode()
        head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(content)}\r\n\r\n"
        return head.encode() + content


@dataclass
class Site:
    """The server: routes by path, or by `Action` for the upload services."""

    origin: str = ""
    seen: list[Seen] = field(default_factory=list)
    routes: dict[str, Reply | Callable[[Seen], Reply]] = field(default_factory=dict)

    def on(self, route, reply):
        self.routes[route] = reply

    def of(self, route):
        return [each for each in self.seen if route in (each.path, _action(each))]

    async def serve(self, reader, writer):
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                seen = await _read(reader)
                self.seen.append(seen)
                reply = self._reply(seen)
                if reply.silent:
                    await reader.read()
                if reply.cut or reply.silent:
                    break
                writer.write(reply.raw())
                await writer.drain()
        writer.close()

    def _reply(self, seen):
        route = self.routes.get(_action(seen)) or self.routes.get(seen.path)
        if route is None:
            return Reply(b"<html>404</html>", status=404)
        return route(seen) if callable(route) else route


def _action(seen):
    return seen.query.get("Action", "")


async def _read(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.split(":", 1) for line in lines)
    headers = {name.lower(): value.strip() for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Seen(method, target, headers, body)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield site
    server.close()


@pytest.fixture
def say():
    """Makes a reply."""
    return Reply


@pytest.fixture
def ok():
    """Makes a reply in the envelope of success."""
    return lambda data: Reply({"ret": "0", "errmsg": "success", "data": data})


@pytest.fixture
def no():
    """Makes a reply in the envelope of failure."""
    return lambda ret, text="", **more: Reply({"ret": ret, "errmsg": text, **more})


@pytest.fixture
def account() -> Account:
    return Account.parse(SESSION)


@pytest.fixture
async def client(site, account) -> AsyncIterator[Jimeng]:
    async with Jimeng(account, Upstream(site.origin), timeout=5) as client:
        yield client


@pytest.fixture
def unused():
    """An origin where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
