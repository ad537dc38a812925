"""How much a key may ask for: requests a minute, tasks a day.

Everything is counted before it is done and given back when it is refused, so that a
gateway which dies in between costs its caller one, and never gives one away. Without
NATS nothing can be counted and nothing is let through; nothing could be done either.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.bus import Bus
from contracts.counting import REQUESTS, TASKS, Period, add
from contracts.keys import Key
from gateway_http.access import Caller
from gateway_http.problems import Problem, problem_response, unavailable

Clock = Callable[[], datetime]
TOLD = {
    REQUESTS: ("rate_limited", "{} requests a minute"),
    TASKS: ("quota_exceeded", "{} tasks a day (UTC)"),
}
log = logging.getLogger("http")


@dataclass(frozen=True)
class Window:
    """How much of a limit is used."""

    period: Period
    limit: int
    used: int
    left_seconds: int

    @property
    def remaining(self) -> int:
        """How much may still be asked for before it is as new."""
        return max(0, self.limit - self.used)


class Allowance:
    """What one request may take from its key's limits."""

    def __init__(self, bus: Bus, key: Key | None, request_id: str, now: Clock) -> None:
        self._bus = bus
        self._key = key
        self._request = request_id
        self._now = now
        self.windows: list[Window] = []

    async def request(self) -> None:
        """Count the request itself. Raises Problem where it is one too many."""
        if self._key and self._key.rate_limit:
            await self._take(REQUESTS, self._key.rate_limit)

    @asynccontextmanager
    async def task(self) -> AsyncIterator[Callable[[], None]]:
        """Count a task; given back when it fails, or by a call of what is given.

        Raises Problem where it is one too many.
        """
        unused = False

        def give_back() -> None:
            nonlocal unused
            unused = True

        if not (self._key and self._key.daily_quota):
            yield give_back
            return
        subject = await self._take(TASKS, self._key.daily_quota)
        try:
            yield give_back
        except Exception as error:
            # What may have been accepted counts.
            if not (isinstance(error, Problem) and error.kind == "acceptance_unknown"):
                await self._give_back(subject)
            raise
        if unused:
            await self._give_back(subject)

    async def _take(self, period: Period, limit: int) -> str:
        """Count one, or raise a Problem; return where it was counted."""
        moment = self._now()
        subject = period.subject(self._id, moment)
        try:
            used = await add(self._js, subject, 1, f"{self._request}:{period.name}")
        except (NatsError, TimeoutError):
            raise unavailable("NATS does not answer: nothing can be counted") from None
        self.windows.append(Window(period, limit, used, period.left_seconds(moment)))
        if used > limit:
            if period is TASKS:  # of requests those refused count too
                await self._give_back(subject)
            raise _too_many(self.windows[-1])
        return subject

    async def _give_back(self, subject: str) -> None:
        try:
            await add(self._js, subject, -1, f"{self._request}:back")
        except (NatsError, TimeoutError) as error:
            log.warning("a task that was not made stays counted: %r", error)

    @property
    def _id(self) -> str:
        return self._key.id if self._key else ""

    @property
    def _js(self) -> JetStreamContext:
        if not self._bus.connected:
            raise unavailable("NATS is away: nothing can be counted")
        return self._bus.jetstream


class Limited:
    """Counts requests, and tells in each answer how much is left."""

    def __init__(self, app: ASGIApp, bus: Bus, now: Clock) -> None:
        self._app = app
        self._bus = bus
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        caller: Caller = scope["caller"]
        allowed = Allowance(self._bus, caller.key, scope["request_id"], self._now)
        scope["allowance"] = allowed

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start" and allowed.windows:
                headers = MutableHeaders(raw=message["headers"])
                headers.update(_headers(allowed.windows))
                message["headers"] = headers.raw
            await send(message)

        try:
            await allowed.request()
        except Problem as problem:
            response = problem_response(problem, scope["request_id"])
            await response(scope, receive, send_with_limits)
            return
        await self._app(scope, receive, send_with_limits)


def _too_many(window: Window) -> Problem:
    kind, words = TOLD[window.period]
    text = f"this key may make {words.format(window.limit)}: try again later"
    return Problem(
        429,
        kind,
        f"{text}, in {window.left_seconds} s",
        headers={"Retry-After": str(window.left_seconds)},
        limit=window.limit,
        retry_after=window.left_seconds,
        violated_policies=[window.period.name],
    )


def _headers(windows: list[Window]) -> dict[str, str]:
    """Tell what is left: by the IETF's draft, and in the words that came before it."""
    policies = (f'"{w.period.name}";q={w.limit};w={w.period.seconds}' for w in windows)
    states = (f'"{w.period.name}";r={w.remaining};t={w.left_seconds}' for w in windows)
    told = {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
    least = min(windows, key=lambda window: window.remaining)
    for name, value in (
        ("limit", str(least.limit)),
        ("remaining", str(least.remaining)),
        ("reset", str(least.left_seconds)),
    ):
        told[f"x-ratelimit-{name}"] = value
        unit = "s" if name == "reset" else ""
        told[f"x-ratelimit-{name}-requests"] = f"{value}{unit}"
    return told
