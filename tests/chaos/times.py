"""How long everything takes in a storm: the design's times, divided by one SPEED."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module

# The defaults of the settings that mean a time, in seconds.
DESIGN = {
    "SETTLE_SECS": 90.0,
    "PERMIT_SECS": 15.0,
    "SUBMIT_TIMEOUT_SECS": 30.0,
    "POLL_INTERVAL_SECS": 10.0,
    "POLL_MIN_SECS": 10.0,
    "RETRY_PAUSE_SECS": 5.0,
    "LEASE_SECS": 10.0,
    "RECONCILE_SECS": 30.0,
    "UPLOAD_DEADLINE_SECS": 900.0,
    "DOWNLOAD_DEADLINE_SECS": 1800.0,
}
CHOSEN = {
    "UNKNOWN_SUBMIT": "resend",
    # The default of 3 holds one in some 200: so dense are kills aimed at a send.
    "MAX_SENDS": "6",
    "MIN_FREE_DISK": "16MiB",  # the storm's disks are small
}
# SETTLE_SECS must exceed permit and time-out by this, whatever the speed: room for an
# effect 5 s late that shows 5 s later. The storm uses all of that room.
SETTLE_ROOM = 10.0
LATE_SECONDS = 5.0
SETTINGS = {
    "gateway-http": "gateway_http.settings:GatewaySettings",
    "scheduler": "scheduler.settings:SchedulerSettings",
    "uploader": "uploader.settings:Settings",
    "signer": "signer.settings:Settings",
    "poller": "poller.settings:Settings",
    "downloader": "downloader.settings:Settings",
    "notifier": "notifier.settings:Settings",
    "log-streamer": "log_streamer.settings:Settings",
}


@dataclass(frozen=True)
class Times:
    """The times of one storm."""

    speed: float

    def of(self, seconds: float) -> float:
        """Return a time of the design at this speed."""
        return seconds / self.speed

    @property
    def lease(self) -> float:
        """How long a standby waits."""
        return self.of(DESIGN["LEASE_SECS"])

    @property
    def settle(self) -> float:
        """How long an unknown submit is looked for; not below its floor."""
        sent = DESIGN["PERMIT_SECS"] + DESIGN["SUBMIT_TIMEOUT_SECS"]
        return max(self.of(DESIGN["SETTLE_SECS"]), self.of(sent) + SETTLE_ROOM + 0.1)

    @property
    def ack_wait(self) -> float:
        """How long NATS waits for who died: long enough for who is only slow."""
        return max(self.of(30), 5.0)

    @property
    def environment(self) -> dict[str, str]:
        """The settings of this storm, those that some service knows."""
        times = {name: f"{self.of(value):g}" for name, value in DESIGN.items()}
        times["SETTLE_SECS"] = f"{self.settle:g}"
        times["ACK_WAIT_SECS"] = f"{self.ack_wait:g}"
        known = known_names()
        return {n: v for n, v in (times | CHOSEN).items() if n in known}

    @property
    def unknown(self) -> list[str]:
        """The settings that no service knows yet."""
        return sorted({*DESIGN, *CHOSEN} - known_names())


def known_names(places: Iterable[str] = SETTINGS.values()) -> set[str]:
    """Return the names that the services' settings classes read."""
    names: set[str] = set()
    for place in places:
        module, _, name = place.partition(":")
        names |= {n.upper() for n in getattr(import_module(module), name).model_fields}
    return names
