"""Reading a URL so that no two parsers could read it differently.

What is odd is refused instead of understood: a user, a backslash, a blank, a host in
other letters than ASCII, a number written otherwise than as four decimals.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import urljoin

from fetch.errors import ForbiddenURLError

LONGEST_URL = 4096
LONGEST_HOST = 253  # RFC 1035 §2.3.4
_LONGEST_SHOWN = 120
_PORTS = {"http": 80, "https": 443}

# Without ASCII, ignoring case would take the Kelvin sign for a k.
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<authority>[^/?#]*)"
    r"(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
_AUTHORITY = re.compile(
    r"(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII | re.IGNORECASE,
)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Control characters (C0, C1), blanks, halves of characters, and what a browser would
# read as a slash.
_ODD = re.compile(r"[\x00-\x20\x7f-\xa0\\\s\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads: what is dialled, and what is asked for there."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query, percent-encoded, as it travels."""

    @property
    def origin(self) -> str:
        """The scheme, host and port, the port also where it is the usual one."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"{self.origin}{self.path}"

    @property
    def usual_port(self) -> bool:
        """Whether the port is the one its scheme has."""
        return self.port == _PORTS[self.scheme]

    @property
    def name(self) -> str:
        """The host as it is dialled: an IPv6 address without its brackets."""
        return self.host.strip("[]")

    @property
    def authority(self) -> str:
        """The host, and the port where it is not the usual one."""
        return self.host if self.usual_port else f"{self.host}:{self.port}"

    def shown(self) -> str:
        """What a person may see of it: no query."""
        path, _, query = self.path.partition("?")
        cut = path if len(path) <= _LONGEST_SHOWN else f"{path[:_LONGEST_SHOWN]}…"
        return f"{self.scheme}://{self.authority}{cut}{'?…' if query else ''}"

    def joined(self, location: str) -> "Target":
        """Return where a redirect from here leads. Raises ForbiddenURLError."""
        try:
            return parse(urljoin(self.url, location))
        except ValueError:  # urljoin, of a host in half a bracket
            raise ForbiddenURLError("not a URL") from None


def parse(url: str) -> Target:
    """Read an http or https URL. Raises ForbiddenURLError, and asks nobody anything."""
    if len(url) > LONGEST_URL:
        raise ForbiddenURLError(f"a URL is at most {LONGEST_URL} characters")
    if _ODD.search(url):
        raise ForbiddenURLError(
            "a URL has no blanks, backslashes or control characters"
        )
    found = _URL.fullmatch(url)
    if found is None:
        raise ForbiddenURLError("not a URL: it begins with http:// or https://")
    scheme = found["scheme"].lower()
    if scheme not in _PORTS:
        raise ForbiddenURLError("only http:// and https:// URLs are fetched")
    host, port = _place(found["authority"])
    path = _encoded(found["path"] or "/") + _encoded(found["query"] or "")
    return Target(scheme, host, _PORTS[scheme] if port is None else port, path)


def masked(url: str) -> str:
    """Return what a person may see of any text that was given as a URL."""
    try:
        return parse(url).shown()
    except ForbiddenURLError:
        return "the URL"


def _place(authority: str) -> tuple[str, int | None]:
    """Return the host and the port of an authority (RFC 3986 §3.2)."""
    if "@" in authority:
        raise ForbiddenURLError("a URL must not hold a user name or password")
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        text = "the host must be in ASCII letters, a foreign name as xn--…"
        raise ForbiddenURLError(f"not a URL that can be followed: {text}")
    port = None if found["port"] is None else int(found["port"])
    if port is not None and not 0 < port < 65536:  # noqa: PLR2004 - sixteen bits
        raise ForbiddenURLError("the port is not between 1 and 65535")
    return _host(found["host"].lower()), port


def _host(host: str) -> str:
    """Return a host in its one spelling."""
    try:
        if host.startswith("["):
            return f"[{IPv6Address(host[1:-1]).compressed}]"
        *_, last = host.split(".")
        if _NUMBER.fullmatch(last):  # what a resolver would take for an address
            return str(IPv4Address(host))
    except AddressValueError:
        text = "write an address as four decimal numbers, or in brackets"
        raise ForbiddenURLError(text) from None
    if len(host) > LONGEST_HOST or not all(map(_LABEL.fullmatch, host.split("."))):
        raise ForbiddenURLError("the host of the URL is not a name")
    return host


def _encoded(text: str) -> str:
    """Write what is not ASCII as percent-encoded UTF-8 (RFC 3987 §3.1)."""
    return "".join(
        each if each.isascii() else "".join(f"%{byte:02X}" for byte in each.encode())
        for each in text
    )
