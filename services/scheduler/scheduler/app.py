"""Builds the scheduler: one writer, readers, the relay, and what they handle."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.bus import Bus
from contracts.keys import KeyEntry
from contracts.requests import RequestRefusedError
from runtime import hooks, logs
from runtime.background import running
from runtime.durable import make_folder
from runtime.links import LinkKeys
from runtime.roots import roots
from runtime.sealing import Ring
from runtime.service import App, fatal
from scheduler import (
    delivery_work,
    endpoint_work,
    handlers,
    keeping,
    key_work,
    noticing,
    queueing,
)
from scheduler.announcing import issue_due
from scheduler.lease import Lease
from scheduler.post import Post
from scheduler.relay import Relay
from scheduler.rotation import rotate_key
from scheduler.settings import SchedulerSettings
from scheduler.store import audit, outbox
from scheduler.store.engine import (
    database_url,
    looking_engine,
    reading,
    reading_engine,
    writing_engine,
)
from scheduler.store.migrate import migrate, prepare
from scheduler.vault import Vault
from scheduler.writer import Turn, Writer, number_after

__all__ = ["create_app", "rotate_key"]

log = logging.getLogger("scheduler")


def create_app(settings: SchedulerSettings) -> App:
    """Build the service.

    Raises SettingsError for a database or secret that cannot be used.
    """
    make_folder(settings.data_dir)
    secrets = roots(settings, settings.data_dir)
    vault, ring = Vault(*secrets), Ring(hooks.PURPOSE, *secrets)
    url = database_url(settings.database_url, settings.data_dir)
    writing, reads = writing_engine(url), reading_engine(url)
    looking = looking_engine(url)
    bus = Bus(
        "scheduler",
        settings.link,
        fatal=fatal,
        needed=frozenset({KeyEntry.STREAM}),
        scope=logs.about,
    )
    relay = Relay(bus)

    lease = Lease(writing, reads, settings.data_dir, settings.lease_secs, fatal)

    lookout = queueing.Lookout(settings.rules)
    post = Post()
    writer = Writer(writing, lease, lookout.look, relay.take, post)
    handlers.register(bus, writer, relay, settings.rules, vault)
    handlers.register_steering(bus, writer, settings.rules, ring)
    handlers.register_pool(bus, writer, vault)
    handlers.register_reads(bus, reads, looking, vault)
    handlers.register_keys(bus, writer, relay, reads)
    handlers.register_accounts(bus, reads)
    keeping.register(bus, reads, writer)
    delivery_work.register(bus, writer, reads, ring, LinkKeys(*secrets))
    endpoint_work.register(bus, writer, reads, ring)

    @asynccontextmanager
    async def database() -> AsyncIterator[None]:
        await asyncio.to_thread(prepare, url)
        yield
        await writing.dispose()
        await reads.dispose()
        await looking.dispose()

    @asynccontextmanager
    async def upgraded() -> AsyncIterator[None]:
        with lease.upgrading() as epoch:
            await asyncio.to_thread(migrate, url, epoch)
        yield

    @asynccontextmanager
    async def left_over() -> AsyncIterator[None]:
        async with reading(reads) as db:  # before anything newer can be said
            # Not by the clock alone: another scheduler's may have been ahead of ours.
            number_after(await outbox.last_id(db))
            relay.take(await outbox.left(db))
        yield

    online = asyncio.Event()

    async def publish() -> None:
        await online.wait()
        await relay.run(writer)

    @asynccontextmanager
    async def resumed() -> AsyncIterator[None]:
        online.set()
        await _tell_keys(bus, writer)
        await _look_again(writer)
        async with (
            running(lambda: _reconcile(bus, writer, reads, settings)),
            running(lambda: post.run(lambda: writer.do(issue_due))),
        ):
            yield

    work_on = (left_over(), running(publish), running(writer.run))
    held = lease.held(lambda: bus.connected)
    before = (database(), held, upgraded(), *work_on)
    return App(bus, before=before, after=[resumed()])


async def _tell_keys(bus: Bus, writer: Writer) -> None:
    """Make the bucket what the table is: either may have come from a backup."""
    pattern = KeyEntry.pattern()
    found = await bus.jetstream.stream_info(KeyEntry.STREAM, subjects_filter=pattern)
    known = {subject.rpartition(".")[2] for subject in found.state.subjects or {}}
    await writer.do(partial(key_work.tell_all, known=known))


async def _reconcile(
    bus: Bus, writer: Writer, reads: AsyncEngine, settings: SchedulerSettings
) -> None:
    """Look again and again at what may have been lost, and at what is too old."""
    days = settings.retention_days
    kept = timedelta(days=days) if days else None
    while True:
        await asyncio.sleep(settings.reconcile_secs)
        await _look_again(writer)
        with _shielded("what operators should know"):
            await noticing.look(bus, writer, settings.notices)
        with _shielded("old files"):
            await keeping.delete_old(reads, writer, kept)
        with _shielded("old deeds"):
            age = timedelta(days=settings.audit_days)
            await writer.do(partial(_forget_deeds, age=age))


async def _forget_deeds(turn: Turn, age: timedelta) -> None:
    await audit.forget_old(turn.db, turn.now - age)


async def _look_again(writer: Writer) -> None:
    for look in handlers.LOOKS:
        with _shielded(look.__name__):
            await writer.do(look)


@contextmanager
def _shielded(what: str) -> Iterator[None]:
    """Go on with the rest, and with this one next time, whatever fails."""
    try:
        yield
    except (DBAPIError, RequestRefusedError) as error:  # a full disk, say
        log.warning("%s not looked after, again soon: %s", what, error)
    except Exception:
        log.exception("%s not looked after, again soon", what)
