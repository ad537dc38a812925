"""`jimeng provision`: make the streams and consumers what they must be."""

import asyncio
import sys

import typer


def run() -> None:
    """Create or update every stream and consumer on NATS_URL, and say what changed.

    `jimeng up` does it by itself; services started one by one need it done before.
    """
    from nats.errors import Error as NatsError

    from runtime.settings import Settings, SettingsError, load

    try:
        done = asyncio.run(_provision(load(Settings)))
    except (SettingsError, NatsError, OSError) as error:
        sys.stderr.write(f"jimeng: NATS_URL: {error}\n")
        raise typer.Exit(2) from None
    sys.stdout.write("\n".join(done or ["everything is as it must be"]) + "\n")


async def _provision(settings: "Settings") -> list[str]:  # type: ignore[name-defined]  # noqa: F821
    import nats

    from contracts.provision import provision

    link = settings.link
    client = await nats.connect(
        link.url,
        user=link.user,
        password=link.password,
        connect_timeout=2,
        max_reconnect_attempts=1,
    )
    try:
        return await provision(client.jetstream(), settings.ack_wait_secs)
    finally:
        await client.close()
