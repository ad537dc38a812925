"""Bearer tokens (JWT) of an issuer that the operator trusts, as a way to be known."""

import logging

from starlette.requests import HTTPConnection

from gateway_http.access import Caller
from gateway_http.identity import Way, bearer, unknown
from gateway_http.problems import Problem, unavailable
from gateway_http.signin.keysets import PublishedKeys, SharedSecret
from gateway_http.signin.people import Terms, holder
from gateway_http.signin.settings import SignInSettings
from gateway_http.signin.tokens import (
    ASYMMETRIC,
    SYMMETRIC,
    Claims,
    NotValidError,
    Verifier,
)
from gateway_http.signin.web import AwayError

DOTS = 2  # a signed token has three parts
log = logging.getLogger("sign-in")


def verifier_of(settings: SignInSettings, pause_seconds: float) -> Verifier:
    """Return what takes the tokens of JWT_ISSUER."""
    about = settings.jwt_issuer, settings.jwt_audience
    if settings.jwt_secret:
        shared = SharedSecret(settings.jwt_secret.get_secret_value())
        return Verifier(*about, SYMMETRIC, shared)

    async def where() -> str:
        return settings.jwt_jwks_url

    return Verifier(*about, ASYMMETRIC, PublishedKeys(where, pause_seconds))


def by_jwt(verifier: Verifier, terms: Terms) -> Way:
    """Know the holder of a token by what its issuer says of them."""

    async def way(asking: HTTPConnection) -> Caller | None:
        token = bearer(asking)
        if token.count(".") != DOTS:
            return None
        claims = await _believed(verifier, token)
        if caller := holder(claims, terms):
            return caller
        text = "this token names neither a group of OIDC_ROLE_MAP nor a scope"
        raise Problem(403, "no_role", text)

    return way


async def _believed(verifier: Verifier, token: str) -> Claims:
    try:
        return await verifier.claims(token)
    except NotValidError as error:
        log.warning("a bearer token was refused: %s", error)
        text = f"this token is not taken ({error}): ask its issuer for another"
        raise unknown(text) from None
    except AwayError:
        text = "the issuer's keys cannot be fetched: the token cannot be checked"
        raise unavailable(text) from None
