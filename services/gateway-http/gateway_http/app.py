"""Builds the HTTP service."""

from typing import Any

from fastapi import Depends, FastAPI

import blobs
import fetch
from contracts.bus import Bus
from contracts.counting import REQUESTS, TASKS
from contracts.keys import KeyEntry
from contracts.message import now
from gateway_http import problems, repeats
from gateway_http.audit import Audit
from gateway_http.bounds import Bounded
from gateway_http.cors import with_cors
from gateway_http.document.whole import document, operation_id
from gateway_http.guard import Guard, OwnHosts
from gateway_http.hooks import Hooks
from gateway_http.identity import Identified, Keyring, Way, by_key
from gateway_http.leftovers import swept
from gateway_http.lending import by_session_tokens
from gateway_http.limits import Clock, Limited
from gateway_http.links import LinkKeys
from gateway_http.listener import Listening, Serving
from gateway_http.live.hub import Hub
from gateway_http.live.slots import Slots
from gateway_http.parts import Parts, Patience
from gateway_http.proxies import Proxies, read_networks
from gateway_http.routes import (
    audit,
    auth,
    batches,
    catalogue,
    chat,
    docs,
    events,
    generations,
    images,
    keys,
    models,
    sessions,
    status,
    steering,
    tasks,
    tokens,
    usage,
    videos,
    webhooks,
)
from gateway_http.settings import GatewaySettings
from gateway_http.signin import badges, memory
from gateway_http.signin.bearers import by_jwt, verifier_of
from gateway_http.signin.desk import Desk
from gateway_http.signin.provider import Provider
from gateway_http.voices import voices_of
from gateway_http.workers import Workers
from runtime import hooks
from runtime.durable import make_folder
from runtime.logs import about
from runtime.room import Room
from runtime.roots import roots
from runtime.sealing import Ring
from runtime.service import App, fatal
from runtime.settings import SettingsError

SERVICE = "gateway-http"
NEEDED = frozenset(
    {
        "CMD",
        "EVT",
        KeyEntry.STREAM,
        repeats.STREAM,
        REQUESTS.stream,
        TASKS.stream,
        memory.STREAM,
    }
)


class Gateway(App):
    """The HTTP service; `port` is the one it listens on, also when any was taken."""

    def __init__(
        self,
        bus: Bus,
        listening: Listening,
        serving: Serving,
        store: blobs.Store,
        hub: Hub,
    ) -> None:
        super().__init__(
            bus,
            # Bound first: an occupied PORT ends the start.
            before=[listening, swept(store)],
            after=[hub, serving],
            state=lambda: {"port": self.port},
        )
        self._listening = listening

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._listening.port


def create_app(
    settings: GatewaySettings, patience: Patience | None = None, clock: Clock = now
) -> Gateway:
    """Build the service; nothing is opened before it is started."""
    # Nothing is buffered: a create that was answered 503 must not be sent later.
    bus = Bus(
        SERVICE,
        settings.link,
        fatal=fatal,
        needed=NEEDED,
        buffered=False,
        scope=about,
    )
    listening = Listening(settings.host, settings.port)
    store = _store(settings)
    patience = patience or Patience(wait=settings.image_wait_secs)
    hub = Hub(bus, patience.ping)
    desk = _desk(settings, bus, clock, patience.keys)
    parts = Parts(
        bus=bus,
        store=store,
        workers=Workers(bus),
        hooks=_hooks(settings),
        link_keys=_link_keys(settings),
        signed=settings.auth_enabled,
        room=Room(settings.min_free_disk, settings.data_dir, store.folder),
        hub=hub,
        slots=Slots(settings.limits),
        desk=desk,
        public_url=settings.public_url,
        video_wait=settings.video_wait_secs,
        takes_tokens=settings.compat_bearer_sessions,
        patience=patience,
    )
    own = OwnHosts(lambda: listening.port, settings.public_url)
    web = _web(parts)
    limited = Limited(Bounded(web), bus, clock)
    ways = _ways(settings, desk, patience.keys)
    known = Identified(limited, ways, guarded=settings.auth_enabled)
    asked = with_cors(known, settings.cors_origins)
    proxies = Proxies(read_networks(settings.trusted_proxies))
    guests = settings.cors_origins
    guard = Guard(asked, SERVICE, own, guests, proxies, voices=voices_of(web))
    serving = Serving(guard, listening, stopping=hub.close)
    return Gateway(bus, listening, serving, store, hub)


def _desk(
    settings: GatewaySettings, bus: Bus, clock: Clock, pause: float
) -> Desk | None:
    """Return where people sign in; None: everybody is let in."""
    if not settings.auth_enabled:
        return None
    token, public_url = settings.admin_token, settings.public_url
    ring = Ring(badges.PURPOSE, *roots(settings, settings.data_dir))
    provider = None
    if settings.oidc_issuer_url:
        provider = Provider(settings, public_url, pause)
    return Desk(
        cookies=badges.Cookies(ring, clock, secure=public_url.startswith("https:")),
        memory=memory.Memory(bus, clock),
        keyring=Keyring(bus, token.get_secret_value() if token else None),
        provider=provider,
        terms=settings.terms,
        ring=ring,
        clock=clock,
    )


def _ways(settings: GatewaySettings, desk: Desk | None, pause: float) -> list[Way]:
    """Return how callers are found out, in order; without sign-in they are not."""
    ways = [by_key(desk.keyring), desk.way] if desk else []
    if desk and settings.takes_jwt:
        ways.append(by_jwt(verifier_of(settings, pause), settings.terms))
    if settings.compat_bearer_sessions:  # the last: what is any other's is no token
        ways.append(by_session_tokens())
    return ways


def _store(settings: GatewaySettings) -> blobs.Store:
    try:
        return blobs.open_store(settings.store)
    except (ValueError, OSError) as error:
        raise SettingsError(f"STORAGE_URL {settings.store}: {error}") from None


def _hooks(settings: GatewaySettings) -> Hooks:
    make_folder(settings.data_dir)
    ring = Ring(hooks.PURPOSE, *roots(settings, settings.data_dir))
    try:
        return Hooks(ring, fetch.Allowed.parse(settings.webhook_allow))
    except ValueError as error:
        raise SettingsError(f"WEBHOOK_ALLOW: {error}") from None


def _link_keys(settings: GatewaySettings) -> LinkKeys:
    return LinkKeys(*roots(settings, settings.data_dir))


class _Web(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Return the document, which is made once."""
        self.openapi_schema = self.openapi_schema or document(self)
        return self.openapi_schema


def _web(parts: Parts) -> FastAPI:
    web = _Web(
        title="jimeng-gateway",
        version=status.VERSION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
        dependencies=[Depends(Audit(parts.bus))],
    )
    problems.register(web)
    # What is asked most comes first: each is tried in turn, at 10 µs.
    for resource in (
        *(tasks, status, batches, steering, events, videos),
        *(generations, images, chat, catalogue, tokens),
        *(sessions, keys, usage, audit, webhooks, auth),
    ):
        web.include_router(resource.router(parts))
    web.include_router(models.router())
    web.include_router(docs.router())
    return web
