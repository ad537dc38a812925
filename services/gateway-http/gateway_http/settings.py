"""What the HTTP service reads from the environment."""

from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, Field

from runtime.settings import Origin, Settings, StorageSettings


def _loopback(host: str) -> str:
    """Accept a loopback address: beyond it, everybody could spend the accounts."""
    try:
        if host == "localhost" or ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise ValueError(
        f"{host[:100]} is not a loopback address, and there is no sign-in yet: use "
        f"127.0.0.1 and reach it through an SSH tunnel or a reverse proxy that signs in"
    )


class GatewaySettings(StorageSettings, Settings):
    """The HTTP service's settings."""

    host: Annotated[str, AfterValidator(_loopback)] = Field(
        "127.0.0.1", description="Where to listen: a loopback address."
    )
    port: int = Field(5100, ge=0, le=65535, description="0 takes any free one.")
    public_url: Origin = Field(
        "",
        description="Where clients reach us, https://video.example.org for example; "
        "empty: the request's Host.",
    )

    @property
    def store(self) -> str:
        """Where the blobs lie."""
        return self.storage_url or f"file:{self.data_dir / 'blobs'}"
