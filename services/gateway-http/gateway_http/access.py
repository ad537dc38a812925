"""Who asks, and what they may: every route says which scope it needs.

A caller is found out before a route runs (`identity.py`); `may(scope)` is the one place
that refuses.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Depends, Request
from pydantic import SecretStr

from contracts.keys import EVERYDAY, Key, KeyScope
from contracts.values import Kind
from gateway_http.problems import Problem
from runtime.links import SIGNATURE

if TYPE_CHECKING:
    from gateway_http.limits import Allowance

Scope = KeyScope | Literal["task:resolve", "session:read", "session:write"]
ADMIN: Scope = "admin"
EVERYTHING: frozenset[Scope] = frozenset({ADMIN})
Role = Literal["viewer", "operator", "admin"]
_VIEWER: frozenset[Scope] = frozenset({"task:read", "session:read"})
ROLES: dict[Role, frozenset[Scope]] = {
    "viewer": _VIEWER,
    "operator": _VIEWER | {*EVERYDAY, "task:resolve", "session:write"},
    "admin": EVERYTHING,
}
"""What people may: to look, to act, to manage. They see everybody's tasks."""


@dataclass(frozen=True)
class Caller:
    """Who asks: `name` for people, `owner` whose the tasks are that it makes."""

    name: str = ""
    owner: str | None = None
    scopes: frozenset[Scope] = frozenset()
    sees_all: bool = False
    key: Key | None = None
    """The API key, where there is one: its limits hold."""
    key_hash: str = ""
    """What that is known by."""
    role: Role | None = None
    """Of a person."""
    lends: SecretStr | None = None
    """The account that its tasks run on, and no other's: a session token."""

    @property
    def seen_by(self) -> str | None:
        """Whose tasks it sees; None: everybody's."""
        return None if self.sees_all else self.owner or "nobody"

    @property
    def known(self) -> bool:
        """Whether it is anybody at all."""
        return bool(self.scopes)

    def has(self, scope: Scope) -> bool:
        """Tell whether this is allowed; an admin may everything."""
        return scope in self.scopes or ADMIN in self.scopes

    def must(self, *scopes: Scope) -> None:
        """Raise a Problem unless one of these is allowed."""
        if not any(map(self.has, scopes)):
            needed = " or ".join(scopes)
            text = f"this needs a key with the scope {needed}"
            raise Problem(403, "scope_missing", text, scope=scopes[0])


ANYBODY = Caller("anybody", scopes=EVERYTHING, sees_all=True)
"""Who asks a gateway without sign-in, which listens on loopback only."""

NOBODY = Caller()
"""Who asks without a key where a key is not needed."""


def caller_of(request: Request) -> Caller:
    """Return who asks, as it was found out before the route."""
    caller: Caller = request.scope["caller"]
    return caller


def may(*scopes: Scope) -> Callable[[Request], Caller]:
    """Return a dependency that gives the caller, or raises a Problem without it.

    One of the scopes is enough.
    """

    def check(request: Request) -> Caller:
        caller = caller_of(request)
        caller.must(*scopes)
        return caller

    check.scopes = scopes  # type: ignore[attr-defined] # for audit log and document
    return check


def creates(kind: Kind) -> Scope:
    """Return what making something of this kind needs."""
    return "image:create" if kind == "image" else "video:create"


def may_or_signed(scope: Scope) -> Callable[[Request], Caller | None]:
    """Return a dependency as `may`, which gives None for a request with a signature.

    Then the route looks whether the signature opens what it serves.
    """
    may_it = may(scope)

    def check(request: Request) -> Caller | None:
        return None if SIGNATURE in request.query_params else may_it(request)

    check.scopes = (scope,)  # type: ignore[attr-defined] # for the document
    check.or_signed = True  # type: ignore[attr-defined]
    return check


def may_or_lends(scope: Scope) -> Callable[[Request], Caller]:
    """Return a dependency as `may`, which lets those in too who bring an account.

    The route shows them that account and no other.
    """
    may_it = may(scope)

    def check(request: Request) -> Caller:
        caller = caller_of(request)
        return caller if caller.lends else may_it(request)

    check.scopes = (scope,)  # type: ignore[attr-defined] # for audit log and document
    return check


def needs(scope: Scope) -> Any:
    """Return what a route lists in `dependencies` when it does not ask who calls."""
    return Depends(may(scope))


KEY_HEADER, COUNT_HEADER = "Idempotency-Key", "x-stainless-retry-count"
ARRIVED = "arrived_at"
"""Where in a request's scope it is told when it began to arrive."""


def is_perhaps_known(request: Request) -> bool:
    """Whether a request may be one that was accepted before."""
    return (
        KEY_HEADER in request.headers or request.headers.get(COUNT_HEADER, "0") != "0"
    )


def spends(*scopes: Scope) -> Callable[[Request], AsyncIterator[Caller]]:
    """Return what `may` does, for a route that makes a task: it is counted.

    Before its body is read, but for what may be known: that is looked for first.
    """

    async def check(request: Request) -> AsyncIterator[Caller]:
        caller = caller_of(request)
        caller.must(*scopes)
        allowance: Allowance = request.scope["allowance"]
        async with allowance.task(later=is_perhaps_known(request)):
            yield caller

    check.scopes = scopes  # type: ignore[attr-defined] # for audit log and document
    return check


Known = Annotated[Caller, Depends(caller_of)]
Reader = Annotated[Caller, Depends(may("task:read"))]
ReaderOrLink = Annotated[Caller | None, Depends(may_or_signed("task:read"))]
Creator = Annotated[Caller, Depends(spends("video:create", "image:create"))]
ImageCreator = Annotated[Caller, Depends(spends("image:create"))]
Canceller = Annotated[Caller, Depends(may("task:cancel"))]
Retrier = Annotated[Caller, Depends(spends("task:retry"))]
ManyRetrier = Annotated[Caller, Depends(may("task:retry"))]
"""Who makes many tasks in one request; it counts each of them itself."""
Resolver = Annotated[Caller, Depends(may("task:resolve"))]
