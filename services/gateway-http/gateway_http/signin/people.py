"""From what an issuer says of somebody to who they are here."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from contracts.keys import EVERYDAY
from gateway_http.access import ROLES, Caller, Role, Scope
from gateway_http.signin.roles import groups_of, role_of
from gateway_http.signin.tokens import Claims

LONGEST_SUB = 150  # with what stands before it, an owner fits its column
_NAMES = ("name", "preferred_username", "email", "sub")
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Terms:
    """How an issuer's words are taken: where the groups are, and what each may."""

    groups_claim: str
    roles: Mapping[str, Role]

    def role(self, claims: Claims) -> Role | None:
        """Return the role of somebody."""
        return role_of(groups_of(claims, self.groups_claim), self.roles)


def owner_of(issuer: str, sub: str) -> str:
    """Return whose the tasks of a person are: known by `sub`, never by an address."""
    kept = sub if len(sub) <= LONGEST_SUB else sha256(sub.encode()).hexdigest()
    return f"user:{sha256(issuer.encode()).hexdigest()[:16]}:{kept}"


def name_of(claims: Mapping[str, Any]) -> str:
    """Return what a person is called."""
    names = (claims.get(each) for each in _NAMES)
    found = next((n for n in names if isinstance(n, str) and n.strip()), "somebody")
    return "".join(c for c in found if c.isprintable())[:_LONGEST_NAME]


def person(name: str, owner: str, role: Role) -> Caller:
    """Return who somebody with a role is: they see everybody's tasks."""
    return Caller(name, owner, ROLES[role], sees_all=True, role=role)


def holder(claims: Claims, terms: Terms) -> Caller | None:
    """Return who has a bearer token; None: it gives them nothing here.

    Without a role, the scopes that the token names (RFC 9068) hold, for the holder's
    own tasks; `admin` is given by a role alone.
    """
    who = name_of(claims), owner_of(claims["iss"], claims["sub"])
    if role := terms.role(claims):
        return person(*who, role)
    told = claims.get("scope")
    words = told.split() if isinstance(told, str) else []
    scopes: frozenset[Scope] = frozenset(s for s in EVERYDAY if s in words)
    return Caller(*who, scopes=scopes) if scopes else None
