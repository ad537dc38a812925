"""One command in, facts out, again at the next due time."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

import jimeng
from contracts.bus import Bus
from contracts.delivery import Again
from contracts.message import now, words
from contracts.requests import RequestRefusedError
from contracts.sessions import CheckSession, SessionChecked
from contracts.tasks import Generated, PollSession
from contracts.workers import AskDue, Credential, DueAttempts, GetCredential
from poller import domain
from poller.domain import Fact, Pace
from poller.sites import Sites

POLL_SECONDS = 30.0
BEST_URL_SECONDS = 10.0
CHECK_SECONDS = 15.0  # who added the account waits 20 s for the outcome
ELSEWHERE_SECONDS = 5.0  # for each other host; within those of the whole check
NOT_FOUND = 404
TROUBLE = (jimeng.JimengError, TimeoutError)
SILENCE = (NatsTimeoutError, NoRespondersError)

log = logging.getLogger("poller")


@dataclass
class Watch:
    """What is remembered of a session between polls; losing it costs nothing."""

    advice_seconds: float | None = None
    failures: int = 0


def register_poll(bus: Bus, sites: Sites, pace: Pace, *, concurrency: int) -> None:
    """Take the polls: nothing the site answers ever fails a job but its own no."""
    watches: defaultdict[str, Watch] = defaultdict(Watch)

    @bus.consume(PollSession, concurrency=concurrency)
    async def poll(command: PollSession) -> None:
        session = command.session
        watch = watches[session]
        try:
            due = await _due(bus, session, watch.advice_seconds)
        except SILENCE:
            # Not left to the bus: it counts planned waits as failures too.
            log.warning("the scheduler does not answer")
            raise Again(domain.pause_after_trouble(session, 1, pace)) from None
        if not due.attempts and due.next_seconds is None:
            watches.pop(session, None)
            return
        if not due.attempts:
            raise Again(due.next_seconds or pace.interval_seconds)
        raise Again(await _round(bus, sites, due, watch=watch, pace=pace))


async def _due(bus: Bus, session: str, advice_seconds: float | None) -> DueAttempts:
    try:
        return await bus.ask(AskDue(session=session, advice_seconds=advice_seconds))
    except RequestRefusedError as no:
        if no.refusal.status == NOT_FOUND:
            return DueAttempts()
        raise


async def _round(
    bus: Bus, sites: Sites, due: DueAttempts, *, watch: Watch, pace: Pace
) -> float:
    """Ask the site and tell what it says; return in how many seconds to ask again."""
    if (credential := due.credential) is None:
        return due.next_seconds or pace.interval_seconds
    session = credential.session
    try:
        nodes, facts = await _look(sites, due, credential)
    except TROUBLE as error:
        watch.failures += 1
        await _tell_trouble(bus, credential, error)
        return domain.pause_after_trouble(session, watch.failures, pace)
    for fact in facts:
        what = words(type(fact).__name__)
        log.info("job: %s", what, extra={"task": fact.task, "round": fact.n})
        await bus.emit(fact)
    watch.failures = 0
    watch.advice_seconds = domain.advice(nodes.values())
    return domain.pause(session, watch.advice_seconds, due.next_seconds, pace)


async def _look(
    sites: Sites, due: DueAttempts, credential: Credential
) -> tuple[Mapping[str, jimeng.Node], list[Fact]]:
    """Ask for all that is due by one call; return the answers and what to tell."""
    ids = [attempt.submit_id for attempt in due.attempts]
    images = any(attempt.kind == "image" for attempt in due.attempts)
    facts: list[Fact] = []
    async with sites.at(credential) as site:
        async with asyncio.timeout(POLL_SECONDS):
            nodes = await site.history(ids, images=images)
        for attempt in due.attempts:
            fact = domain.reading(attempt, nodes.get(attempt.submit_id), now())
            if isinstance(fact, Generated) and attempt.kind == "video":
                fact = domain.with_best(fact, await _best(site, fact))
            facts += [fact] if fact else []
    return nodes, facts


async def _best(site: jimeng.Jimeng, generated: Generated) -> dict[str, str | None]:
    """Ask for better links than the previews; having none is no failure."""
    best: dict[str, str | None] = {}
    with suppress(*TROUBLE):
        async with asyncio.timeout(BEST_URL_SECONDS):
            for item in generated.items:
                best[item.id] = await site.best_url(item.id) if item.id else None
    return best


async def _tell_trouble(bus: Bus, credential: Credential, error: Exception) -> None:
    """Log a poll that went wrong; tell the scheduler what it says of the account."""
    log.warning("poll went wrong: %s", error or "no answer in time")
    if outcome := domain.signal(error):
        await bus.emit(
            SessionChecked(
                session=credential.session,
                credential=credential.credential,
                outcome=outcome,
                detail=str(error),
                n=time.time_ns(),
            )
        )


def register_check(bus: Bus, sites: Sites, *, concurrency: int) -> None:
    """Take the checks of single accounts."""

    @bus.consume(CheckSession, concurrency=concurrency)
    async def check(command: CheckSession) -> None:
        request = GetCredential(session=command.session, credential=command.credential)
        try:
            credential = await bus.ask(request)
        except RequestRefusedError as no:
            if no.refusal.status == NOT_FOUND:  # removed meanwhile
                return
            raise
        found = await _check(sites, credential, command)
        log.info("session is %s", found.outcome, extra={"reason": found.detail})
        await bus.emit(found)


async def _check(
    sites: Sites, credential: Credential, command: CheckSession
) -> SessionChecked:
    """Ask whether the login is valid, then what it may spend: two calls, no more.

    Outside China the first would be the second (protocol 3.4), so it is left out, as
    it is of a cheap check. With `elsewhere`, one more call to each other host while
    none knows the account.
    """
    live = purse = trouble = None
    end = asyncio.get_running_loop().time() + CHECK_SECONDS
    try:
        async with asyncio.timeout_at(end), sites.at(credential) as site:
            if site.account.region == "cn" and not command.cheap:
                live = await site.live()
            if live is None or live.alive:
                purse = await site.credits()
    except TROUBLE as error:
        trouble = error
    seek = command.elsewhere and domain.foreign(live, trouble)
    home = await _home(sites, credential, end) if seek else ()
    return domain.checked(credential, time.time_ns(), live, purse, trouble, home=home)


async def _home(
    sites: Sites, credential: Credential, end: float
) -> tuple[jimeng.Region, ...]:
    """Return the regions of the first other host that knows the account, if any."""
    for home in domain.other_homes(credential.region):
        there = credential.model_copy(update={"region": home[0]})
        limit = min(end, asyncio.get_running_loop().time() + ELSEWHERE_SECONDS)
        with suppress(*TROUBLE):
            async with asyncio.timeout_at(limit), sites.at(there) as site:
                if (await site.live()).alive:
                    return home
    return ()
