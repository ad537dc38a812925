"""One command in, one request to a receiver, what became of it out."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import fetch
from contracts.bus import Bus
from contracts.delivery import Again
from contracts.message import now
from contracts.webhooks import AskDelivery, Deliver, DeliveryTried, DueDelivery
from notifier import domain

MOST_TO_ONE = 8  # at a time to one place: a slow one must not keep the others waiting
BUSY_SECONDS = 1.0

log = logging.getLogger("notifier")


def register(
    bus: Bus, sender: fetch.Sender, *, concurrency: int, seconds: float
) -> None:
    """Take the deliveries. A try that is broken off is made again, under its old id."""
    turns = Turns()

    @bus.consume(Deliver, concurrency=concurrency)
    async def deliver(command: Deliver) -> None:
        due = await bus.ask(AskDelivery(delivery=command.delivery, n=command.n))
        if not due.due:
            return
        with turns.one(due.url.get_secret_value() if due.url else ""):
            fact = await _tried(sender, command, due, seconds)
        log.info("webhook: %s", fact.status or type(fact).__name__)
        await bus.emit(fact)


async def _tried(
    sender: fetch.Sender, command: Deliver, due: DueDelivery, seconds: float
) -> DeliveryTried:
    """Send it once, and say what became of it."""
    made = domain.Attempt(command, due)
    if due.url is None:
        return made.impossible(due.unusable)
    post, began = domain.outgoing(command, due, now()), time.monotonic()
    try:
        answer = await sender.post(post.url, post.body, post.headers, seconds=seconds)
    except fetch.FetchError as error:
        return made.failed(str(error), post.body, time.monotonic() - began)
    return made.answered(answer, post.body, time.monotonic() - began, now())


class Turns:
    """How many requests each receiver has now."""

    def __init__(self) -> None:
        self._at: Counter[str] = Counter()

    @contextmanager
    def one(self, url: str) -> Iterator[None]:
        """Take a place at a receiver. Raises Again where it has enough."""
        place = domain.place_of(url)
        if self._at[place] >= MOST_TO_ONE:
            raise Again(BUSY_SECONDS)
        self._at[place] += 1
        try:
            yield
        finally:
            self._at[place] -= 1
            self._at += Counter()  # keeps what is above zero alone
