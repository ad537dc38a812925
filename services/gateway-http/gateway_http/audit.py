"""Tells what operators do: whatever changes something, but for a client's own tasks.

It is told before it is begun, and where it cannot be told it is not done. Bodies are
left out: they may hold a secret.
"""

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from nats.errors import Error as NatsError
from starlette.exceptions import HTTPException

from contracts.audit import DeedAnswered, DeedAsked
from contracts.bus import Bus
from contracts.keys import EVERYDAY
from contracts.requests import RequestRefusedError
from gateway_http.access import Caller, caller_of, creates
from gateway_http.problems import Problem, unavailable

READS = {"GET", "HEAD", "OPTIONS"}
MAKES = {creates("video"), creates("image")}
LONGEST = 200
log = logging.getLogger("http")


class Audit:
    """A dependency of every route."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def __call__(
        self, request: Request, response: Response
    ) -> AsyncIterator[None]:
        """Tell it before, and what came of it after, where an operator acts."""
        route = request.scope["route"]
        caller = caller_of(request)
        if not is_deed(route, request.method, caller):
            yield
            return
        deed = request.scope["request_id"]
        await self._ask(deed, route, request, caller)
        try:
            yield
        except Exception as error:
            await self._answer(deed, _status_of(error), request)
            raise
        status = response.status_code or route.status_code or 200
        await self._answer(deed, status, request)

    async def _ask(
        self, deed: str, route: APIRoute, request: Request, caller: Caller
    ) -> None:
        asked = DeedAsked(
            deed=deed,
            actor=caller.owner or caller.name,
            name=caller.name,
            action=f"{(route.tags or ['other'])[0]}.{route.name}",
            target=" ".join(map(str, request.path_params.values()))[:LONGEST],
            address=request.client.host if request.client else "",
        )
        try:
            await self._bus.emit(asked)
        except (NatsError, TimeoutError):
            text = "NATS does not answer: what is not on record is not done"
            raise unavailable(text) from None

    async def _answer(self, deed: str, status: int, request: Request) -> None:
        target = str(request.scope.get("audit_target", ""))[:LONGEST]
        answered = DeedAnswered(deed=deed, status=status, target=target)
        try:
            await self._bus.emit(answered)
        except (NatsError, TimeoutError) as error:
            log.warning("what came of %s is not on record: %r", deed, error)


def about(request: Request, target: str) -> None:
    """Say what a request was about, where only its answer tells."""
    request.scope["audit_target"] = target


def is_deed(route: APIRoute, method: str, caller: Caller) -> bool:
    """Whether this is an operator's: on what is nobody's own, or may be another's."""
    if method in READS or not caller.known:
        return False
    needed = set(_scopes(route.dependant))
    return not needed & set(EVERYDAY) or (caller.sees_all and not needed & MAKES)


def _scopes(dependant: Dependant) -> Iterator[Any]:
    yield from getattr(dependant.call, "scopes", ())
    for each in dependant.dependencies:
        yield from _scopes(each)


def _status_of(error: Exception) -> int:
    match error:
        case Problem():
            return error.status
        case HTTPException():
            return error.status_code
        case RequestRefusedError():
            return error.refusal.status
        case RequestValidationError():
            return 422
        case NatsError():
            return 503
    return 500
