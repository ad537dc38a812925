"""Who asks, and what they may: every route says which scope it needs.

A caller is found out before a route runs; `may(scope)` is the one place that refuses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Request

from gateway_http.problems import Problem

Scope = Literal[
    "video:create", "image:create", "task:read", "task:cancel", "task:retry", "admin"
]
ADMIN: Scope = "admin"


@dataclass(frozen=True)
class Caller:
    """Who asks. `owner` is whose the tasks are that it makes and sees; None: all."""

    owner: str | None = None
    scopes: frozenset[Scope] = frozenset()

    def has(self, scope: Scope) -> bool:
        """Tell whether this is allowed; an admin may everything."""
        return scope in self.scopes or ADMIN in self.scopes


ANYBODY = Caller(scopes=frozenset({ADMIN}))
"""Who asks a gateway without sign-in, which listens on loopback only."""


def may(scope: Scope) -> Callable[[Request], Caller]:
    """Return a dependency that gives the caller, or raises a Problem without it."""

    def check(request: Request) -> Caller:
        caller: Caller = request.scope.get("caller", ANYBODY)
        if not caller.has(scope):
            text = f"this needs a key with the scope {scope}"
            raise Problem(403, "scope_missing", text, scope=scope)
        return caller

    check.scope = scope  # type: ignore[attr-defined] # for the table of all routes
    return check


def needs(scope: Scope) -> Any:
    """Return what a route lists in `dependencies` when it does not ask who calls."""
    return Depends(may(scope))


Reader = Annotated[Caller, Depends(may("task:read"))]
Creator = Annotated[Caller, Depends(may("video:create"))]
Canceller = Annotated[Caller, Depends(may("task:cancel"))]
Retrier = Annotated[Caller, Depends(may("task:retry"))]
