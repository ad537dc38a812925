"""Posts to a stranger's URL: guarded, never led elsewhere, and not kept waiting."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import httpcore

from fetch.addresses import is_public, unwrapped
from fetch.allowed import NOTHING, Allowed
from fetch.errors import ForbiddenURLError
from fetch.exchange import Headers, asked, header, pool, told
from fetch.guard import Guard, Internet, Network
from fetch.urls import Target, parse

PRIVATE = (
    "leads to an address that is not public: use a public one, or let the operator "
    "allow this one in WEBHOOK_ALLOW"
)
PORTS = (
    "only port 80 for http and 443 for https are used; the operator may allow others "
    "in WEBHOOK_ALLOW"
)
KEPT_BYTES = 1024  # of an answer's body
BODY_SECONDS = 2.0  # the status is what counts
_OWN = [("User-Agent", "jimeng-gateway"), ("Accept-Encoding", "identity")]
_LOCAL = (".localhost", ".local", ".internal")


@dataclass(frozen=True)
class Answer:
    """What a receiver said; of its body the beginning."""

    status: int
    body: str
    retry_after: str = ""


class Sender:
    """Posts to URLs whose addresses are public, or allowed. No redirect is followed."""

    def __init__(
        self, allowed: Allowed = NOTHING, network: Network | None = None
    ) -> None:
        self._allowed = allowed
        self._guard = Guard(network or Internet(), None, allowed, PRIVATE)

    async def post(
        self, url: str, body: bytes, headers: Headers, *, seconds: float
    ) -> Answer:
        """Post, and return the answer, whatever its status. Raises FetchError.

        It is waited for so long; a body that does not end is left.
        """
        async with (
            told(url, f"did not answer within {seconds:g} s"),
            asyncio.timeout(seconds),
            pool(self._guard) as connections,
            asked(
                connections,
                check(url, self._allowed),
                [*headers, *_OWN, ("Content-Length", str(len(body)))],
                "POST",
                body,
            ) as response,
        ):
            begin = await _begin(response)
            return Answer(response.status, begin, header(response, "retry-after"))


def check(url: str, allowed: Allowed) -> Target:
    """Read a URL that is posted to, without asking anybody where it leads.

    Raises ForbiddenURLError.
    """
    target = parse(url)
    if allowed.has(target.name, target.port):
        return target
    if not target.usual_port:
        raise ForbiddenURLError(PORTS)
    if _is_local(target.name):
        raise ForbiddenURLError(PRIVATE)
    return target


def _is_local(host: str) -> bool:
    """Whether a host is known to be none of the public internet's as it is written."""
    try:
        unwrapped(host)
    except ValueError:
        return f".{host}".endswith(_LOCAL)
    return not is_public(host)


async def _begin(response: httpcore.Response) -> str:
    found = b""
    with suppress(TimeoutError, httpcore.NetworkError, httpcore.ProtocolError):
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in response.aiter_stream():
                found += chunk
                if len(found) >= KEPT_BYTES:
                    break
    return found[:KEPT_BYTES].decode(errors="replace")
