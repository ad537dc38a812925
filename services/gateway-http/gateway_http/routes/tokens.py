"""`/token/check` and `/token/points`: the pool's accounts in the family's words."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, SecretStr

from contracts.pool import ListSessions, Session, TestSession
from contracts.sessions import Credits
from gateway_http.access import Caller, may_or_lends
from gateway_http.checks import checks, outcome
from gateway_http.family.route import FamilyRoute
from gateway_http.fields import Text
from gateway_http.identity import bearer
from gateway_http.lending import REFUSED, lent, tokens_of
from gateway_http.parts import Parts
from gateway_http.problems import Problem, invalid_field
from jimeng import Account, InvalidAccount

ENDS = 4
"""How many characters of either end of a credential are shown."""


class Token(BaseModel):
    """An account of the pool: by its token, or by its id here."""

    token: Annotated[SecretStr, Field(min_length=1, max_length=1024)]


class Live(BaseModel):
    """Whether the site lets it in."""

    live: bool


class Points(BaseModel):
    """What an account may still spend."""

    giftCredit: int  # noqa: N815 - as the family writes it
    purchaseCredit: int  # noqa: N815
    vipCredit: int  # noqa: N815
    totalCredit: int  # noqa: N815


class PointsOf(BaseModel):
    """An account's points; `token` is masked."""

    token: Text
    points: Points


OfTokens = Annotated[Caller, Depends(may_or_lends("admin"))]


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(
        prefix="/token",
        tags=["compatibility"],
        route_class=FamilyRoute,
    )

    @routes.post("/check")
    async def check(caller: OfTokens, body: Token) -> Live:
        """Ask the site whether an account of the pool is signed in.

        One that is not in the pool is asked for where COMPAT_BEARER_SESSIONS lets it.
        """
        pool = () if caller.lends else await _pool(parts)
        if session := _named(pool, body.token):
            return Live(live=await _is_live(parts, session))
        if not parts.takes_tokens:
            raise invalid_field("token", "is of no account in the pool: add it first")
        return Live(live=await _is_lendable(parts, body.token))

    @routes.post("/points")
    async def points(request: Request, caller: OfTokens) -> list[PointsOf]:
        """Tell what accounts may still spend: the pool's, or those of the bearer."""
        if caller.lends is None:
            return [_points_of(s.masked, s) for s in await _pool(parts) if s.credits]
        tokens = tokens_of(bearer(request))
        found = [(each, await lent(parts, SecretStr(each))) for each in tokens]
        return [_points_of(f"{t[:ENDS]}…{t[-ENDS:]}", session) for t, session in found]

    return routes


async def _is_live(parts: Parts, session: Session) -> bool:
    async with checks(parts.bus) as found:
        asked = await parts.bus.ask(TestSession(id=session.id))
        return (await outcome(parts, asked, found)).ok


async def _is_lendable(parts: Parts, token: SecretStr) -> bool:
    if len(tokens_of(token.get_secret_value())) != 1:
        raise invalid_field("token", "is no session token: of a proxy, say, or several")
    try:
        await lent(parts, token)
    except Problem as problem:
        if problem.kind == REFUSED:
            return False
        raise
    return True


async def _pool(parts: Parts) -> tuple[Session, ...]:
    return (await parts.bus.ask(ListSessions())).sessions


def _named(pool: tuple[Session, ...], token: SecretStr) -> Session | None:
    """Return the account of the pool that a token names. Raises Problem."""
    text = token.get_secret_value()
    try:
        account = Account.parse(text)
    except InvalidAccount as error:
        raise invalid_field("token", str(error)) from None
    secret = account.sessionid.get_secret_value()
    ends = secret[:ENDS], secret[-ENDS:]
    for session in pool:
        shown = session.masked[:ENDS], session.masked[-ENDS:]
        if session.id == text or (shown == ends and session.region == account.region):
            return session
    return None


def _points_of(token: str, session: Session) -> PointsOf:
    left = session.credits or Credits()
    return PointsOf(
        token=token,
        points=Points(
            giftCredit=left.gift,
            purchaseCredit=left.purchase,
            vipCredit=left.vip,
            totalCredit=left.total,
        ),
    )
