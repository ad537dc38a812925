"""The keys that tokens are signed with: a shared secret, or published ones (JWKS)."""

import asyncio
import logging
import time
import warnings
from collections.abc import Awaitable, Callable

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from gateway_http.signin.tokens import NotValidError
from gateway_http.signin.web import AwayError, DeclinedError, Document, ask

SHORTEST_RSA = 2048
FRESH_SECONDS = 3600.0  # a key that was withdrawn is believed no longer
RETRY_SECONDS = 5.0  # before there ever was an answer
_KINDS: dict[str, type[RSAKey | ECKey | OKPKey]] = {
    "RSA": RSAKey,
    "EC": ECKey,
    "OKP": OKPKey,
}
log = logging.getLogger("sign-in")


class SharedSecret:
    """One secret, which both sides know; whatever name a token gives it."""

    def __init__(self, secret: str) -> None:
        self._key = OctKey.import_key(secret)

    async def find(self, kid: str | None) -> Key:
        """Return it."""
        del kid
        return self._key


class PublishedKeys:
    """An issuer's keys (JWKS), kept, and fetched again when they are old or one is new.

    While the issuer does not answer, the keys it had go on working.
    """

    def __init__(
        self,
        where: Callable[[], Awaitable[str]],
        pause_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._where = where
        # An unknown name makes us look again, so anybody could.
        self._pause = pause_seconds
        self._clock = clock
        self._keys: list[Key] = []
        self._fetched: float | None = None
        self._tried: float | None = None
        self._one_at_a_time = asyncio.Lock()

    async def find(self, kid: str | None) -> Key:
        """Return the key of a name; without one, the only key there is.

        Raises NotValidError, and AwayError before there ever was an answer.
        """
        if self._since(self._fetched) > FRESH_SECONDS:
            await self._look()
        if found := self._named(kid):
            return found
        await self._look()
        if found := self._named(kid):
            return found
        if self._fetched is None:
            raise AwayError("the issuer's keys are not known yet")
        raise NotValidError("unknown kid" if kid else "missing kid")

    def _named(self, kid: str | None) -> Key | None:
        if kid is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.kid == kid), None)

    def _since(self, moment: float | None) -> float:
        return float("inf") if moment is None else self._clock() - moment

    async def _look(self) -> None:
        """Fetch them, unless that was tried just now."""
        async with self._one_at_a_time:
            pause = RETRY_SECONDS if self._fetched is None else self._pause
            if self._since(self._tried) < pause:
                return
            self._tried = self._clock()
            try:
                self._keys = usable(await ask(await self._where()))
                self._fetched = self._clock()
            except (AwayError, DeclinedError) as error:
                log.warning("the issuer's keys cannot be fetched: %s", error)


def usable(document: Document) -> list[Key]:
    """Return the keys of a JWKS that may verify: asymmetric, and strong enough."""
    listed = document.get("keys")
    found = [_imported(each) for each in listed] if isinstance(listed, list) else []
    return [key for key in found if key]


def _imported(given: object) -> Key | None:
    """Read a key; None for one of no use, which must not spoil the others."""
    if not isinstance(given, dict) or given.get("use", "sig") != "sig":
        return None
    kind = _KINDS.get(str(given.get("kty")))
    if kind is None or "d" in given:  # nobody publishes a private key on purpose
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # of what is refused below
            key = kind.import_key(given)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    weak = kind is RSAKey and key.raw_value.key_size < SHORTEST_RSA  # type: ignore[union-attr]
    return None if weak else key
