"""The provider people sign in with: OpenID Connect, by code and PKCE.

Where it is asked it tells itself (discovery). What comes back through the browser is a
stranger's word until the provider itself, asked directly, has given a token for it.
"""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote_plus, urlencode, urlsplit

from gateway_http.signin.badges import Trip
from gateway_http.signin.discovery import Discovery
from gateway_http.signin.keysets import PublishedKeys
from gateway_http.signin.roles import groups_of
from gateway_http.signin.settings import SignInSettings
from gateway_http.signin.tokens import ASYMMETRIC, Claims, NotValidError, Verifier
from gateway_http.signin.web import AwayError, DeclinedError, Document, ask, shown


class RefusedError(Exception):
    """A sign-in that is not believed; the text is a short name of the reason."""


class DeniedError(RefusedError):
    """The provider, or the person there, said no."""


@dataclass(frozen=True)
class SignedIn:
    """Who came back from the provider."""

    claims: Claims
    id_token: str


class Provider:
    """One provider, and what we are to it."""

    def __init__(
        self,
        settings: SignInSettings,
        public_url: str,
        pause_seconds: float,
    ) -> None:
        self._settings = settings
        self._redirect_uri = f"{public_url}/auth/callback"
        self._goodbye_uri = f"{public_url}/auth/login?out=1"
        self._discovery = Discovery(settings.oidc_issuer_url)
        self._verifier = Verifier(
            settings.oidc_issuer_url,
            settings.oidc_client_id,
            ASYMMETRIC,
            PublishedKeys(self._keys_are_at, pause_seconds),
        )

    @property
    def name(self) -> str:
        """What people know it by."""
        return urlsplit(self._settings.oidc_issuer_url).netloc

    async def address_for(self, trip: Trip) -> str:
        """Return where the browser is sent to. Raises AwayError."""
        places = await self._discovery.places()
        proof = sha256(trip.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._settings.oidc_scopes,
            "state": trip.state,
            "nonce": trip.nonce,
            "code_challenge": base64.urlsafe_b64encode(proof).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return _with(places.authorization_endpoint, asked)

    async def check_answer(self, trip: Trip | None, told: Mapping[str, str]) -> Trip:
        """Return the trip that an answer belongs to. Raises RefusedError, AwayError.

        It must come to the browser that was sent (state), from the provider that it
        was sent to (iss, RFC 9207).
        """
        if trip is None:
            raise RefusedError("no trip")
        if not hmac.compare_digest(told.get("state", "").encode(), trip.state.encode()):
            raise RefusedError("wrong state")
        places = await self._discovery.places()
        iss = told.get("iss")
        if iss is None and places.authorization_response_iss_parameter_supported:
            raise RefusedError("missing iss parameter")
        if iss not in {None, places.issuer}:
            raise RefusedError("wrong iss parameter")
        if "error" in told:
            raise DeniedError(shown(told["error"]))
        if not told.get("code"):
            raise RefusedError("missing code")
        return trip

    async def finish(self, trip: Trip, code: str) -> SignedIn:
        """Exchange a code for who it is. Raises RefusedError, AwayError."""
        given = await self._exchange(trip, code)
        id_token, access = given.get("id_token"), given.get("access_token")
        if not isinstance(id_token, str):
            raise RefusedError("missing id token")
        try:
            claims = await self._verifier.claims(id_token, nonce=trip.nonce)
        except NotValidError as error:
            raise RefusedError(str(error)) from None
        self._check_party(claims)
        if isinstance(access, str):
            claims = await self._completed(claims, access)
        return SignedIn(claims, id_token)

    async def farewell(self, id_token: str | None) -> str | None:
        """Return where a browser signs out of the provider too; None: nowhere."""
        try:
            places = await self._discovery.places()
        except AwayError:
            return None
        if not places.end_session_endpoint:
            return None
        asked = {
            "client_id": self._settings.oidc_client_id,
            "post_logout_redirect_uri": self._goodbye_uri,
        }
        hint = {"id_token_hint": id_token} if id_token else {}
        return _with(places.end_session_endpoint, asked | hint)

    def farewell_origin(self) -> str:
        """Return where a sign-out may lead to, as far as it is known."""
        known = self._discovery.known
        end = urlsplit(known.end_session_endpoint if known else "")
        return f"{end.scheme}://{end.netloc}" if end.netloc else ""

    async def _exchange(self, trip: Trip, code: str) -> Document:
        places = await self._discovery.places()
        who = self._settings.oidc_client_id
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": trip.verifier,
        }
        secret = self._settings.oidc_client_secret
        basic = None
        if secret is None:
            form["client_id"] = who
        elif "client_secret_basic" in places.token_endpoint_auth_methods_supported:
            # Each is encoded as in a form first (RFC 6749 §2.3.1).
            basic = quote_plus(who), quote_plus(secret.get_secret_value())
        else:
            form |= {"client_id": who, "client_secret": secret.get_secret_value()}
        try:
            return await ask(places.token_endpoint, form, basic=basic)
        except DeclinedError as error:
            raise RefusedError(f"code declined: {error}") from None

    def _check_party(self, claims: Claims) -> None:
        """Refuse a token that was made for another client as well, and for its use."""
        party, several = (
            claims.get("azp"),
            claims["aud"]
            not in (
                self._settings.oidc_client_id,
                [self._settings.oidc_client_id],
            ),
        )
        if (several or party is not None) and party != self._settings.oidc_client_id:
            raise RefusedError("wrong azp")

    async def _completed(self, claims: Claims, access: str) -> Claims:
        """Add what the provider tells beside the token, where it has no groups."""
        places = await self._discovery.places()
        there = groups_of(claims, self._settings.oidc_groups_claim)
        if there or not places.userinfo_endpoint:
            return claims
        try:
            more = await ask(places.userinfo_endpoint, bearer=access)
        except DeclinedError as error:
            raise RefusedError(f"userinfo declined: {error}") from None
        if more.get("sub") != claims["sub"]:
            raise RefusedError("wrong sub of userinfo")
        return {**more, **claims}

    async def _keys_are_at(self) -> str:
        return (await self._discovery.places()).jwks_uri


def _with(url: str, asked: Mapping[str, str]) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(asked)}"
