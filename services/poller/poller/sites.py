"""The clients of the site: one for each credential in use, kept open between polls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self

import jimeng
from contracts.workers import Credential

MOST_OPEN = 1024  # a client holds a connection or two; the oldest are closed beyond
IDLE_SECONDS = 300.0  # ten polls at the site's usual advice


@dataclass
class _Held:
    site: jimeng.Jimeng
    users: int = 0
    used_at: float = 0


class Sites:
    """Lends clients. Setting up a connection costs more than a poll does."""

    def __init__(
        self,
        upstream: jimeng.Upstream,
        *,
        most: int = MOST_OPEN,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._upstream = upstream
        self._most = most
        self._idle_seconds = idle_seconds
        self._held: dict[Credential, _Held] = {}  # the least recently used first

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._held:
            await self._held.popitem()[1].site.aclose()

    @asynccontextmanager
    async def at(self, credential: Credential) -> AsyncIterator[jimeng.Jimeng]:
        """Lend the client of a credential. Raises jimeng.InvalidAccount."""
        held = self._held.pop(credential, None) or _Held(self._client(credential))
        self._held[credential] = held
        held.users += 1
        try:
            yield held.site
        finally:
            held.users -= 1
            held.used_at = monotonic()
            await self._tidy()

    def _client(self, credential: Credential) -> jimeng.Jimeng:
        account = jimeng.Account(
            sessionid=credential.sessionid,
            region=credential.region,  # type: ignore[arg-type]  # Account checks it
            web_id=credential.web_id,
            user_id=credential.user_id,
            proxy=credential.proxy,
        )
        return jimeng.Jimeng(account, self._upstream)

    async def _tidy(self) -> None:
        idle_since = monotonic() - self._idle_seconds
        unused = [c for c, held in self._held.items() if not held.users]
        surplus = len(self._held) - self._most
        for place, credential in enumerate(unused):
            if place < surplus or self._held[credential].used_at < idle_since:
                await self._held.pop(credential).site.aclose()
