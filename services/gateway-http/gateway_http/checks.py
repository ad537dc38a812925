"""Waits for what the scheduler says of a session's check."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from nats.aio.subscription import Subscription

from contracts.bus import Bus
from contracts.sessions import SessionChanged

SUBJECT = "evt.session.*.scheduler.checked"


class Checks:
    """The outcomes told since it was opened."""

    def __init__(self, subscription: Subscription) -> None:
        self._messages = subscription.messages

    async def of(
        self, session: str, credential: int | None, seconds: float
    ) -> SessionChanged | None:
        """Return the outcome for a session's credential, None when it takes longer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for message in self._messages:
                    checked = SessionChanged.parse(message.data)
                    other = {credential, checked.credential} - {None}
                    if checked.session == session and len(other) < 2:  # noqa: PLR2004
                        return checked
        return None


@asynccontextmanager
async def checks(bus: Bus) -> AsyncIterator[Checks]:
    """Listen from before the question on, so that no answer is missed."""
    subscription = await bus.client.subscribe(SUBJECT)
    try:
        yield Checks(subscription)
    finally:
        with suppress(Exception):  # the connection may be gone, and this with it
            await subscription.unsubscribe()
