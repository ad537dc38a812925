"""Is a token what it says? Algorithms pinned, claims required, one reason for each no.

Nothing of a token is believed before its signature: its header only says which of the
keys that we hold is meant (RFC 8725).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from joserfc import jws, jwt
from joserfc.errors import (
    BadSignatureError,
    ClaimError,
    ExpiredTokenError,
    JoseError,
    MissingClaimError,
    UnsupportedAlgorithmError,
)
from joserfc.jwk import Key

ASYMMETRIC = frozenset(
    {
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "Ed25519"),
    }
)
SYMMETRIC = frozenset({"HS256"})
LEEWAY_SECONDS = 60
REQUIRED = ("iss", "sub", "aud", "exp", "iat")
# What a token that lets somebody in may call itself; a logout token is none.
_TYPES = {"", "jwt", "at+jwt", "application/at+jwt"}

Claims = dict[str, Any]


class NotValidError(Exception):
    """A token of no use; the text is a short name of the reason, for the log."""


class Keys(Protocol):
    """Where the keys are that a token may be signed with."""

    async def find(self, kid: str | None) -> Key:
        """Return the key of a name. Raises NotValidError."""
        ...


class _Roomy(jws.JWSRegistry):
    max_header_length = 8192  # some put certificates there


@dataclass(frozen=True)
class Verifier:
    """Takes the tokens of one issuer for one audience."""

    issuer: str
    audience: str
    algorithms: frozenset[str]
    keys: Keys
    clock: Callable[[], float] = time.time

    async def claims(self, token: str, **wanted: str) -> Claims:
        """Return what a token says, with these claims as well. Raises NotValidError."""
        try:
            # What a header may hold beside what we read is the issuer's business.
            registry = _Roomy(algorithms=self.algorithms, strict_check_header=False)
            found = jws.extract_compact(token.encode(), registry=registry)
            key = await self.keys.find(self._kid(found.headers()))
            said = jwt.decode(token, key, registry=registry).claims
            self._rules(wanted).validate(said)
        except (JoseError, ValueError) as error:
            raise NotValidError(_reason(error)) from None
        return said

    def _kid(self, header: Mapping[str, Any]) -> str | None:
        """Return which key is meant, once the rest of the header is one of ours."""
        if header.get("alg") not in self.algorithms:
            raise NotValidError("wrong alg")
        if str(header.get("typ", "")).lower() not in _TYPES:
            raise NotValidError("wrong typ")
        kid = header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise NotValidError("wrong kid")
        return kid

    def _rules(self, wanted: Mapping[str, str]) -> jwt.JWTClaimsRegistry:
        known = {"iss": self.issuer, "aud": self.audience, **wanted}
        rules: dict[str, Any] = {name: {"essential": True} for name in REQUIRED}
        for name, value in known.items():
            rules[name] = {"essential": True, "value": value}
        return jwt.JWTClaimsRegistry(int(self.clock()), LEEWAY_SECONDS, **rules)


def _reason(error: Exception) -> str:
    match error:
        case ExpiredTokenError():
            return "expired"
        case MissingClaimError():
            return f"missing {error.claim}"
        case ClaimError():
            return f"wrong {error.claim}"
        case UnsupportedAlgorithmError():
            return "wrong alg"
        case BadSignatureError():
            return "wrong signature"
        case JoseError():
            return error.error.replace("_", " ")
    return "unreadable"
