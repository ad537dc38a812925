"""Where a provider is asked, as it tells itself (OpenID Connect Discovery 1.0)."""

import asyncio
import time
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway_http.signin.settings import TrustedUrl
from gateway_http.signin.web import AwayError, DeclinedError, ask

FRESH_SECONDS = 3600.0
RETRY_SECONDS = 5.0
WELL_KNOWN = "/.well-known/openid-configuration"


class Places(BaseModel):
    """Where a provider is asked, as its discovery document says."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    authorization_endpoint: TrustedUrl
    token_endpoint: TrustedUrl
    jwks_uri: TrustedUrl
    userinfo_endpoint: TrustedUrl = ""
    end_session_endpoint: TrustedUrl = ""
    authorization_response_iss_parameter_supported: bool = False
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class Discovery:
    """Asks an issuer for its places, once an hour; while it is away, every 5 s."""

    def __init__(
        self, issuer: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._clock = clock
        self.known: Places | None = None
        self._until = float("-inf")
        self._why = ""
        self._one_at_a_time = asyncio.Lock()

    async def places(self) -> Places:
        """Return them. Raises AwayError."""
        async with self._one_at_a_time:
            if self._clock() > self._until:
                await self._look()
        if self.known is None:
            raise AwayError(self._why)
        return self.known

    async def _look(self) -> None:
        try:
            self.known = await self._asked()
            self._until = self._clock() + FRESH_SECONDS
        except AwayError as error:
            self.known, self._why = None, str(error)
            self._until = self._clock() + RETRY_SECONDS

    async def _asked(self) -> Places:
        try:
            places = Places.model_validate(
                await ask(self._issuer.rstrip("/") + WELL_KNOWN)
            )
        except DeclinedError as error:
            raise AwayError(f"discovery declined: {error}") from None
        except ValidationError as error:
            names = ", ".join(str(each["loc"][0]) for each in error.errors())
            raise AwayError(f"its discovery document is of no use: {names}") from None
        if places.issuer != self._issuer:
            raise AwayError(
                f"the provider calls itself {places.issuer[:200]}: "
                f"write OIDC_ISSUER_URL exactly so"
            )
        return places
