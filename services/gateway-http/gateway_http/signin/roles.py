"""Which role somebody has: their groups, as an issuer tells them, by OIDC_ROLE_MAP."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from gateway_http.access import Role

EVERYBODY = "*"
RANKED: tuple[Role, ...] = ("admin", "operator", "viewer")
HOW = "write it as group=role, with commas between, the roles being " + ", ".join(
    get_args(Role)
)


def read_map(text: str) -> dict[str, Role]:
    """Read `video-admins=admin,video-team=operator,*=viewer`. Raises ValueError."""
    found: dict[str, Role] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        group, _, word = part.rpartition("=")
        role = next((each for each in RANKED if each == word.strip()), None)
        if not group.strip() or role is None:
            raise ValueError(f"{part[:100]!r} is no group with a role: {HOW}")
        found[group.strip()] = role
    return found


def groups_of(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return the groups under a claim; `realm_access.roles` is one inside another."""
    found: Any = claims.get(name)
    if found is None:
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [found]
    if not isinstance(found, Sequence):
        return []
    return [each for each in found if isinstance(each, str)]


def role_of(groups: Sequence[str], roles: Mapping[str, Role]) -> Role | None:
    """Return the highest role that one of the groups gives; None: none of them."""
    given = {roles.get(group) for group in (*groups, EVERYBODY)}
    return next((role for role in RANKED if role in given), None)
