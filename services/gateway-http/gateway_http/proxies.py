"""Whose address a request comes from, where proxies of ours stand in between."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.requests import HTTPConnection
from starlette.types import Scope

Network = IPv4Network | IPv6Network
HEADER = "x-forwarded-for"
_WHOSE_V6 = 64  # what one subscriber has; each address of it would be a fresh one


def read_networks(entries: Sequence[str]) -> tuple[Network, ...]:
    """Read addresses and networks. Raises ValueError."""
    return tuple(ip_network(entry.strip(), strict=False) for entry in entries)


class Proxies:
    """The proxies whose X-Forwarded-For is believed; nobody else's is."""

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self._networks = networks

    def seen_through(self, scope: Scope) -> Scope:
        """Return a request with the client that is behind the proxies."""
        if not self._networks:
            return scope
        return {**scope, "client": (self._client(HTTPConnection(scope)), 0)}

    def _client(self, asking: HTTPConnection) -> str:
        """Return the nearest address that is no proxy of ours."""
        nearest = asking.client.host if asking.client else ""
        told = ",".join(asking.headers.getlist(HEADER)).split(",")
        for hop in reversed(told):
            if not self._is_ours(nearest) or not _is_address(hop.strip()):
                break
            nearest = hop.strip()
        return nearest

    def _is_ours(self, address: str) -> bool:
        if not _is_address(address):
            return False
        found = ip_address(address)
        return any(found in network for network in self._networks)


def household(asking: HTTPConnection) -> str:
    """Return what is counted as one caller: an address, or an IPv6 /64."""
    client = asking.client.host if asking.client else ""
    if ":" not in client or not _is_address(client):
        return client
    return str(ip_network((client, _WHOSE_V6), strict=False))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
