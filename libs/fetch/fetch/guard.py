"""The one way out: a name is resolved once, and what was checked is dialled.

Nothing is resolved a second time, so an answer that changes in between changes
nothing. TLS still checks the certificate against the name.
"""

import asyncio
import socket
from collections.abc import Iterable
from typing import Any, Protocol

import httpcore

from fetch.addresses import is_public
from fetch.allowed import NOTHING, Allowed
from fetch.errors import ForbiddenURLError, NotFoundError, TroubleError

MOST_ADDRESSES = 4  # tried one after the other, within one time-out
PRIVATE = (
    "leads to an address that is not public, which is not followed: "
    "send the file itself"
)
_UNKNOWN = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


class Network(Protocol):
    """What the guard needs of the network; a test gives another."""

    async def resolve(self, host: str) -> list[str]:
        """Return the addresses of a name. Raises OSError."""
        ...

    async def dial(
        self, address: str, port: int, seconds: float | None
    ) -> httpcore.AsyncNetworkStream:
        """Connect to an address. Raises httpcore.ConnectError or ConnectTimeout."""
        ...


class Internet:
    """The network itself."""

    async def resolve(self, host: str) -> list[str]:
        """Ask the system's resolver."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return [str(each[4][0]) for each in found]

    async def dial(
        self, address: str, port: int, seconds: float | None
    ) -> httpcore.AsyncNetworkStream:
        """Connect to an address, as it is."""
        return await httpcore.AnyIOBackend().connect_tcp(address, port, seconds)


class Guard(httpcore.AsyncNetworkBackend):
    """Connects only to public addresses, to the excepted place, and to what is allowed.

    `private` is what whoever gave a URL that leads elsewhere is told.
    """

    def __init__(
        self,
        network: Network,
        excepted: tuple[str, int] | None = None,
        allowed: Allowed = NOTHING,
        private: str = PRIVATE,
    ) -> None:
        self._network = network
        self._excepted = excepted
        self._allowed = allowed
        self._private = private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check all, dial one. Raises FetchError."""
        del local_address, socket_options
        if (host, port) == self._excepted:
            return await self._network.dial(host, port, timeout)
        addresses = await self._addresses(host)
        if not all(self._may(host, address, port) for address in addresses):
            raise ForbiddenURLError(self._private)
        error: Exception = TroubleError("has no address")
        for address in addresses[:MOST_ADDRESSES]:
            try:
                return await self._network.dial(address, port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error

    def _may(self, host: str, address: str, port: int) -> bool:
        return is_public(address) or self._allowed.reaches(host, address, port)

    async def _addresses(self, host: str) -> list[str]:
        if ":" in host or host.replace(".", "").isdigit():
            return [host]
        try:
            found = await self._network.resolve(host)
        except socket.gaierror as error:
            if error.errno in _UNKNOWN:
                raise NotFoundError("there is no such host: check the URL") from None
            raise TroubleError("its host's address cannot be found now") from None
        except (OSError, UnicodeError):
            raise TroubleError("its host's address cannot be found now") from None
        return list(dict.fromkeys(found))

    async def connect_unix_socket(
        self, *_: Any, **__: Any
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: a URL has no business with one."""
        raise ForbiddenURLError(self._private)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
