"""Which addresses are the public internet's, and not this network's."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

_GLOBAL_V6 = IPv6Network("2000::/3")  # all that is given out for hosts (RFC 4291 §2.4)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: a public IPv4 host, seen from IPv6
# What `is_global` of some Python version, or of every one, lets through.
_NEVER_V4 = (
    IPv4Network("192.0.0.0/24"),  # RFC 6890, also Oracle's metadata at .192
    IPv4Network("192.88.99.0/24"),  # 6to4 relays, RFC 7526
    IPv4Network("168.63.129.16/32"),  # Azure's wire server, reached from inside only
)
_NEVER_V6 = (
    IPv6Network("2001::/23"),  # Teredo (RFC 4380), ORCHID and other protocols
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),  # 6to4 (RFC 3056) holds an IPv4 address of any kind
    IPv6Network("3fff::/20"),  # RFC 9637
)


def is_public(address: str) -> bool:
    """Whether an address, as a resolver gives it, is out in the public internet."""
    try:
        found = unwrapped(address)
    except ValueError:
        return False
    if not found.is_global or found.is_multicast or found.is_reserved:
        return False
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _NEVER_V4)
    return found in _GLOBAL_V6 and not any(found in network for network in _NEVER_V6)


def unwrapped(address: str) -> IPv4Address | IPv6Address:
    """Return the IPv4 address within a mapped or NAT64 one. Raises ValueError."""
    found = ip_address(address)
    if isinstance(found, IPv4Address):
        return found
    if found.scope_id:
        raise ValueError("an address of a link")
    if found in _NAT64:
        return IPv4Address(int(found) & 0xFFFFFFFF)
    return found.ipv4_mapped or found
