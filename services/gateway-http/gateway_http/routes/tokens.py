"""`/token/check` and `/token/points`: the pool's accounts in the family's words."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, SecretStr

from contracts.pool import ListSessions, Session, TestSession
from contracts.sessions import Credits
from gateway_http.access import needs
from gateway_http.checks import checks, outcome
from gateway_http.family.route import FamilyError, FamilyRoute
from gateway_http.fields import Text
from gateway_http.parts import Parts
from gateway_http.problems import invalid_field
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


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(
        prefix="/token",
        tags=["compatibility"],
        route_class=FamilyRoute,
        dependencies=[needs("admin")],
    )

    @routes.post("/check", responses={200: {"model": Live | FamilyError}})
    async def check(body: Token) -> Live:
        """Ask the site whether an account of the pool is signed in.

        One that is not in the pool is not asked for: it is refused.
        """
        session = _named(await _pool(parts), body.token.get_secret_value())
        async with checks(parts.bus) as found:
            asked = await parts.bus.ask(TestSession(id=session.id))
            told = await outcome(parts, asked, found)
        return Live(live=told.ok)

    @routes.post("/points")
    async def points() -> list[PointsOf]:
        """Tell what each account of the pool may still spend, as last checked."""
        return [
            PointsOf(token=each.masked, points=_points(each.credits))
            for each in await _pool(parts)
            if each.credits
        ]

    return routes


async def _pool(parts: Parts) -> tuple[Session, ...]:
    return (await parts.bus.ask(ListSessions())).sessions


def _named(pool: tuple[Session, ...], token: str) -> Session:
    """Return the account that a token names. Raises Problem."""
    try:
        account = Account.parse(token)
    except InvalidAccount as error:
        raise invalid_field("token", str(error)) from None
    secret = account.sessionid.get_secret_value()
    ends = secret[:ENDS], secret[-ENDS:]
    for session in pool:
        shown = session.masked[:ENDS], session.masked[-ENDS:]
        if session.id == token or (shown == ends and session.region == account.region):
            return session
    raise invalid_field("token", "is of no account in the pool: add it first")


def _points(credits_: Credits) -> Points:
    return Points(
        giftCredit=credits_.gift,
        purchaseCredit=credits_.purchase,
        vipCredit=credits_.vip,
        totalCredit=credits_.total,
    )
