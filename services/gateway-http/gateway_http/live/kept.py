"""EVT as it is read here: by direct get, which leaves nothing behind in NATS.

No consumer: where we are in the log is one number, ours. So what a connection or a
server lost is read again, and nothing has to be made anew after a restart of either.
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nats.aio.msg import Msg
from nats.errors import ConnectionReconnectingError
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import NotFoundError

from contracts.bus import Bus
from contracts.message import token
from contracts.streams import PUBLIC_EVENTS
from gateway_http.live.told import Told, told

BATCH = 128
SECONDS = 3.0
FOUND_NOTHING = "404"
NO_MORE = "204"


@dataclass(frozen=True)
class Batch:
    """Some events in order, how far was read, and whether there are more."""

    told: list[Told]
    reached: int
    more: bool


@dataclass(frozen=True)
class Kept:
    """Whether there is a message at a place, and what it tells if it is public."""

    there: bool
    told: Told | None


class KeptEvents:
    """Reads the public events. Raises NatsError."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def ends(self) -> tuple[int, int]:
        """Return the first and the last place there is."""
        state = (await self._bus.jetstream.stream_info("EVT")).state
        return state.first_seq, state.last_seq

    async def at(self, place: int) -> Kept:
        """Return what is at a place."""
        found = await self._ask(seq=place) if place else []
        return Kept(bool(found), _told(found[0]) if found else None)

    async def last_of(self, task: str) -> Told | None:
        """Return what was told of a task last."""
        found = await self._ask(last_by_subj=of_task(task))
        return _told(found[0]) if found else None

    async def after(self, place: int, subject: str = PUBLIC_EVENTS) -> Batch:
        """Return what comes after a place, as far as one batch goes."""
        found = await self._ask(next_by_subj=subject, seq=place + 1, batch=BATCH)
        return Batch(
            [each for each in map(_told, found) if each],
            reached=_place(found[-1]) if found else place,
            more=len(found) == BATCH,
        )

    async def surely_after(self, place: int, subject: str) -> Batch:
        """Return what comes after a place; nothing only where there is nothing.

        A direct get may be answered by a server of a cluster that lags behind; so the
        one that leads is asked what is next where that knew of nothing.
        """
        batch = await self.after(place, subject)
        if batch.reached > place:
            return batch
        try:
            found = await self._bus.jetstream.get_msg(
                "EVT", seq=place + 1, subject=subject, next=True
            )
        except NotFoundError:
            return batch
        reached = int(found.seq or place)
        news = told(found.data or b"", reached, str(found.subject))
        return Batch([news] if news else [], reached, more=True)

    async def _ask(self, **wish: Any) -> list[Msg]:
        client = self._bus.client
        if not client.is_connected:
            raise ConnectionReconnectingError
        inbox = client.new_inbox()
        answers = await client.subscribe(inbox)
        try:
            async with asyncio.timeout(SECONDS):
                # no boundary: a question
                await client.publish(
                    "$JS.API.DIRECT.GET.EVT", json.dumps(wish).encode(), inbox
                )
                return await _all(answers.messages, one="batch" not in wish)
        except TimeoutError:
            raise NatsTimeoutError from None
        finally:
            with suppress(Exception):  # the connection may be gone, and this with it
                await answers.unsubscribe()


async def _all(answers: Any, *, one: bool) -> list[Msg]:
    found: list[Msg] = []
    async for answer in answers:
        status = (answer.headers or {}).get("Status")
        if status in {FOUND_NOTHING, NO_MORE}:
            break
        if status:
            raise NatsError(f"EVT cannot be read: {answer.headers}")
        found.append(answer)
        if one:
            break
    return found


def of_task(task: str) -> str:
    """Return the subjects of what is told of a task."""
    return f"evt.task.{token(task)}.scheduler.*"


def _place(message: Msg) -> int:
    return int((message.headers or {})["Nats-Sequence"])


def _told(message: Msg) -> Told | None:
    subject = (message.headers or {}).get("Nats-Subject", "")
    public = subject.split(".")[3:4] == ["scheduler"]
    return told(message.data, _place(message), subject) if public else None
