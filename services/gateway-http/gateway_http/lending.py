"""Session tokens as bearers, as the Jimeng family takes them: COMPAT_BEARER_SESSIONS.

A token's account is there for the tasks of this one client: sealed like any other, in
no list, used for nothing else, and gone with the last of its tasks. Nothing here keeps
or logs a token.
"""

from datetime import timedelta
from hashlib import sha256
from random import choice

from pydantic import SecretStr
from starlette.requests import HTTPConnection

from contracts.keys import MARK
from contracts.pool import AddSession, ReadSession, Session
from contracts.requests import RequestRefusedError
from contracts.values import LENT
from gateway_http.access import KEY_HEADER, Caller, Scope
from gateway_http.checks import checks, outcome
from gateway_http.identity import Way, bearer
from gateway_http.parts import Parts
from gateway_http.problems import Problem, refused
from jimeng import Account, InvalidAccount

PATHS = (
    "/v1/videos/generations",
    "/v1/video/generations",
    "/v1/images/",
    "/v1/chat/completions",
    "/token/",
)
"""Where that family has routes; tokens are taken nowhere else."""
LENT_FOR = timedelta(days=1)
"""How long a task may take on an account that may go away at any time."""
REFUSED = "token_refused"
MOST_TOKENS = 20
SHORTEST = 16  # what is shorter is no session id, but a word in its place
_MAY: frozenset[Scope] = frozenset({"video:create", "image:create"})


def by_session_tokens() -> Way:
    """Know callers by the tokens they bring; one of several is taken at random."""

    async def way(asking: HTTPConnection) -> Caller | None:
        path = asking.scope["path"]
        tokens = tokens_of(bearer(asking)) if path.startswith(PATHS) else []
        if not tokens:
            return None
        token = _one(tokens, asking.headers.get(KEY_HEADER))
        # Known again by a hash, so that only who sent a request may repeat it.
        owner = f"token:{_hash(token).hex()}"
        return Caller("a token", owner, _MAY, lends=SecretStr(token))

    return way


def _one(tokens: list[str], key: str | None) -> str:
    """Choose a token; for a request that is sent again the same one."""
    if key is None:
        return choice(tokens)  # noqa: S311 - which of them is no secret
    return tokens[_hash(key)[0] % len(tokens)]


def _hash(text: str) -> bytes:
    return sha256(text.encode()).digest()


def tokens_of(text: str) -> list[str]:
    """Return the tokens of a bearer; none where it is anything else."""
    tokens = [each.strip() for each in text.split(",")]
    if len(tokens) > MOST_TOKENS or not all(map(_is_token, tokens)):
        return []
    return tokens


def _is_token(text: str) -> bool:
    if text.startswith(MARK):
        return False
    try:
        account = Account.parse(text)
    except InvalidAccount:
        return False
    if account.proxy:  # a stranger's, to which we would connect
        return False
    return len(account.sessionid.get_secret_value()) >= SHORTEST


async def owner_of(parts: Parts, caller: Caller) -> str | None:
    """Return whose a caller's tasks are; its account is there then. Raises Problem."""
    if caller.lends is None:
        return caller.owner
    return LENT + (await lent(parts, caller.lends)).id


async def lent(parts: Parts, token: SecretStr) -> Session:
    """Have an account there for its client's tasks, signed in. Raises Problem."""
    wish = AddSession(credential=token, label="lent", lent=True)
    async with checks(parts.bus) as found:
        try:
            added = await parts.bus.ask(wish)
        except RequestRefusedError as error:
            raise refused(error.refusal) from None
        if added.session.state == "active":
            return added.session
        told = await outcome(parts, added, found)
    if not told.ok:
        text = f"this session token cannot be used: {told.message}"
        raise Problem(422, REFUSED, text)
    return (await parts.bus.ask(ReadSession(id=added.session.id))).session
