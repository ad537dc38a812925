"""Places that may be spoken to although they are not public: an operator's word.

`10.0.0.5`, `192.168.0.0/16` and `[fd00::1]` are addresses, whatever name leads there;
`hooks.lan` is a name, wherever it leads. With a port, `127.0.0.1:9000`, it is that one;
without, it is any.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Self

from fetch.addresses import unwrapped

_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class _Place:
    name: str = ""
    network: IPv4Network | IPv6Network | None = None
    port: int | None = None

    def has(self, host: str, port: int) -> bool:
        """Whether a host as a URL has it, name or address, is of it."""
        return self.port in {None, port} and (
            host == self.name or self._holds(host) is True
        )

    def reaches(self, host: str, address: str, port: int) -> bool:
        """Whether a name may lead to an address."""
        return self.has(host, port) or self.has(address, port)

    def _holds(self, address: str) -> bool:
        if self.network is None:
            return False
        try:
            found = unwrapped(address)
        except ValueError:
            return False
        return found.version == self.network.version and found in self.network


@dataclass(frozen=True)
class Allowed:
    """What an operator allows; nothing, where nothing was said."""

    places: tuple[_Place, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Read places. Raises ValueError for one that is none."""
        return cls(tuple(_place(text.strip().lower()) for text in texts))

    def has(self, host: str, port: int) -> bool:
        """Whether a URL's host and port are allowed by their own writing."""
        return any(place.has(host, port) for place in self.places)

    def reaches(self, host: str, address: str, port: int) -> bool:
        """Whether a name that leads to an address may be followed there."""
        return any(place.reaches(host, address, port) for place in self.places)


NOTHING = Allowed()


def _place(text: str) -> _Place:
    host, port = _split(text)
    try:
        return _Place(network=ip_network(host, strict=False), port=port)
    except ValueError:
        pass
    if not host or not all(c.isalnum() or c in "-_." for c in host):
        raise ValueError(f"{text!r} is no address, network or host name")
    return _Place(name=host, port=port)


def _split(text: str) -> tuple[str, int | None]:
    """Cut the port off; an IPv6 address with one stands in brackets."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or _is_address(text):
        return text.strip("[]"), None
    if not port.isdecimal() or not 0 < int(port) <= _HIGHEST_PORT:
        raise ValueError(f"{text!r}: the port is not between 1 and 65535")
    return host.strip("[]"), int(port)


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition("/")[0])
    except ValueError:
        return False
    return True
