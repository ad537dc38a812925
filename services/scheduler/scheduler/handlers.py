"""What the scheduler takes: creates, the workers' facts, requests."""

import asyncio
from asyncio import Future
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from contracts import keys as keyed
from contracts import pool, workers
from contracts import requests as asked
from contracts import tasks as said
from contracts.audit import DeedAnswered, DeedAsked, Deeds, ListDeeds
from contracts.bus import Bus
from contracts.delivery import Again
from contracts.message import Event
from contracts.sessions import SessionChecked
from contracts.usage import ReadUsage, Usage
from contracts.webhooks import Delivered, DeliveryFailed, DeliveryTried
from runtime.sealing import Ring
from scheduler import (
    check_work,
    delivery_work,
    key_work,
    pool_work,
    queueing,
    replace_work,
    sends,
    work,
)
from scheduler.relay import Relay
from scheduler.store import (
    attempts,
    audit,
    keys,
    listing,
    session_views,
    sessions,
    usage,
)
from scheduler.store.engine import reading
from scheduler.vault import Vault
from scheduler.views import page_of, task_view
from scheduler.work import Rules, not_found, refusal
from scheduler.writer import FullError, Turn, Writer

Q = TypeVar("Q", bound=asked.Request[pool.SessionReply])

K = TypeVar("K", bound=asked.Request[keyed.Key])

FULL_SECONDS = 5.0
TOLD_SECONDS = 2.0
FACTS: dict[str, type[Event]] = {
    "uploader.uploaded": said.Uploaded,
    "uploader.failed": said.UploadFailed,
    "uploader.died": said.Died,
    "signer.submitted": said.Submitted,
    "signer.refused": said.Refused,
    "signer.unknown": said.Unknown,
    "signer.died": said.Died,
    "poller.progressed": said.Progressed,
    "poller.generated": said.Generated,
    "poller.failed": said.GenerationFailed,
    "poller.absent": said.Absent,
    "downloader.stored": said.Stored,
    "downloader.failed": said.StoreFailed,
    "downloader.died": said.Died,
    "poller.checked": SessionChecked,
    "notifier.delivered": Delivered,
    "notifier.failed": DeliveryFailed,
    "gateway-http.asked": DeedAsked,
    "gateway-http.answered": DeedAnswered,
}


def register(
    bus: Bus, writer: Writer, relay: Relay, rules: Rules, vault: Vault
) -> None:
    """Register what changes something; each waits for its commit."""
    rounds = sends.Rounds(rules.poll_min_seconds)

    @bus.consume(said.CreateTask, concurrency=64)
    async def create(command: said.CreateTask) -> None:
        with _room():
            await writer.do(lambda turn: work.create(turn, command))

    @bus.hear(FACTS, concurrency=64)
    async def fact(event: Event) -> None:
        with _room():
            await writer.do(lambda turn: _take(turn, event, rules))

    @bus.answer(workers.AskPermit)
    async def permit(request: workers.AskPermit) -> workers.Permit:
        return await writer.do(lambda turn: sends.permit(turn, request, rules))

    @bus.answer(workers.AskDue)
    async def due(request: workers.AskDue) -> workers.DueAttempts:
        async def answer(turn: Turn) -> workers.DueAttempts:
            # It is at work: a poll command that still waits is not needed.
            relay.unneeded(said.PollSession(session=request.session))
            return await sends.due(turn, request, rules, rounds, vault.open)

        return await writer.do(answer)


async def _take(turn: Turn, event: Event, rules: Rules) -> None:
    match event:
        case SessionChecked():
            await check_work.checked(turn, event)
        case DeedAsked():
            await audit.asked(turn.db, event)
        case DeedAnswered():
            await audit.answered(turn.db, event)
        case DeliveryTried():
            await delivery_work.tried(turn, event, rules)
        case _:
            await work.fact(turn, event, rules)


def register_steering(bus: Bus, writer: Writer, rules: Rules, ring: Ring) -> None:
    """Register what a person decides about a task."""

    @bus.answer(asked.CancelTask)
    async def cancel(request: asked.CancelTask) -> asked.Cancelled:
        return await writer.do(lambda turn: work.cancel(turn, request, rules))

    @bus.answer(asked.ResolveTask)
    async def resolve(request: asked.ResolveTask) -> asked.Task:
        return await writer.do(lambda turn: work.resolve(turn, request, rules))

    @bus.answer(asked.RetryTask)
    async def retry(request: asked.RetryTask) -> asked.Task:
        return await writer.do(lambda turn: work.retry(turn, request, rules, ring))


def register_pool(bus: Bus, writer: Writer, vault: Vault) -> None:
    """Register what changes the pool of sessions."""

    def answer(
        kind: type[Q], work: Callable[[Turn, Q], Awaitable[pool.SessionReply]]
    ) -> None:
        async def reply(request: Q) -> pool.SessionReply:
            return await writer.do(lambda turn: work(turn, request))

        bus.answer(kind)(reply)

    answer(pool.AddSession, partial(pool_work.add, vault=vault))
    answer(pool.RemoveSession, pool_work.remove)
    answer(pool.EnableSession, pool_work.enable)
    answer(pool.TestSession, pool_work.test)
    answer(pool.ReplaceCredential, partial(replace_work.replace, vault=vault))
    answer(pool.SetProxy, partial(replace_work.set_proxy, vault=vault))
    answer(pool.SetSession, pool_work.change)
    answer(pool.DrainSession, pool_work.drain)


def register_keys(bus: Bus, writer: Writer, relay: Relay, reads: AsyncEngine) -> None:
    """Register what is about API keys.

    A change is answered when the gateways know of it, or will, NATS being slow.
    """

    def answer(kind: type[K], work: Callable[[Turn, K], Awaitable[keyed.Key]]) -> None:
        async def reply(request: K) -> keyed.Key:
            async def noted(turn: Turn) -> tuple[keyed.Key, list[Future[None]]]:
                before = len(turn.parcels)
                key = await work(turn, request)
                return key, relay.awaited(turn.parcels[before:])

            key, told = await writer.do(noted)
            if told:
                await asyncio.wait(told, timeout=TOLD_SECONDS)
            return key

        bus.answer(kind)(reply)

    answer(keyed.CreateKey, key_work.create)
    answer(keyed.SetKey, key_work.change)
    answer(keyed.RotateKey, key_work.rotate)
    answer(keyed.DeleteKey, key_work.delete)

    @bus.answer(keyed.ListKeys)
    async def list_keys(_: keyed.ListKeys) -> keyed.Keys:
        async with reading(reads) as db:
            rows = await keys.every(db)
        return keyed.Keys(keys=tuple(keys.key_of(row) for row in rows))

    @bus.answer(keyed.ReadKey)
    async def read_key(request: keyed.ReadKey) -> keyed.Key:
        async with reading(reads) as db:
            row = await keys.load(db, request.id)
        if row is None:
            raise not_found("key")
        return keys.key_of(row)


def register_accounts(bus: Bus, reads: AsyncEngine) -> None:
    """Register what tells who used what, and who did what."""

    @bus.answer(ListDeeds)
    async def list_deeds(request: ListDeeds) -> Deeds:
        async with reading(reads) as db:
            found, cursor = await audit.page(db, request)
        return Deeds(deeds=tuple(found), cursor=cursor)

    @bus.answer(ReadUsage)
    async def read_usage(request: ReadUsage) -> Usage:
        async with reading(reads) as db:
            found = await usage.used(db, request)
        if len(found) > usage.MOST:
            text = "that is too much for one answer: ask for fewer days, or one key"
            raise refusal(422, "too-much", text)
        return Usage(used=tuple(found))


def register_reads(
    bus: Bus, engine: AsyncEngine, looking: AsyncEngine, vault: Vault
) -> None:
    """Register what only reads; it never waits for the writer."""

    @bus.answer(asked.ReadTask)
    async def read_task(request: asked.ReadTask) -> asked.Task:
        async with reading(looking) as db:
            found = await task_view(db, request.task)
        if found is None or request.seen_by not in {None, found.owner}:
            raise not_found("task")
        return found

    @bus.answer(asked.ListTasks)
    async def list_tasks(request: asked.ListTasks) -> asked.TaskPage:
        try:
            async with reading(engine) as db:
                found, cursor = await listing.page(db, request)
                every = await _counted(db, request)
                latest = await attempts.latest(db, [task.id for task in found])
                known = await sessions.pool(db)
        except ValueError as error:
            text = f"cursor: {error}"
            raise refusal(422, "invalid-cursor", text, "cursor") from None
        return page_of(found, latest, known, cursor, every)

    @bus.answer(asked.ReadStats)
    async def stats(request: asked.ReadStats) -> asked.Stats:
        async with reading(engine) as db:
            return await listing.counts(db, asked.TaskFilter(), request.seen_by)

    @bus.answer(pool.ListSessions)
    async def list_sessions(_: pool.ListSessions) -> pool.Sessions:
        async with reading(engine) as db:
            return pool.Sessions(sessions=tuple(await session_views.views(db)))

    @bus.answer(pool.ReadSession)
    async def read_session(request: pool.ReadSession) -> pool.SessionReply:
        async with reading(engine) as db:
            found = await session_views.views(db, request.id)
        if not found:
            raise not_found("session")
        return pool.SessionReply(session=found[0])

    @bus.answer(workers.GetCredential)
    async def credential(request: workers.GetCredential) -> workers.Credential:
        async with reading(looking) as db:
            return await vault.open(db, request.session, request.credential)


async def _counted(db: AsyncConnection, wish: asked.ListTasks) -> asked.Stats | None:
    return await listing.counts(db, wish, wish.seen_by) if wish.counted else None


@contextmanager
def _room() -> Iterator[None]:
    """Have a message delivered again soon while the database's disk is full."""
    try:
        yield
    except FullError:
        raise Again(FULL_SECONDS) from None


# What takes up what was left or lost: nothing is reset, only looked at.
LOOKS = (
    pool_work.take_out_drained,
    check_work.look_after_checks,
    queueing.reconcile,
    delivery_work.forget_old_deliveries,
)
