"""What a browser keeps of a sign-in: a badge, and before it the trip to the provider.

Both are sealed cookies, so any gateway with the same SECRET_KEY takes them and nobody
can make or read one. A badge ends at a fixed time, whatever is done with it.
"""

import base64
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Literal, Self, TypeVar

from pydantic import ValidationError
from starlette.requests import HTTPConnection
from starlette.responses import Response

from contracts.message import Value
from gateway_http.access import Role
from gateway_http.limits import Clock
from runtime.sealing import Ring, SealError

PURPOSE = "cookies"
WORN = timedelta(hours=8)
UNDERWAY = timedelta(minutes=10)
CSRF_HEADER = "X-CSRF-Token"
_SAFE = {"GET", "HEAD", "OPTIONS"}


class Cookie(Value):
    """What is sealed in a cookie; `until` it is worth something."""

    until: datetime


class Badge(Cookie):
    """Who somebody is, as they signed in: a person of a provider, or a key's holder."""

    id: str
    """New at each sign-in, so that nobody can be given one beforehand."""
    since: datetime
    csrf: str
    by: Literal["oidc", "key"]
    name: str = ""
    owner: str = ""
    role: Role | None = None
    key_hash: str = ""
    """Of the key that was shown: it is looked up each time, so that its end holds."""

    @classmethod
    def new(cls, now: datetime, **who: str | None) -> Self:
        """Make a badge."""
        fresh = {"id": secrets.token_hex(16), "csrf": secrets.token_urlsafe(24)}
        return cls.model_validate({"since": now, "until": now + WORN, **fresh, **who})


class Trip(Cookie):
    """What binds the answer of a provider to the browser that was sent there."""

    state: str
    nonce: str
    verifier: str
    goal: str
    """The local path to go on to."""

    @classmethod
    def new(cls, now: datetime, goal: str) -> Self:
        """Begin one."""
        one, two, three = (secrets.token_urlsafe(32) for _ in range(3))
        until = now + UNDERWAY
        return cls(until=until, state=one, nonce=two, verifier=three, goal=goal)


C = TypeVar("C", bound=Cookie)


class Cookies:
    """Gives them to browsers and reads them again."""

    def __init__(self, ring: Ring, clock: Clock, *, secure: bool) -> None:
        self._ring = ring
        self._clock = clock
        self._secure = secure
        # With this prefix a browser takes it from this very host alone, over TLS.
        prefix = "__Host-" if secure else ""
        self._names: dict[type[Cookie], str] = {
            Badge: f"{prefix}jimeng",
            Trip: f"{prefix}jimeng-trip",
        }

    def read(self, kind: type[C], asking: HTTPConnection) -> C | None:
        """Return what the browser shows; None: nothing of use."""
        name = self._names[kind]
        text = asking.cookies.get(name, "")
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            found = kind.model_validate_json(self._ring.open(sealed, name))
        except (SealError, ValidationError, ValueError):
            return None
        return found if found.until > self._clock() else None

    def give(self, response: Response, cookie: Cookie) -> None:
        """Have the browser keep one until it is worth nothing."""
        name = self._names[type(cookie)]
        sealed = self._ring.seal(cookie.model_dump_json(), name)
        text = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
        left = cookie.until - self._clock()
        self._set(response, name, text, int(left.total_seconds()))

    def take_back(self, response: Response, kind: type[Cookie]) -> None:
        """Have the browser forget one."""
        self._set(response, self._names[kind], "", 0)

    def _set(self, response: Response, name: str, text: str, seconds: int) -> None:
        response.set_cookie(
            name,
            text,
            max_age=seconds,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )


def is_meant(asking: HTTPConnection, badge: Badge) -> bool:
    """Whether a request that a browser sent with its badge is its own page's.

    Cookies go along with whatever a page of anybody's makes a browser send. One that
    changes something therefore needs an Origin, which was found to be ours before, or
    the badge's own word in a header, which no other page can know.
    """
    if asking.scope["method"] in _SAFE or "origin" in asking.headers:
        return True
    given = asking.headers.get(CSRF_HEADER, "").encode()
    return hmac.compare_digest(given, badge.csrf.encode())
