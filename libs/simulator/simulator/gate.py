"""The outermost layer: notes every request and lets the switched-on faults strike."""

import asyncio
import contextlib
import json
import logging
import re
import socket
import struct
import time
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator import prompts
from simulator.errors import RefusedError
from simulator.faults import Fault, from_prompt
from simulator.traffic import Note
from simulator.world import World

_log = logging.getLogger("simulator.access")

_KINDS = {
    "/mweb/v1/aigc_draft/generate": "submit",
    "/mweb/v1/get_history_by_ids": "history",
    "/mweb/v1/get_history_records": "history",
    "/mweb/v1/get_history_queue_info": "queue_info",
    "/mweb/v1/get_local_item_list": "best_url",
    "/mweb/v1/get_upload_token": "upload_token",
    "/commerce/v1/benefits/user_credit": "credits",
    "/passport/account/info/v2": "live",
}
_ACTIONS = {
    "ApplyImageUpload": "apply",
    "ApplyUploadInner": "apply",
    "CommitImageUpload": "commit",
    "CommitUploadInner": "commit",
}
_PREFIXES = {
    "/upload/": "upload",
    "/cdn/": "download",
    "/ai-tool": "page",
    "/vlabstatic.com/": "sdk",
    "/static/": "asset",
}
_SUBMIT_ID = re.compile(r'"submit_id"\s*:\s*"([^"]+)"')
_CUTTING = {"reset", "hang", "lose_response", "late_effect"}
_PAGES = {
    "html_502": (502, "<html><body><h1>502 Bad Gateway</h1></body></html>"),
    "html_404": (404, "<html><body><h1>404 Not Found</h1></body></html>"),
}


def kind_of(path: str, query: str) -> str:
    """The kind of a request, the word that faults, the ledger and tests use for it."""
    if path == "/":
        action = parse_qs(query).get("Action", [""])[0]
        return _ACTIONS.get(action, "other" if action else "page")
    for prefix, kind in _PREFIXES.items():
        if path.startswith(prefix):
            return kind
    return _KINDS.get(path, "other")


class Gate:
    """An ASGI layer. It must be outermost: faults need the server's own `send`."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, unless it is the control API or not HTTP."""
        if scope["type"] != "http" or scope["path"].startswith("/_sim"):
            await self._app(scope, receive, send)
            return
        kind = kind_of(scope["path"], scope["query_string"].decode())
        note = self._world.traffic.arrived(kind, scope["method"], scope["path"])
        scope["note"] = note
        await self._world.traffic.happened(f"{kind}.arrived")
        try:
            await self._strike(scope, receive, send, note)
        except ClientDisconnect:
            note.verdict = "disconnected"
        finally:
            note.took_ms = (time.monotonic() - note.at_monotonic) * 1000
            await self._world.traffic.happened(kind)
            _tell(note)

    async def _strike(
        self, scope: Scope, receive: Receive, send: Send, note: Note
    ) -> None:
        body = await _body(receive) if note.kind == "submit" else b""
        fault = self._world.faults.take(note.kind, _names(self._world, scope), body)
        fault = fault or self._asked_for(body)
        source = _replay(body, receive) if note.kind == "submit" else receive
        if fault is None:
            await self._app(scope, source, send)
            return
        note.fault, scope["fault"] = fault.fault, fault
        if fault.fault in _CUTTING:
            await self._cut(fault, scope, source)
            await _reset(receive, send)
        else:
            await self._spoil(fault, scope, source, send)

    def _asked_for(self, body: bytes) -> Fault | None:
        """The fault its own prompt asks for, once per `submit_id`."""
        text = body.decode(errors="replace")
        fault = from_prompt(prompts.switches(text))
        found = _SUBMIT_ID.search(text)
        key = found[1] if found else ""
        return fault if fault and self._world.store.add("struck", key) else None

    async def _cut(self, fault: Fault, scope: Scope, receive: Receive) -> None:
        """What happens before the connection ends without an answer."""
        match fault.fault:
            case "hang":
                await asyncio.sleep(fault.seconds)
            case "lose_response":
                await self._app(scope, receive, _nowhere)
            case "late_effect":
                self._later(fault, scope, receive)

    async def _spoil(
        self, fault: Fault, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """An answer comes, but another, a late or a broken one; or a handler's turn."""
        match fault.fault:
            case "html_502" | "html_404":
                await _html(send, *_PAGES[fault.fault])
                return
            case "ret":
                await _refuse(send, RefusedError(fault.ret, fault.errmsg))
                return
            case "slow":
                await asyncio.sleep(fault.seconds)
            case "truncated":
                send = _Half(send)
            case "corrupt":
                send = _Corrupt(send)
        await self._app(scope, receive, send)

    def _later(self, fault: Fault, scope: Scope, receive: Receive) -> None:
        async def effect() -> None:
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, _nowhere)
            await self._world.traffic.happened("late_effect")

        task = asyncio.create_task(effect())
        self._late.add(task)
        task.add_done_callback(self._late.discard)


class _Half:
    """A `send` that promises the whole body and stops in the middle of it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._left: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            lengths = [
                v for k, v in message["headers"] if k.lower() == b"content-length"
            ]
            self._left = int(lengths[0]) // 2 if lengths else 0
            await self._send(message)
        elif self._left:
            part = message.get("body", b"")[: self._left]
            self._left -= len(part)
            await self._send({**message, "body": part, "more_body": True})


class _Corrupt:
    """A `send` whose bytes are wrong, though there are as many as promised."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if body := message.get("body"):
            message = {**message, "body": bytes(byte ^ 0x55 for byte in body)}
        await self._send(message)


async def _nowhere(_message: Message) -> None:
    """A `send` whose answer nobody hears."""


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body read before, then what the server says."""
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


def _names(world: World, scope: Scope) -> set[str]:
    """What the request's account may be called in a fault: its session, its uid."""
    for name, value in scope["headers"]:
        if name == b"cookie":
            cookie = SimpleCookie(value.decode("latin-1")).get("sessionid")
            account = world.accounts.get(cookie.value) if cookie else None
            return {account.sessionid, account.uid} if account else set()
    return set()


async def _reset(receive: Receive, send: Send) -> None:
    """End the connection without an answer, with RST where the server lets us."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("this server does not let a connection be cut")
    with contextlib.suppress(OSError, AttributeError):
        linger = struct.pack("ii", 1, 0)
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _html(send: Send, status: int, page: str) -> None:
    await _answer(send, status, b"text/html", page.encode())


async def _refuse(send: Send, refusal: RefusedError) -> None:
    fields = {"ret": refusal.ret, "errmsg": refusal.errmsg, "data": refusal.data}
    await _answer(send, 200, b"application/json", json.dumps(fields).encode())


async def _answer(send: Send, status: int, media: bytes, body: bytes) -> None:
    length = str(len(body)).encode()
    headers = [(b"content-type", media), (b"content-length", length)]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _tell(note: Note) -> None:
    fields = {"kind": note.kind, "path": note.path, "uid": note.uid}
    fields |= {"verdict": note.verdict, "fault": note.fault}
    _log.info("%s %s", note.method, note.path, extra=fields)
