"""What all gateways know of sign-ins, in NATS, for as long as it matters.

Badges and trips need no memory but for this: a trip counts once, a badge may be ended
before its time, and who fails too often must wait.
"""

from collections.abc import Awaitable
from datetime import datetime
from hashlib import sha256
from typing import TypeVar
from uuid import uuid4

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from boundary import boundary
from contracts.bus import Bus
from contracts.counting import TRIES, add, read
from gateway_http.limits import Clock
from gateway_http.problems import Problem, unavailable
from gateway_http.signin.badges import UNDERWAY, WORN, Badge, Trip

STREAM = "KV_signin"
MOST_TRIES = 10
MOST_TRIES_OF_ALL = 600
ALL = "all"
_WRONG_LAST_SEQUENCE = 10071
T = TypeVar("T")


class Memory:
    """Whatever it is asked, it raises a Problem where NATS does not answer."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock

    async def first_use(self, trip: Trip) -> bool:
        """Whether this trip comes to its end for the first time."""
        return await _told(self._claim(trip))

    async def end(self, badge: Badge) -> None:
        """Let a badge in no more."""
        await _told(self._put("badge", badge.id, WORN.seconds))

    async def end_all(self, badge: Badge) -> None:
        """Let none in any more that its holder was given until now."""
        since = self._clock().isoformat()
        await _told(self._put("holder", _holder(badge), WORN.seconds, since))

    async def has_ended(self, badge: Badge) -> bool:
        """Whether its holder signed out of it."""
        if await _told(self._get("badge", badge.id)) is not None:
            return True
        since = await _told(self._get("holder", _holder(badge)))
        return bool(since) and badge.since <= datetime.fromisoformat(str(since))

    async def keep(self, badge: Badge, sealed: str) -> None:
        """Keep what the provider wants to see when its holder signs out."""
        await _told(self._put("hint", badge.id, WORN.seconds, sealed))

    async def kept(self, badge: Badge) -> str | None:
        """Return what was kept."""
        return await _told(self._get("hint", badge.id))

    async def may_try(self, who: str) -> None:
        """Raise a Problem where too many sign-ins failed within this minute."""
        now = self._clock()
        for name, most in ((_hash(who), MOST_TRIES), (ALL, MOST_TRIES_OF_ALL)):
            if await _told(read(self._js, TRIES, name, now)) >= most:
                wait = str(TRIES.left_seconds(now))
                text = f"too many sign-ins failed: try again in {wait} s"
                raise Problem(
                    429, "too_many_sign_ins", text, headers={"Retry-After": wait}
                )

    async def failed(self, who: str) -> None:
        """Count a sign-in that failed."""
        now, number = self._clock(), uuid4().hex
        for name in (_hash(who), ALL):
            subject = TRIES.subject(name, now)
            await _told(add(self._js, subject, 1, f"{number}:{name}"))

    @property
    def _js(self) -> JetStreamContext:
        if not self._bus.connected:
            raise unavailable("NATS is away: nobody can sign in")
        return self._bus.jetstream

    async def _put(
        self, what: str, name: str, seconds: int, text: str = "", *, first: bool = False
    ) -> None:
        headers = {"Nats-TTL": str(seconds)}
        if first:
            headers["Nats-Expected-Last-Subject-Sequence"] = "0"
        subject = _subject(what, name)
        with boundary("publish", subject):
            await self._js.publish(
                subject, text.encode(), stream=STREAM, headers=headers
            )

    async def _claim(self, trip: Trip) -> bool:
        try:
            await self._put("trip", trip.state, UNDERWAY.seconds, first=True)
        except APIError as error:
            if error.err_code != _WRONG_LAST_SEQUENCE:
                raise
            return False
        return True

    async def _get(self, what: str, name: str) -> str | None:
        try:
            found = await self._js.get_last_msg(
                STREAM, _subject(what, name), direct=True
            )
        except NotFoundError:
            return None
        return (found.data or b"").decode()


def _subject(what: str, name: str) -> str:
    return f"$KV.signin.{what}.{_hash(name)}"


def _holder(badge: Badge) -> str:
    return badge.owner or badge.key_hash


def _hash(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:32]


async def _told(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except (NatsError, TimeoutError):
        text = "NATS does not answer: nobody can sign in or out"
        raise unavailable(text) from None
