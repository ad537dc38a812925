"""`/auth/*`: people sign in with the provider or a key, and a browser remembers it."""

import logging
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from gateway_http.access import ADMIN, Caller, Known, Role, Scope
from gateway_http.document.headers import named
from gateway_http.identity import bearer, unknown
from gateway_http.parts import Answers, Parts, problems
from gateway_http.problems import Problem
from gateway_http.proxies import household
from gateway_http.signin.badges import Badge, Trip, is_meant
from gateway_http.signin.desk import Desk, NoRoleError, not_meant
from gateway_http.signin.forms import KeySignIn, SignOut, from_page, sent, told_body
from gateway_http.signin.goal import local
from gateway_http.signin.page import Told, sign_in_page, signed_in_page
from gateway_http.signin.provider import DeniedError, Provider, RefusedError
from gateway_http.signin.web import AwayError
from gateway_http.signin.words import WORDS

NO_SIGN_IN = "there is no sign-in here: set AUTH_ENABLED=true to have one"
NO_PROVIDER = (
    "people sign in with an API key here: set OIDC_ISSUER_URL, OIDC_CLIENT_ID and "
    "OIDC_ROLE_MAP to let them sign in with a provider"
)
SEE_OTHER = 303
log = logging.getLogger("sign-in")


class Visitor(BaseModel):
    """Who asks, and what they may."""

    name: str
    owner: str | None = Field(description="Whose the tasks are that they make.")
    role: Role | None = Field(description="null: what they may is in `scopes`.")
    scopes: list[Scope]
    sees_all: bool = Field(description="Do they see everybody's tasks?")
    signed_in_until: datetime | None = Field(description="null: not by a cookie.")
    csrf: str | None = Field(
        description="For the header X-CSRF-Token, where a change has no Origin."
    )


class SignedOut(BaseModel):
    """It is done."""

    ok: bool = True
    provider: str | None = Field(
        None, description="Where to go to sign out of the provider as well."
    )


_ON: Answers = {
    303: {
        "description": "On to the provider, or to `next`.",
        "headers": named("Location"),
    }
}
_PAGE: Answers = {
    200: {
        "description": "The page.",
        "content": {"text/html": {"schema": {"type": "string"}}},
    }
}


def _pages(*statuses: int) -> Answers:
    """Describe noes that a page's form is told on the page itself."""
    page = {"text/html": {"schema": {"type": "string"}}}
    return {s: {"description": "On the page.", "content": page} for s in statuses}


_SIGNED_IN: Answers = {200: {"model": Visitor}}
_SIGNED_OUT: Answers = {200: {"model": SignedOut}}
PAGE = _PAGE | _ON | _pages(400, 403, 429, 503) | problems(404)
BADGE = _SIGNED_IN | _ON | _pages(401, 403, 413, 422, 429, 503) | problems(404, 415)
OUT = _SIGNED_OUT | _ON | problems(404, 415)
Next = Annotated[str | None, Query(description="A path of ours to go on to.")]


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(
        prefix="/auth", tags=["sign-in"], default_response_class=Response
    )

    def desk() -> Desk:
        if parts.desk is None:
            raise Problem(404, "no_sign_in", NO_SIGN_IN)
        return parts.desk

    @routes.get("/login", responses=PAGE)
    async def look(
        request: Request,
        next: Next = None,  # noqa: A002 - what everybody calls it
        via: Literal["provider"] | None = None,
        *,
        out: bool = False,
    ) -> Response:
        """Show the page people sign in at; `via=provider` goes to the provider."""
        if via:
            return await _begun(desk(), request, local(next))
        return await _shown(desk(), request, next, Told("signed_out") if out else None)

    @routes.post(
        "/login", responses=BADGE, openapi_extra=told_body(KeySignIn, required=True)
    )
    async def by_key(request: Request) -> Response:
        """Sign in with a key: the browser is given a cookie."""
        return await _by_key(desk(), request)

    @routes.get("/callback", responses=PAGE)
    async def back(request: Request) -> Response:
        """Take what the provider answers, through the browser."""
        return await _back(desk(), request)

    @routes.get("/me", responses=problems(404), response_class=JSONResponse)
    async def me(request: Request, caller: Known) -> Visitor:
        """Tell who asks."""
        worn = None if bearer(request) else desk().cookies.read(Badge, request)
        return _me(caller, worn)

    @routes.post(
        "/logout", responses=OUT, openapi_extra=told_body(SignOut, required=False)
    )
    async def leave(request: Request) -> Response:
        """Sign out: here, or with `everywhere` of every browser."""
        return await _left(desk(), request)

    return routes


async def _shown(
    desk: Desk, request: Request, goal: str | None, told: Told | None = None
) -> Response:
    try:
        badge = None if told else await desk.badge(request)
    except Problem as problem:  # nobody knows now
        badge, told = None, _told(problem)
    if badge:
        end = desk.provider.farewell_origin() if desk.provider else ""
        return signed_in_page(request, badge, end)
    name = desk.provider.name if desk.provider else None
    return sign_in_page(request, name, goal, told)


async def _begun(desk: Desk, request: Request, goal: str) -> Response:
    trip = Trip.new(desk.clock(), goal)
    try:
        where = await _provider(desk).address_for(trip)
    except AwayError as error:
        log.warning("the provider cannot be asked: %s", error)
        return await _shown(desk, request, goal, Told("away", 503))
    response = RedirectResponse(where, SEE_OTHER)
    desk.cookies.give(response, trip)
    return response


async def _by_key(desk: Desk, request: Request) -> Response:
    goal = None
    try:
        wish = await sent(request, KeySignIn)
        goal = wish.next
        badge = await _badge_of_key(desk, request, wish.key)
    except (Problem, RequestValidationError) as error:
        if not from_page(request):
            raise
        return await _shown(desk, request, goal, _told(error))
    if from_page(request):
        response: Response = RedirectResponse(local(goal), SEE_OTHER)
    else:
        told = _me(await desk.wearer(badge), badge)
        response = JSONResponse(told.model_dump(mode="json"))
    return await _given(desk, request, response, badge)


async def _badge_of_key(desk: Desk, request: Request, key: str) -> Badge:
    who = household(request)
    await desk.memory.may_try(who)
    if badge := await desk.by_key(key):
        return badge
    log.warning("a sign-in was refused: unknown key, from %s", who)
    await desk.memory.failed(who)
    raise unknown(WORDS["en"]["wrong_key"])


async def _back(desk: Desk, request: Request) -> Response:
    """Answer with what the trip was for, or with one sentence; the log says why."""
    provider, trip = _provider(desk), desk.cookies.read(Trip, request)
    who = household(request)
    try:
        await desk.memory.may_try(who)
        found = await provider.check_answer(trip, dict(request.query_params))
        badge = await desk.by_provider(provider, found, request.query_params["code"])
    except RefusedError as error:
        log.warning("a sign-in was refused: %s, from %s", error, who)
        if trip:  # else any page could make a browser fail here, and have it wait
            await desk.memory.failed(who)
        response = await _shown(desk, request, None, _refusal(error))
    except AwayError as error:
        log.warning("the provider cannot be asked: %s", error)
        response = await _shown(desk, request, None, Told("away", 503))
    except Problem as problem:
        response = await _shown(desk, request, None, _told(problem))
    else:
        log.info("%s signed in as %s", badge.owner, badge.role)
        response = RedirectResponse(found.goal, SEE_OTHER)
        await _given(desk, request, response, badge)
    desk.cookies.take_back(response, Trip)
    return response


async def _left(desk: Desk, request: Request) -> Response:
    wish = await sent(request, SignOut)
    badge, end = await desk.badge(request), None
    if badge:
        if not is_meant(request, badge):
            raise not_meant()
        end = await desk.end(badge, everywhere=wish.everywhere)
    if from_page(request):
        response: Response = RedirectResponse(end or "/auth/login?out=1", SEE_OTHER)
    else:
        response = JSONResponse(SignedOut(provider=end).model_dump())
    desk.cookies.take_back(response, Badge)
    return response


async def _given(
    desk: Desk, request: Request, response: Response, badge: Badge
) -> Response:
    """Give a badge in the place of the one before, which ends."""
    if before := desk.cookies.read(Badge, request):
        await desk.memory.end(before)
    desk.cookies.give(response, badge)
    return response


def _provider(desk: Desk) -> Provider:
    if desk.provider is None:
        raise Problem(404, "no_provider", NO_PROVIDER)
    return desk.provider


def _refusal(error: RefusedError) -> Told:
    if isinstance(error, NoRoleError):
        return Told("no_role", 403)
    return Told("denied" if isinstance(error, DeniedError) else "refused", 400)


def _told(error: Problem | RequestValidationError) -> Told:
    """Return how a no is said on the page."""
    if isinstance(error, RequestValidationError):
        return Told("invalid_request", 422)
    kind = "wrong_key" if error.kind == "unauthorized" else error.kind
    word = kind if kind in WORDS["en"] else "unavailable"
    return Told(word, error.status, error.headers)


def _me(caller: Caller, badge: Badge | None) -> Visitor:
    return Visitor(
        name=caller.name,
        owner=caller.owner,
        role=caller.role or ("admin" if caller.has(ADMIN) else None),
        scopes=sorted(caller.scopes),
        sees_all=caller.sees_all,
        signed_in_until=badge.until if badge else None,
        csrf=badge.csrf if badge else None,
    )
