"""Every service in one process: started in order, stopped in reverse."""

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from ipaddress import ip_address
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from contracts.message import now
from contracts.pool import AddSession
from contracts.requests import RequestRefusedError
from runtime.data import SIMULATOR, DataFolder
from runtime.heartbeat import living
from runtime.service import App, fatal
from runtime.settings import SettingsError, load
from standalone.nats_server import NatsServer
from standalone.settings import StandaloneSettings
from standalone.site import Simulator, look

if TYPE_CHECKING:
    from gateway_http.app import Gateway

SIMULATED_PACE = {"poll_min_secs": 1, "poll_interval_secs": 1}
BROWSER_SECONDS = 10.0
WORKERS = ("uploader", "signer", "poller", "downloader", "notifier", "log-streamer")
log = logging.getLogger("standalone")


class System:
    """While entered, the whole gateway runs; `url` is where.

    With `simulate` a simulated site is its upstream, and a demo session its pool.
    Raises SettingsError, in one line that says what to do.
    """

    def __init__(self, settings: StandaloneSettings, *, simulate: bool) -> None:
        self._settings = settings
        self._simulate = simulate
        self._open = AsyncExitStack()
        self._gateway: App | None = None
        self._apps: list[App] = []
        self.url = ""
        self.upstream = settings.jimeng_upstream
        self.started_in_seconds = 0.0

    async def __aenter__(self) -> Self:
        began = time.monotonic()
        async with AsyncExitStack() as opening:
            await self._enter(opening)
            self._open = opening.pop_all()
        self.started_in_seconds = time.monotonic() - began
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._open.aclose()

    async def _enter(self, opening: AsyncExitStack) -> None:
        data = self._settings.data_dir
        belongs = SIMULATOR if self._simulate else self.upstream
        opening.enter_context(DataFolder(data, belongs, alone=True))
        _must_be_free(self._settings.host, self._settings.port)
        simulator = Simulator(data)
        if self._simulate:
            # Both children start while this process imports the services.
            opening.push_async_exit(simulator)
            await simulator.start()
        server = NatsServer(data, fatal, self._settings.nats_server_bin)
        await opening.enter_async_context(server)
        await server.provision(self._settings.ack_wait_secs)
        factories = await asyncio.to_thread(_factories)
        if self._simulate:
            self.upstream = await simulator.ready()
        elif self.upstream:
            await look(self.upstream)
        await self._start_services(opening, server, factories)

    async def _start_services(
        self,
        opening: AsyncExitStack,
        server: NatsServer,
        factories: dict[str, "Factory"],
    ) -> None:
        def made(name: str) -> App:
            kind, create = factories[name]
            return create(self._settings_of(kind, name, server))

        # All are built before any starts: a wrong setting is found at once.
        scheduler = made("scheduler")
        workers = [made(name) for name in WORKERS]
        gateway = cast("Gateway", made("gateway-http"))
        self._apps = [scheduler, *workers, gateway]
        await _start(opening, scheduler)
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(_start(opening, worker))
        await _start(opening, gateway)
        self._gateway = gateway
        self.url = f"http://{_nearest(self._settings.host)}:{gateway.port}"
        if self._simulate:
            await _add_demo_session(scheduler)

    @property
    def alive(self) -> bool:
        """Whether every service is."""
        return all(app.bus.alive for app in self._apps)

    @property
    def _running(self) -> App:
        if self._gateway is None:
            raise RuntimeError("the system is not running")
        return self._gateway

    async def demo_key(self) -> str | None:
        """Make a key for a day and return it; None: nobody needs one."""
        from contracts.keys import CreateKey, hash_of, new_key, prefix_of
        from gateway_http.settings import GatewaySettings

        told = {"data_dir": self._settings.data_dir, "host": self._settings.host}
        if not load(GatewaySettings, **told).auth_enabled:
            return None
        secret = new_key()
        wish = CreateKey(
            name="demo",
            hash=hash_of(secret),
            prefix=prefix_of(secret),
            expires_at=now() + timedelta(days=1),
            made_by="demo",
        )
        await self._running.bus.ask(wish)
        return secret

    async def why_no_browser(self) -> str | None:
        """Return why no signer has a browser; None when one has.

        One that is about to start is waited for, because it may fail.
        """
        limit = time.monotonic() + BROWSER_SECONDS
        while True:
            beats = await living(self._running.bus)
            signers = [beat for beat in beats if beat["service"] == "signer"]
            if any(beat.get("chromium") for beat in signers):
                return None
            starting = any(beat.get("browser") for beat in signers)
            if not starting or time.monotonic() > limit:
                break
            await asyncio.sleep(0.05)
        why = next((b.get("reason") for b in signers), None)
        return why or ("it does not start" if starting else "no signer runs")

    def _settings_of(self, kind: type[Any], service: str, server: NatsServer) -> Any:
        """Read the settings of a service; what this run decides comes first."""
        given = self._settings.for_service(
            service,
            server.link(service),
            jimeng_upstream=self.upstream,
            host=self._settings.host,
            port=self._settings.port,
        )
        read = load(kind, **{k: v for k, v in given.items() if k in kind.model_fields})
        if not self._simulate:
            return read
        pace = {k: v for k, v in SIMULATED_PACE.items() if k in kind.model_fields}
        return read.model_copy(
            update={k: v for k, v in pace.items() if k not in read.model_fields_set}
        )


Factory = tuple[type[Any], Callable[..., App]]


def _factories() -> dict[str, Factory]:
    """Import every service: half a second of CPU, so not on the loop's thread."""
    import downloader.app
    import downloader.settings
    import gateway_http.app
    import gateway_http.settings
    import log_streamer.app
    import log_streamer.settings
    import notifier.app
    import notifier.settings
    import poller.app
    import poller.settings
    import scheduler.app
    import scheduler.settings
    import signer.app
    import signer.settings
    import uploader.app
    import uploader.settings

    return {
        "scheduler": (
            scheduler.settings.SchedulerSettings,
            scheduler.app.create_app,
        ),
        "uploader": (uploader.settings.Settings, uploader.app.create_app),
        "signer": (signer.settings.Settings, signer.app.create_app),
        "poller": (poller.settings.Settings, poller.app.create_app),
        "downloader": (downloader.settings.Settings, downloader.app.create_app),
        "notifier": (notifier.settings.Settings, notifier.app.create_app),
        "log-streamer": (log_streamer.settings.Settings, log_streamer.app.create_app),
        "gateway-http": (
            gateway_http.settings.GatewaySettings,
            gateway_http.app.create_app,
        ),
    }


async def _start(opening: AsyncExitStack, app: App) -> None:
    opening.push_async_callback(app.stop)
    await app.start()


async def _add_demo_session(scheduler: App) -> None:
    from simulator.settings import DEMO_SESSIONS

    for number, sessionid in enumerate(DEMO_SESSIONS, 1):
        wish = AddSession.model_validate(
            {"credential": sessionid, "label": f"demo {number}"}
        )
        try:
            await scheduler.bus.ask(wish)
        except RequestRefusedError as no:
            if no.refusal.type != "session-exists":
                raise


def _nearest(host: str) -> str:
    """Return how this machine reaches an address that it listens on."""
    with suppress(ValueError):
        if ip_address(host).is_unspecified:
            return "127.0.0.1"
    return host


def _must_be_free(host: str, port: int) -> None:
    """Find an occupied PORT before anything is started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return  # the gateway says what is wrong with HOST
            raise SettingsError(
                f"PORT {port} is in use: stop what listens there, or choose another "
                f"with --port or PORT (0 takes any free one)"
            ) from None
