"""Finds out who asks, before a byte of the body is read.

The ways are tried in order: each gives a caller, or None for what is not its own, or
raises a Problem for what is its own and no good. With sign-in on, a request that none
of them knows is answered 401, but for the few paths that are open.
"""

import hmac
import re
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from contracts.bus import Bus
from contracts.keys import MARK, Key, KeyEntry, hash_of
from contracts.message import now
from gateway_http.access import (
    ADMIN,
    ANYBODY,
    EVERYTHING,
    NOBODY,
    SIGNATURE,
    Caller,
)
from gateway_http.problems import Problem, problem_response, unavailable

Way = Callable[[HTTPConnection], Awaitable[Caller | None]]
OPEN = {"/ping", "/healthz", "/readyz", "/api/v1/health", "/openapi.json", "/docs"}
OPEN_BELOW = "/auth/"
_RESULT = re.compile(r"/api/v1/tasks/[^/]+/(video|poster|results/[0-9]+)")


def is_open(path: str) -> bool:
    """Whether a path is answered also without a key."""
    return path in OPEN or path.startswith(OPEN_BELOW)


def is_link(asking: HTTPConnection) -> bool:
    """Whether it asks by a signed link; its route looks at the signature."""
    method, path = asking.scope["method"], asking.scope["path"]
    reads = method in {"GET", "HEAD"} and _RESULT.fullmatch(path)
    return bool(reads) and SIGNATURE in asking.query_params


class Identified:
    """Puts the caller into `scope["caller"]`, or answers that there is none.

    Without ways there is no sign-in: anybody may everything, whatever they send.
    """

    def __init__(self, app: ASGIApp, ways: Sequence[Way]) -> None:
        self._app = app
        self._ways = ways

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        asking = HTTPConnection(scope)
        try:
            scope["caller"] = await self._caller(asking)
        except Problem as problem:
            if not is_open(scope["path"]) and not is_link(asking):
                response = problem_response(problem, scope["request_id"])
                await response(scope, receive, send)
                return
            scope["caller"] = NOBODY
        await self._app(scope, receive, send)

    async def _caller(self, asking: HTTPConnection) -> Caller:
        if not self._ways:
            return ANYBODY
        for way in self._ways:
            if caller := await way(asking):
                return caller
        if bearer(asking):
            raise unknown("this key is not known here")
        text = "a key is needed: send it as `Authorization: Bearer gw_…`"
        raise unknown(text, "Bearer")


def bearer(asking: HTTPConnection) -> str:
    """Return the token of the Authorization header; empty without one."""
    kind, _, token = asking.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def unknown(detail: str, challenge: str = 'Bearer error="invalid_token"') -> Problem:
    """Say that nobody knows who asks."""
    headers = {"WWW-Authenticate": challenge}
    return Problem(401, "unauthorized", detail, headers=headers)


def by_admin_token(token: str) -> Way:
    """Know the operator's own token, ADMIN_TOKEN."""
    wanted = sha256(token.encode()).digest()
    operator = Caller("admin token", scopes=EVERYTHING, sees_all=True)

    async def way(asking: HTTPConnection) -> Caller | None:
        given = sha256(bearer(asking).encode()).digest()
        return operator if hmac.compare_digest(given, wanted) else None

    return way


def by_key(bus: Bus) -> Way:
    """Know the API keys: each is looked up in their bucket, so a change holds at once.

    The bucket knows hashes alone, and so the time a look-up takes tells nothing.
    """

    async def way(asking: HTTPConnection) -> Caller | None:
        token = bearer(asking)
        if not token.startswith(MARK):
            return None
        key = await _looked_up(bus, hash_of(token))
        if key is None:
            raise unknown("there is no such key: it may have been rotated or deleted")
        return _holder(key)

    return way


async def _looked_up(bus: Bus, hashed: str) -> Key | None:
    entry = KeyEntry(hash=hashed)
    try:
        if not bus.connected:
            raise unavailable("NATS is away: keys cannot be looked up")
        found = await bus.jetstream.get_last_msg(
            KeyEntry.STREAM, entry.subject, direct=True
        )
    except NotFoundError:
        return None
    except (NatsError, TimeoutError):
        raise unavailable("NATS does not answer: keys cannot be looked up") from None
    return KeyEntry.parse(found.data or b"{}").key


def _holder(key: Key) -> Caller:
    if not key.enabled:
        text = f"the key {key.prefix}… is disabled: ask an admin to enable it"
        raise Problem(403, "key_disabled", text)
    if key.expires_at and key.expires_at <= now():
        text = f"the key {key.prefix}… has expired: ask an admin for another"
        raise Problem(403, "key_expired", text)
    return Caller(
        key.name,
        key.owner,
        frozenset(key.scopes),
        sees_all=ADMIN in key.scopes,
        key=key,
    )
