"""The sign-in desk: what the routes and each request need to know who somebody is."""

import base64
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from contracts.keys import hash_of
from gateway_http.access import Caller
from gateway_http.identity import Keyring, bearer, unknown
from gateway_http.limits import Clock
from gateway_http.problems import Problem
from gateway_http.signin.badges import CSRF_HEADER, Badge, Cookies, Trip, is_meant
from gateway_http.signin.memory import Memory
from gateway_http.signin.people import Terms, name_of, owner_of, person
from gateway_http.signin.provider import Provider, RefusedError
from runtime.sealing import Ring, SealError

LONGEST_HINT = 6000  # a longer one would not fit into an address


@dataclass(frozen=True)
class Desk:
    """Gives badges to those who show a key or come back from the provider."""

    cookies: Cookies
    memory: Memory
    keyring: Keyring
    provider: Provider | None
    terms: Terms
    ring: Ring
    clock: Clock

    async def badge(self, asking: HTTPConnection) -> Badge | None:
        """Return the badge a browser shows, if it still counts. Raises Problem."""
        badge = self.cookies.read(Badge, asking)
        if badge is None or await self.memory.has_ended(badge):
            return None
        return badge

    async def way(self, asking: HTTPConnection) -> Caller | None:
        """Know who wears a badge; a bearer that is sent as well comes first."""
        if bearer(asking) or (badge := await self.badge(asking)) is None:
            return None
        if not is_meant(asking, badge):
            raise not_meant()
        return await self.wearer(badge)

    async def wearer(self, badge: Badge) -> Caller:
        """Return who somebody is by their badge. Raises Problem."""
        if badge.role:
            return person(badge.name, badge.owner, badge.role)
        if caller := await self.keyring.holder(badge.key_hash):
            return caller
        raise unknown("the key you signed in with is gone: sign in with another")

    async def by_key(self, key: str) -> Badge | None:
        """Return a badge for who has a key; None: there is no such key."""
        hashed = hash_of(key)
        caller = await self.keyring.holder(hashed)
        if caller is None:
            return None
        return Badge.new(self.clock(), by="key", name=caller.name, key_hash=hashed)

    async def by_provider(self, provider: Provider, trip: Trip, code: str) -> Badge:
        """Return a badge for who comes back. Raises RefusedError or AwayError."""
        if not await self.memory.first_use(trip):
            raise RefusedError("repeated")
        found = await provider.finish(trip, code)
        role = self.terms.role(found.claims)
        if role is None:
            raise NoRoleError("no role")
        owner = owner_of(found.claims["iss"], found.claims["sub"])
        who = {"name": name_of(found.claims), "owner": owner, "role": role}
        badge = Badge.new(self.clock(), by="oidc", **who)
        if len(found.id_token) <= LONGEST_HINT:
            sealed = self.ring.seal(found.id_token, badge.id)
            await self.memory.keep(badge, base64.b64encode(sealed).decode())
        return badge

    async def end(self, badge: Badge, *, everywhere: bool = False) -> str | None:
        """End a badge; return where the browser signs out of the provider too."""
        if everywhere:
            await self.memory.end_all(badge)
        await self.memory.end(badge)
        if badge.by != "oidc" or self.provider is None:
            return None
        return await self.provider.farewell(await self._id_token(badge))

    async def _id_token(self, badge: Badge) -> str | None:
        kept = await self.memory.kept(badge)
        try:
            return self.ring.open(base64.b64decode(kept or ""), badge.id)
        except (SealError, ValueError):
            return None


class NoRoleError(RefusedError):
    """Somebody whom the provider vouches for, and who has no role here."""


def not_meant() -> Problem:
    """Refuse what some other page may have made a browser send."""
    text = f"send the header {CSRF_HEADER} with what /auth/me tells as `csrf`"
    return Problem(403, "csrf", text)
