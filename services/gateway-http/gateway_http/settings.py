"""What the HTTP service reads from the environment."""

from ipaddress import ip_address
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from gateway_http.live.slots import Limits
from gateway_http.prefer import LONGEST_SECONDS
from gateway_http.proxies import read_networks
from gateway_http.signin.settings import SignInSettings
from runtime.settings import (
    CommaList,
    Origin,
    OriginList,
    SecretSettings,
    Settings,
    StorageSettings,
    WebhookSettings,
)

SHORTEST_TOKEN = 32


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _long_enough(token: SecretStr | None) -> SecretStr | None:
    if token and len(token.get_secret_value()) < SHORTEST_TOKEN:
        raise ValueError(
            f"must have at least {SHORTEST_TOKEN} characters: "
            f"make one with `openssl rand -hex 32`"
        )
    return token


def _networks(text: object) -> object:
    """Accept addresses and networks, 10.0.0.0/8 for example."""
    if not isinstance(text, str):
        return text
    entries = tuple(each.strip() for each in text.split(",") if each.strip())
    read_networks(entries)
    return entries


class GatewaySettings(
    SignInSettings, StorageSettings, SecretSettings, WebhookSettings, Settings
):
    """The HTTP service's settings."""

    host: str = Field(
        "127.0.0.1",
        description="Where to listen; beyond loopback only with AUTH_ENABLED.",
    )
    port: int = Field(5100, ge=0, le=65535, description="0 takes any free one.")
    public_url: Origin = Field(
        "",
        description="Where clients reach us, https://video.example.org for example; "
        "empty: the request's Host.",
    )
    cors_origins: OriginList = Field(
        (),
        description="Origins whose pages may ask, https://app.example.org for example, "
        "separated by commas; without cookies. None by default.",
    )
    image_wait_secs: float = Field(
        300,
        gt=0,
        le=3600,
        description="How long a request for images waits for them before it is 504.",
    )
    auth_enabled: bool = Field(
        default=False,
        description="Whether each request needs a key (`jimeng keys create --admin`).",
    )
    admin_token: Annotated[SecretStr | None, AfterValidator(_long_enough)] = Field(
        None,
        description="A key of your own choice that may everything; 32 characters.",
    )
    compat_bearer_sessions: bool = Field(
        default=False,
        description="Whether a bearer that is no key is taken for session tokens, as "
        "the Jimeng family's APIs do, and lets anybody in who has one: docs/api.md.",
    )
    video_wait_secs: int = Field(
        0,
        ge=0,
        le=LONGEST_SECONDS,
        description="How long /v1/videos/generations waits where its client says "
        "nothing, as the Jimeng family's APIs do; 0: it answers 202 at once.",
    )

    @model_validator(mode="after")
    def _open_to_nobody(self) -> Self:
        """Refuse to listen where strangers could spend the accounts."""
        if is_loopback(self.host):
            return self
        if not self.auth_enabled:
            raise ValueError(
                f"HOST {self.host[:100]} is reachable from elsewhere, where everybody "
                f"could spend the accounts: set AUTH_ENABLED=true, or use 127.0.0.1"
            )
        if not self.public_url:
            raise ValueError(
                f"HOST {self.host[:100]} needs PUBLIC_URL: how clients reach it, "
                f"https://video.example.org for example; other Hosts are refused"
            )
        return self

    followers: int = Field(
        2_000, ge=0, description="How many clients may follow events at a time."
    )
    followers_per_key: int = Field(20, ge=0, description="And how many of one key.")
    followers_per_task: int = Field(10, ge=0, description="And how many one task.")

    trusted_proxies: Annotated[CommaList, BeforeValidator(_networks)] = Field(
        (),
        description="Proxies of ours, addresses or networks with commas between: only "
        "from them X-Forwarded-For is believed.",
    )

    @model_validator(mode="after")
    def _way_back(self) -> Self:
        """Refuse a provider that would not know where to send people back to."""
        if self.oidc_issuer_url and not self.public_url:
            raise ValueError(
                "OIDC_ISSUER_URL needs PUBLIC_URL: people come back from the provider "
                "to PUBLIC_URL/auth/callback, https://video.example.org for example"
            )
        return self

    @model_validator(mode="after")
    def _no_idle_lock(self) -> Self:
        """Refuse a sign-in that would keep nobody out."""
        if not self.auth_enabled and (self.oidc_issuer_url or self.takes_jwt):
            name = "OIDC_ISSUER_URL" if self.oidc_issuer_url else "JWT_ISSUER"
            raise ValueError(
                f"{name} is set, and AUTH_ENABLED is not: everybody would be let in "
                f"without signing in. Set AUTH_ENABLED=true, or unset {name}"
            )
        return self

    @property
    def limits(self) -> Limits:
        """How many may follow at a time."""
        return Limits(self.followers, self.followers_per_key, self.followers_per_task)

    @property
    def store(self) -> str:
        """Where the blobs lie."""
        return self.storage_url or f"file:{self.data_dir / 'blobs'}"
