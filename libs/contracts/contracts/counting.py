"""What keys have used, in counters of JetStream: the same for every gateway.

Each is one message that the server adds to (ADR-49), so two gateways that race are told
two different numbers. An addition has an id: made twice, after a lost answer, it counts
once.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import PubAck
from nats.js.errors import NotFoundError

from boundary import boundary
from contracts.message import token


@dataclass(frozen=True)
class Period:
    """What is counted for so long, in which stream."""

    name: str
    seconds: int
    stream: str
    pattern: str

    def subject(self, key: str, moment: datetime) -> str:
        """Return the counter of a key at a moment."""
        begin = datetime.fromtimestamp(self._begin(moment), UTC)
        return f"{self.pattern.format(token(key))}.{begin:%Y%m%dT%H%M}"

    def left_seconds(self, moment: datetime) -> int:
        """Return how long it is until everything is as new."""
        return max(1, round(self._begin(moment) + self.seconds - moment.timestamp()))

    def _begin(self, moment: datetime) -> int:
        return int(moment.timestamp()) // self.seconds * self.seconds


@dataclass(frozen=True)
class Addition:
    """What is added to a counter, to be published once."""

    subject: str
    by: int


REQUESTS = Period("minute", 60, "RATE", "rate.{}")
TRIES = Period("tries", 60, "RATE", "rate.signin-{}")
"""Sign-ins that failed, of an address or of all."""
TASKS = Period("day", 86_400, "QUOTA", "quota.{}.tasks")
CREDITS = Period("credits", 86_400, "QUOTA", "quota.{}.credits")


async def add(js: JetStreamContext, subject: str, by: int, message_id: str) -> int:
    """Add to a counter; return what it comes to. Raises nats.errors.Error."""
    headers = {"Nats-Incr": f"{by:+d}", "Nats-Msg-Id": message_id}
    try:
        ack = await _published(js, subject, headers)
    except NatsTimeoutError:  # perhaps it is there
        ack = await _published(js, subject, headers)
    return int(ack.val) if ack.val else await _now(js, ack.stream, subject)


async def read(js: JetStreamContext, period: Period, key: str, moment: datetime) -> int:
    """Return what a counter comes to."""
    return await _now(js, period.stream, period.subject(key, moment))


async def _published(
    js: JetStreamContext, subject: str, headers: dict[str, str]
) -> PubAck:
    with boundary("publish", subject):
        return await js.publish(subject, headers=headers)


async def _now(js: JetStreamContext, stream: str, subject: str) -> int:
    try:
        found = await js.get_last_msg(stream, subject, direct=True)
    except NotFoundError:
        return 0
    return int(json.loads(found.data or b"{}").get("val", 0))
