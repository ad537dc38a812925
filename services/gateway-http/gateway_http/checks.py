"""Waits for what the scheduler says of a session's check, and tells the client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from nats.aio.subscription import Subscription

from contracts.bus import Bus
from contracts.pool import ReadSession, Session, SessionReply
from contracts.requests import RequestRefusedError
from contracts.sessions import CheckOutcome, SessionChanged
from gateway_http.parts import Parts
from gateway_http.problems import Problem
from gateway_http.session_forms import CheckedSession
from gateway_http.session_views import outcome_words, session_view

NOT_CHECKED = "not checked yet: the check goes on, look again in a moment"
STAYS = "; the present credential stays in place"
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


async def outcome(parts: Parts, asked: SessionReply, found: Checks) -> CheckedSession:
    """Wait for the check and tell what it found; no outcome: it still runs.

    Raises Problem for a credential that is not taken.
    """
    session = asked.session
    checked = await found.of(session.id, asked.credential, parts.patience.check)
    if checked is None:
        return _told(session, None, NOT_CHECKED)
    if checked.duplicate_of:
        raise _duplicate(checked)
    if checked.rejected:
        raise _rejected(checked)
    afterwards = await _afterwards(parts, session, checked)
    return _told(afterwards, checked.outcome, outcome_words(checked))


def _duplicate(checked: SessionChanged) -> Problem:
    return Problem(
        409,
        "duplicate_session",
        f"this account is in the pool already, as session {checked.duplicate_of}",
        session=checked.duplicate_of,
    )


def _rejected(checked: SessionChanged) -> Problem:
    detail = f"{checked.rejected}{STAYS}"
    if checked.outcome == "active":
        return Problem(409, "other_account", detail)
    return Problem(422, "credential_refused", detail)


async def _afterwards(
    parts: Parts, session: Session, checked: SessionChanged
) -> Session:
    """Read the session again; the event alone tells enough when it cannot be read."""
    try:
        return (await parts.bus.ask(ReadSession(id=session.id))).session
    except RequestRefusedError:
        return session.model_copy(
            update={
                name: getattr(checked, name)
                for name in ("state", "reason", "until", "credits")
            }
        )


def _told(
    session: Session, outcome: CheckOutcome | None, message: str
) -> CheckedSession:
    return CheckedSession(
        ok=outcome == "active",
        message=message,
        outcome=outcome,
        session=session_view(session),
    )
