"""The settings every part shares: one place for each name, its default and its check.

A service's own Settings inherits the groups it needs. The environment wins over a
`.env` in the working folder. A value that does not parse ends the start with the
name of the setting.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    Field,
    NonNegativeFloat,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contracts.bus import Link
from contracts.connection import ASK_SECONDS
from contracts.streams import ACK_WAIT_SECONDS


class SettingsError(Exception):
    """A setting is missing or wrong; the text names it and says what to do."""


def _origin(value: str) -> str:
    """Accept an origin such as http://127.0.0.1:9000, or nothing."""
    if not value:
        return ""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an origin such as http://127.0.0.1:9000")
    return f"{parts.scheme}://{parts.netloc}"


S = TypeVar("S", bound=BaseSettings)
LEVELS = ("debug", "info", "warning", "error", "critical")
KNOWN_NAMES = frozenset(
    {
        "JIMENG_UPSTREAM",
        "JIMENG_CONTAINER",
        "JIMENG_GATEWAY_URL",
        "JIMENG_API_KEY",
    }
)


def _levels(value: str) -> str:
    """Accept `info`, or `poller=debug,info`."""
    for part in value.split(","):
        if part.rpartition("=")[2].strip().lower() not in LEVELS:
            raise ValueError(f"{part!r} is none of {', '.join(LEVELS)}")
    return value


Origin = Annotated[str, AfterValidator(_origin)]


def split_list(value: Any) -> Any:
    """Read a list as it stands in the environment."""
    if isinstance(value, str):
        return tuple(each.strip() for each in value.split(",") if each.strip())
    return value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_list)]
OriginList = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(split_list)]
NumberList = Annotated[
    tuple[NonNegativeFloat, ...], NoDecode, BeforeValidator(split_list)
]


class Settings(BaseSettings):
    """What every service reads."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, case_sensitive=False
    )

    nats_url: str = Field(
        "nats://127.0.0.1:4222", description="Where NATS is; embedded in `jimeng up`."
    )
    nats_user: str | None = Field(None, description="Who we are at NATS.")
    nats_password: SecretStr | None = Field(None, description="Our password there.")
    ack_wait_secs: float = Field(
        ACK_WAIT_SECONDS,
        ge=1,
        description="After so long what a dead worker had goes to another.",
    )
    ask_secs: float = Field(
        ASK_SECONDS, gt=0, description="How long to wait for the scheduler, twice."
    )
    data_dir: Path = Field(
        Path("data"), description="Everything that is kept lies here."
    )
    log_level: Annotated[str, AfterValidator(_levels)] = Field(
        "info", description="debug, info, warning or error; also `poller=debug,info`."
    )
    log_format: Literal["json", "pretty", ""] = Field(
        "", description="json, or pretty; empty: pretty on a terminal."
    )

    @property
    def link(self) -> Link:
        """The NATS connection these settings describe."""
        password = self.nats_password.get_secret_value() if self.nats_password else None
        return Link(
            self.nats_url,
            self.nats_user,
            password,
            ack_wait=self.ack_wait_secs,
            ask_seconds=self.ask_secs,
        )


class UpstreamSettings(BaseModel):
    """Which site is spoken to, and how patiently."""

    jimeng_upstream: Origin = Field(
        "", description="An origin that stands for the site; empty is the real one."
    )


class SecretSettings(BaseModel):
    """The root secret that credentials are sealed with."""

    secret_key: SecretStr | None = Field(
        None, description="Root secret, at least 32 characters."
    )
    secret_key_file: Path | None = Field(
        None, description="File of the root secret; default DATA_DIR/secret.key."
    )
    secret_key_previous: SecretStr | None = Field(
        None, description="The one before: it opens what `rotate-key` has not reached."
    )
    secret_key_previous_file: Path | None = Field(
        None, description="File of the one before; default secret.key.previous beside."
    )


class WebhookSettings(BaseModel):
    """Where webhooks may go beside the public internet."""

    webhook_allow: CommaList = Field(
        (),
        description="Receivers that are not public, or have another port than 80 and "
        "443: addresses, networks and host names, also with a port: 10.0.0.0/8, "
        "hooks.lan:8080.",
    )


class StorageSettings(BaseModel):
    """Where files are kept."""

    storage_url: str = Field(
        "", description="file:<folder>; default file: DATA_DIR/blobs."
    )
    min_free_disk: ByteSize = Field(
        ByteSize(2 * 1024**3),
        description="With less room than this (500MB, 2GiB) creates are refused and "
        "downloads wait; 0: never.",
    )


class DeadlineSettings(BaseModel):
    """How long a step may take: its worker gives it up, its scheduler looks again."""

    upload_deadline_secs: float = Field(
        900, gt=0, description="How long references may take to get to the site."
    )
    download_deadline_secs: float = Field(
        1800, gt=0, description="How long results may take to be stored."
    )


class PermitSettings(BaseModel):
    """How long one send may take; SETTLE_SECS must exceed what they add up to."""

    permit_secs: float = Field(15, gt=0, description="How long a permit may be used.")
    submit_timeout_secs: float = Field(
        30, gt=0, description="How long one submit may take on the wire."
    )
    late_secs: float = Field(
        10, gt=0, description="How long after its end a submit may still show."
    )
    settle_secs: float = Field(
        90, gt=0, le=86_400, description="How long an unknown submit is looked for."
    )

    @model_validator(mode="after")
    def _settle_is_long_enough(self) -> Self:
        least = self.permit_secs + self.submit_timeout_secs + self.late_secs
        if self.settle_secs <= least:
            raise ValueError(
                f"SETTLE_SECS must be above PERMIT_SECS + SUBMIT_TIMEOUT_SECS + "
                f"LATE_SECS ({least:g}): a late effect of a send must show before it "
                f"counts as not taken"
            )
        return self


def load(kind: type[S], **given: Any) -> S:
    """Read settings; raises SettingsError naming what is wrong."""
    try:
        return kind(**given)
    except ValidationError as error:
        lines = [
            f"{_env_name(e['loc'])}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise SettingsError("; ".join(lines)) from None


def _env_name(location: tuple[int | str, ...]) -> str:
    return str(location[0]).upper() if location else "settings"


def unknown_names(known: Collection[str] = KNOWN_NAMES) -> list[str]:
    """Return the JIMENG_* names in the environment and .env that nobody reads."""
    names = {n for n in os.environ if n.startswith("JIMENG_")}
    env_file = Path(".env")
    if env_file.is_file():
        for line in env_file.read_text().splitlines():
            name = line.partition("=")[0].strip().removeprefix("export ")
            if name.startswith("JIMENG_"):
                names.add(name)
    return sorted(names - set(known))
