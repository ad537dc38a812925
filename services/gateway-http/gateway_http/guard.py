"""Around every request: who may ask from where, an id, a log line, safe headers.

A web page in somebody's browser must not drive a gateway on their machine, so a
request with a Host or an Origin that is not ours is refused (DNS rebinding, CSRF).
"""

import logging
import time
from collections.abc import Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import uuid_utils
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.message import now
from gateway_http.access import ARRIVED
from gateway_http.problems import Problem
from gateway_http.proxies import Proxies
from gateway_http.voices import Voices, give_voice, refusal
from runtime.logs import service_scope

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
PROBES = {"/ping", "/healthz", "/readyz"}
SIGN_IN = "/auth/"
A_YEAR = "max-age=31536000"
DEFAULT_PORTS = {"http": 80, "https": 443}
DIRECT = Proxies()
log = logging.getLogger("http")


class OwnHosts:
    """The names we are known by: loopback with our port, and PUBLIC_URL's."""

    def __init__(self, port: Callable[[], int], public_url: str) -> None:
        self._port = port
        self._public = urlsplit(public_url)

    @property
    def secure(self) -> bool:
        """Whether clients reach us by TLS, as far as we were told."""
        return self._public.scheme == "https"

    def has_host(self, host: str) -> bool:
        """Tell whether a Host header is one of ours."""
        return host.lower() in self._hosts()

    def has_origin(self, origin: str) -> bool:
        """Tell whether an Origin header is one of ours; `null` never is."""
        try:
            parts = urlsplit(origin.lower())
        except ValueError:  # not an address at all
            return False
        if parts.netloc and parts.netloc == self._public.netloc.lower():
            return parts.scheme == self._public.scheme
        return parts.scheme == "http" and parts.netloc in self._hosts()

    def _hosts(self) -> set[str]:
        port = self._port()
        own = {f"{name}:{port}" for name in LOOPBACK}
        if port == DEFAULT_PORTS["http"]:
            own |= set(LOOPBACK)
        return own | ({self._public.netloc.lower()} if self._public.netloc else set())


class Guard:
    """The outermost layer of the HTTP service."""

    def __init__(
        self,
        app: ASGIApp,
        service: str,
        own: OwnHosts,
        guests: Collection[str] = (),
        proxies: Proxies = DIRECT,
        *,
        voices: Voices | None = None,
    ) -> None:
        self._app = app
        self._service = service
        self._own = own
        self._guests = guests  # origins of others that may ask
        self._proxies = proxies
        self._voices = voices or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and log it."""
        if scope["type"] != "http":
            return
        scope = self._proxies.seen_through(scope)
        request_id = scope["request_id"] = str(uuid_utils.uuid7())
        give_voice(scope, self._voices)
        scope[ARRIVED] = now()
        line = _AccessLine(scope, request_id)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                line.status = message["status"]
                _add_headers(message, request_id, secure=self._own.secure)
            await send(message)
            line.whole = _is_last(message)

        with service_scope(self._service):
            try:
                await self._serve(scope, receive, send_safely)
            except Exception:
                log.exception("a request failed", extra={"request_id": request_id})
                if not line.whole:  # half an answer can only be cut
                    raise
            finally:
                line.write()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = MutableHeaders(scope=scope)
        if problem := self._foreign(headers, scope["path"]):
            response = refusal(problem, scope)
            await response(scope, receive, send)
            return
        if headers.get("origin") in self._guests:
            del headers["cookie"]  # a guest's page must not act as who is signed in
            scope["headers"] = headers.raw
        await self._app(scope, receive, send)

    def _foreign(self, headers: Headers, path: str) -> Problem | None:
        if not self._own.has_host(headers.get("host", "")):
            return Problem(
                421,
                "foreign_host",
                "this Host is not ours: set PUBLIC_URL to how clients reach us",
            )
        origin = headers.get("origin")
        # People sign in at our own page, lest a guest's signs them in as another.
        guest = origin in self._guests and not path.startswith(SIGN_IN)
        known = origin is None or guest
        if not known and not self._own.has_origin(origin or ""):
            text = "pages of other sites are refused, but for those in CORS_ORIGINS"
            return Problem(403, "foreign_origin", text)
        return None


class _AccessLine:
    """One line a request; never its query, which may carry a secret."""

    def __init__(self, scope: Scope, request_id: str) -> None:
        self.status: int | None = None
        self.whole = False
        self._scope = scope
        self._request_id = request_id
        self._began = time.monotonic()

    def write(self) -> None:
        path = self._scope["path"][:200]
        elapsed = (time.monotonic() - self._began) * 1000
        log.log(
            logging.DEBUG if path in PROBES else logging.INFO,
            "%s %s %s",
            self._scope["method"],
            path,
            self.status or "cut",
            extra={
                "request_id": self._request_id,
                "status": self.status,
                "ms": round(elapsed, 1),
            },
        )


def _add_headers(
    message: MutableMapping[str, Any], request_id: str, *, secure: bool
) -> None:
    headers = MutableHeaders(raw=message["headers"])
    message["headers"] = headers.raw
    headers["X-Request-Id"] = request_id
    headers["X-Content-Type-Options"] = "nosniff"
    if secure:
        headers["Strict-Transport-Security"] = A_YEAR
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault(
        "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"
    )


def _is_last(message: Message) -> bool:
    body = message["type"] == "http.response.body"
    return body and not message.get("more_body", False)
