"""Looks at what operators should know, and has it told to whoever listens."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from contracts.bus import Bus
from contracts.dead import STREAM as DEAD_LETTERS
from contracts.webhooks import Noticed
from runtime.heartbeat import SERVICES, living
from scheduler.announcing import notify
from scheduler.domain import noticing
from scheduler.domain.noticing import Condition, Known, Limits
from scheduler.store import endpoints, notices, sessions
from scheduler.writer import Turn, Writer

log = logging.getLogger("scheduler")


@dataclass(frozen=True)
class Outside:
    """What holds outside the database, and about what nobody could be asked."""

    found: tuple[Condition, ...]
    unknown: frozenset[Noticed] = frozenset()


async def look(bus: Bus, writer: Writer, limits: Limits) -> None:
    """Tell what is new."""
    outside = await _outside(bus, limits)
    await writer.do(lambda turn: _tell(turn, outside, limits))


async def _outside(bus: Bus, limits: Limits) -> Outside:
    unknown: set[Noticed] = {"notice.service_gone", "notice.disk_low"}
    found: list[Condition] = []
    with suppress(Exception):  # NATS is away: nothing is known
        beats = await living(bus)
        alive = {str(beat.get("service")) for beat in beats}
        found += noticing.of_services(
            (each for each in SERVICES if each not in alive), limits
        )
        lacking = (beat.get("lacking_room") for beat in beats)
        found += noticing.of_disks(str(text) for text in lacking if text)
        unknown -= {"notice.service_gone", "notice.disk_low"}
    unknown |= {"notice.dead_letters"}
    with suppress(Exception):
        state = (await bus.jetstream.stream_info(DEAD_LETTERS)).state
        found += noticing.of_dead_letters(state.messages, state.last_seq)
        unknown -= {"notice.dead_letters"}
    return Outside(tuple(found), frozenset(unknown))


async def _tell(turn: Turn, outside: Outside, limits: Limits) -> None:
    found = await _inside(turn, limits)
    found |= {each.key: each for each in outside.found}
    known = await notices.every(turn.db)
    for each in found.values():
        await _tell_of(turn, known.get(each.key), each, limits)
    await _note_over(turn, known, found, outside.unknown)
    await notices.forget(turn.db, turn.now - noticing.QUIET)


async def _inside(turn: Turn, limits: Limits) -> dict[str, Condition]:
    pool = [each for each in await sessions.pool(turn.db) if not each.lent]
    found: list[Condition] = [*noticing.of_pool(pool, turn.now, limits)]
    found += noticing.of_endpoints(await endpoints.every(turn.db))
    return {each.key: each for each in found}


async def _tell_of(
    turn: Turn, before: Known | None, found: Condition, limits: Limits
) -> None:
    after = noticing.seen(before, found, turn.now)
    if noticing.worth_telling(after, found, turn.now, limits):
        to = await turn.post.listeners(turn.db, found.occasion)
        if to:  # else it is told to the first who listens
            after = replace(after, told_at=turn.now, mark=found.mark)
            cause = f"{found.key}:{turn.now.isoformat()}"
            await notify(turn, found.occasion, cause, found.notice, to)
            log.warning("told: %s", found.notice.title)
    if after != before:
        await notices.save(turn.db, after)


async def _note_over(
    turn: Turn,
    known: dict[str, Known],
    found: Iterable[str],
    unknown: frozenset[Noticed],
) -> None:
    there = set(found)
    for key, each in known.items():
        if key not in there and each.over_at is None and each.occasion not in unknown:
            await notices.save(turn.db, replace(each, over_at=turn.now))
