"""Finds out who asks, before a byte of the body is read.

The ways are tried in order: each gives a caller, or None for what is not its own, or
raises a Problem for what is its own and no good. With sign-in on, a request that none
of them knows is answered 401, but for the few paths that are open.
"""

import hmac
import re
from collections.abc import Awaitable, Callable, Sequence

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
    Caller,
)
from gateway_http.document import page
from gateway_http.problems import Problem, unavailable
from gateway_http.voices import refusal
from runtime.links import SIGNATURE

Way = Callable[[HTTPConnection], Awaitable[Caller | None]]
PROBES = {"/ping", "/healthz", "/readyz", "/api/v1/health"}
OPEN = {*PROBES, "/openapi.json", page.PATH, *page.FILES}
OPEN_BELOW, NOT_OPEN = "/auth/", {"/auth/me"}
OPERATOR = Caller("admin token", scopes=EVERYTHING, sees_all=True)
_RESULT = re.compile(r"/api/v1/tasks/[^/]+/(video|poster|results/[0-9]+)")


def is_open(path: str) -> bool:
    """Whether a path is answered also without a key."""
    below = path.startswith(OPEN_BELOW) and path not in NOT_OPEN
    return path in OPEN or below


def is_link(asking: HTTPConnection) -> bool:
    """Whether it asks by a signed link; its route looks at the signature."""
    method, path = asking.scope["method"], asking.scope["path"]
    reads = method in {"GET", "HEAD"} and _RESULT.fullmatch(path)
    return bool(reads) and SIGNATURE in asking.query_params


class Identified:
    """Puts the caller into `scope["caller"]`, or answers that there is none.

    Where it is not guarded there is no sign-in: anybody may everything, whatever they
    send.
    """

    def __init__(
        self, app: ASGIApp, ways: Sequence[Way], *, guarded: bool = True
    ) -> None:
        self._app = app
        self._ways = ways
        self._guarded = guarded

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        asking = HTTPConnection(scope)
        try:
            scope["caller"] = await self._caller(asking)
        except Problem as problem:
            if not is_open(scope["path"]) and not is_link(asking):
                response = refusal(problem, scope)
                await response(scope, receive, send)
                return
            scope["caller"] = NOBODY
        await self._app(scope, receive, send)

    async def _caller(self, asking: HTTPConnection) -> Caller:
        for way in self._ways:
            if caller := await way(asking):
                return caller
        if not self._guarded:
            return ANYBODY
        if bearer(asking):
            raise unknown("this key is not known here")
        text = (
            "a key is needed: send it as `Authorization: Bearer gw_…`, or sign in at "
            "/auth/login"
        )
        raise unknown(text, "Bearer")


def bearer(asking: HTTPConnection) -> str:
    """Return the token of the Authorization header; empty without one."""
    kind, _, token = asking.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def unknown(detail: str, challenge: str = 'Bearer error="invalid_token"') -> Problem:
    """Say that nobody knows who asks."""
    headers = {"WWW-Authenticate": challenge}
    return Problem(401, "unauthorized", detail, headers=headers)


class Keyring:
    """Every key that lets in: ADMIN_TOKEN, the operator's own, and the API keys.

    These are looked up in their bucket, so a change holds at once. It knows hashes
    alone, and so the time a look-up takes tells nothing.
    """

    def __init__(self, bus: Bus, admin_token: str | None) -> None:
        self._bus = bus
        self._operators = hash_of(admin_token) if admin_token else ""

    def is_operators(self, hashed: str) -> bool:
        """Whether this is ADMIN_TOKEN's hash."""
        return hmac.compare_digest(hashed, self._operators)

    async def holder(self, hashed: str) -> Caller | None:
        """Return whose the key of a hash is; None: there is no such key.

        Raises Problem for one that is disabled or has expired.
        """
        if self.is_operators(hashed):
            return OPERATOR
        key = await _looked_up(self._bus, hashed)
        return _holder(key, hashed) if key else None


def by_key(keyring: Keyring) -> Way:
    """Know the keys."""

    async def way(asking: HTTPConnection) -> Caller | None:
        token = bearer(asking)
        hashed = hash_of(token)
        if not (token.startswith(MARK) or keyring.is_operators(hashed)):
            return None
        if caller := await keyring.holder(hashed):
            return caller
        raise unknown("there is no such key: it may have been rotated or deleted")

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


def _holder(key: Key, hashed: str) -> Caller:
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
        key_hash=hashed,
    )
