"""How a command reaches the NATS of a gateway."""

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from standalone.cli.output import WRONG, fail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nats.aio.client import Client

    from contracts.connection import Link
    from standalone.settings import StandaloneSettings

Data = Annotated[
    Path | None, typer.Option(help="The data folder of the running gateway.")
]


def link_of(data: Path | None, user: str) -> "Link":
    """Return the connection to NATS_URL where that is set, else to the embedded one."""
    settings = _settings(data)
    if data is None and "nats_url" in settings.model_fields_set:
        return settings.link
    return embedded(data, user)


def embedded(data: Path | None, user: str) -> "Link":
    """Return how a user reaches the server of the gateway in a data folder."""
    from contracts.connection import Link

    folder = _settings(data).data_dir / "nats"
    try:
        users = json.loads((folder / "users.json").read_text())
        url = (folder / "url").read_text().strip()
    except OSError:
        fail(f"no gateway has run in {folder.parent} yet", WRONG)
    if user not in users:
        fail(f"no such user; there are {', '.join(users)}", WRONG)
    return Link(url, user, users[user])


@asynccontextmanager
async def connected(link: "Link", user: str) -> "AsyncIterator[Client]":
    """Connect as a user, whose answers come to an inbox of its own."""
    import nats

    async def quiet(_: Exception) -> None:
        """Leave out nats-py's own words: the command says it in one line."""

    client = await nats.connect(
        link.url,
        user=link.user,
        password=link.password,
        inbox_prefix=f"_INBOX_{user}".encode(),
        connect_timeout=2,
        max_reconnect_attempts=1,
        reconnect_time_wait=0,
        error_cb=quiet,
    )
    try:
        yield client
    finally:
        await client.close()


def _settings(data: Path | None) -> "StandaloneSettings":
    from runtime.settings import SettingsError, load
    from standalone.settings import StandaloneSettings

    try:
        return load(StandaloneSettings, **({"data_dir": data} if data else {}))
    except SettingsError as error:
        fail(str(error), WRONG)
