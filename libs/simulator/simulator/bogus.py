"""The a_bogus of the simulated page, and the cookies and keys it hangs on.

The real page's SDK computes it in code nobody outside can check; this one is a keyed
hash that the server can. The page is issued with an id and a key, made for the
`sessionid` and `ttwid` cookies it was loaded with; the value binds them to the query
and the body.
"""

import hashlib
import hmac
import re
import secrets
from urllib.parse import parse_qsl

from starlette.requests import Request

from simulator.errors import RefusedError
from simulator.world import World

TOKEN_LENGTH = 184
"""Characters of msToken, as sent by the page since 2026."""

_A_BOGUS = re.compile(
    r"(?P<page>(?P<nonce>[0-9a-f]{32})(?P<issued>[0-9a-f]{8}))"
    r"(?P<mark>[0-9a-f]{88})(?P<hash>[0-9a-f]{64})"
)
"""192 characters: the page's id, a counter with random digits, a keyed hash."""


def issue(world: World, session: str, ttwid: str) -> tuple[str, str]:
    """The id and the key of a page loaded with these cookies."""
    page = f"{secrets.token_hex(16)}{int(world.now()):08x}"
    return page, _key(world, page, session, ttwid)


def check(world: World, request: Request, body: bytes) -> None:
    """Refuse (1019) a value that this page did not make for this very request, once."""
    query = request.scope["query_string"].decode()
    found = _A_BOGUS.fullmatch(request.query_params.get("a_bogus", ""))
    token = request.query_params.get("msToken", "")
    if not found or len(token) != TOKEN_LENGTH:
        raise RefusedError("1019")
    if world.now() - int(found["issued"], 16) > world.knobs.nonce_seconds:
        raise RefusedError("1019", "shark not pass: the page is too old")
    cookies = request.cookies
    session, ttwid = cookies.get("sessionid", ""), cookies.get("ttwid", "")
    key = _key(world, found["page"], session, ttwid)
    expected = keyed_hash(key, query, body, found["mark"])
    if not hmac.compare_digest(expected, found["hash"]):
        raise RefusedError("1019", "shark not pass: not what the page would make")
    if not world.store.add("a_bogus", found["mark"] + found["nonce"]):
        raise RefusedError("1019", "shark not pass: used before")


def keyed_hash(key: str, query: str, body: bytes, mark: str) -> str:
    """HMAC-SHA256 over the sorted query without a_bogus, the body's hash, the mark."""
    pairs = parse_qsl(query, keep_blank_values=True)
    lines = sorted(f"{name}={value}" for name, value in pairs if name != "a_bogus")
    text = "\n".join(("&".join(lines), hashlib.sha256(body).hexdigest(), mark))
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _key(world: World, page: str, session: str, ttwid: str) -> str:
    return world.sign("page", page, session, ttwid)
