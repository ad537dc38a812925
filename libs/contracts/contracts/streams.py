"""Every stream, bucket and consumer, declared once; `provision.py` makes them so."""

from enum import Enum
from typing import Any

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    PersistMode,
    RePublish,
    RetentionPolicy,
    StorageType,
    StoreCompression,
    StreamConfig,
)
from nats.js.errors import APIError

from contracts import sessions, tasks, webhooks
from contracts.message import Command

HOUR = 3_600.0
DAY = 24 * HOUR
MIB = 1024 * 1024
GIB = 1024 * MIB
ACK_WAIT_SECONDS = 30.0  # how long what a dead worker had lies idle

COMMANDS: tuple[type[Command], ...] = (
    tasks.CreateTask,
    tasks.UploadReferences,
    tasks.SubmitInPage,
    tasks.SubmitPlain,
    tasks.PollSession,
    tasks.StoreResults,
    tasks.DeleteFiles,
    tasks.DeleteResults,
    sessions.CheckSession,
    webhooks.Deliver,
)
WORKERS_FACTS: tuple[str, ...] = (
    "evt.task.*.uploader.*",
    "evt.task.*.signer.*",
    "evt.task.*.poller.*",
    "evt.task.*.downloader.*",
    "evt.session.*.poller.*",
    "evt.*.*.notifier.*",
    "evt.sys.*.gateway-http.*",
)
"""What the scheduler hears: the others' events, never its own."""

FACTS_DURABLE = "scheduler-facts"

PUBLIC_EVENTS = "evt.*.*.scheduler.*"
PUBLIC_TASK_EVENTS = "evt.task.*.scheduler.*"
"""What the scheduler tells everybody."""
PUBLIC_WAKES = "live.public.*"
"""Where it is said that one of them is stored and can be read; to who listens."""


NEEDED_TO_LIVE = frozenset({"LOG", "KV_workers"})
"""The streams of what every service says: its lines, and that it lives."""

NEEDED_TO_TAKE = frozenset({"CMD", "EVT", "DLQ", "KV_marks"})
"""The streams of who takes commands."""


class Kept(Enum):
    """How a command came to be in CMD. Each of them means that it is there."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    STILL_THERE = "still there"


def is_still_there(error: APIError) -> bool:
    """Whether a command was refused because one with its subject is in CMD.

    10077 is the code of any store failure; only this text means that.
    """
    return "maximum messages per subject exceeded" in str(error.description)


def streams() -> list[StreamConfig]:
    """Return the streams and buckets as they must be."""
    return [
        # A work queue in which a command's subject is free or taken: issuing a command
        # that still waits, sleeps or is worked on is refused, so re-issuing is safe.
        # One explicit prefix a service: a typo must fail, not lie unmatched for ever.
        _stream(
            "CMD",
            sorted({f"cmd.{c.service()}.>" for c in COMMANDS}),
            retention=RetentionPolicy.WORK_QUEUE,
            discard=DiscardPolicy.NEW,
            discard_new_per_subject=True,
            max_msgs_per_subject=1,
            max_bytes=GIB,
        ),
        # Progress carries a time to live of its own; the rest stays for 30 days.
        _stream(
            "EVT",
            ["evt.task.*.*.*", "evt.session.>", "evt.sys.>"],
            compression=StoreCompression.S2,
            max_age=30 * DAY,
            max_bytes=4 * GIB,
            deny_delete=True,
            allow_msg_ttl=True,
            republish=RePublish(
                PUBLIC_EVENTS,
                PUBLIC_WAKES.replace("*", "{{wildcard(1)}}"),
                headers_only=True,
            ),
        ),
        # A lost log line is no lost task: acknowledged before it is on disk.
        _stream(
            "LOG",
            ["log.*.*.*"],
            compression=StoreCompression.S2,
            persist_mode=PersistMode.ASYNC,
            max_age=3 * DAY,
            max_bytes=GIB,
            max_msgs_per_subject=5_000,
        ),
        _stream("DLQ", ["dlq.>"], max_age=90 * DAY, max_bytes=GIB // 4),
        # What keys have used in this minute, and on this day.
        _counters("RATE", "rate.*.*", persist_mode=PersistMode.ASYNC, max_age=180.0),
        _counters("QUOTA", "quota.*.*.*", max_age=3 * DAY, duplicate_window=HOUR),
        _bucket("workers"),
        _bucket("follow"),
        _bucket("marks"),
        _bucket("idem", GIB // 4),  # a million keys a day
        _bucket("keys"),
        _bucket("signin"),
    ]


def consumers(
    ack_wait: float = ACK_WAIT_SECONDS,
) -> list[tuple[str, ConsumerConfig]]:
    """Return (stream, consumer) pairs as they must be."""
    commands = [("CMD", _worker(c)) for c in COMMANDS]
    facts = _consumer(FACTS_DURABLE, max_ack_pending=2_000)
    facts.filter_subjects = list(WORKERS_FACTS)
    found = [*commands, ("EVT", facts)]
    for _, consumer in found:
        consumer.ack_wait = ack_wait
    return found


def _stream(name: str, subjects: list[str], **settings: Any) -> StreamConfig:
    base: dict[str, Any] = {
        "retention": RetentionPolicy.LIMITS,
        "storage": StorageType.FILE,
        "discard": DiscardPolicy.OLD,
        "allow_direct": True,  # the CLI can look without consuming
        "duplicate_window": 600.0,
        "num_replicas": 1,
    }
    return StreamConfig(name=name, subjects=subjects, **(base | settings))


def _counters(name: str, subject: str, **settings: Any) -> StreamConfig:
    """Return a stream of numbers: each message adds to the one before it."""
    base: dict[str, Any] = {
        "allow_msg_counter": True,
        "max_msgs_per_subject": 1,
        "max_bytes": 16 * MIB,
        "duplicate_window": 120.0,
    }
    return _stream(name, [subject], **(base | settings))


def _bucket(name: str, most_bytes: int = 64 * MIB) -> StreamConfig:
    """Return the stream behind a key-value bucket whose keys may expire one by one."""
    return _stream(
        f"KV_{name}",
        [f"$KV.{name}.>"],
        discard=DiscardPolicy.NEW,
        max_msgs_per_subject=1,
        allow_rollup_hdrs=True,
        allow_msg_ttl=True,
        deny_delete=True,
        duplicate_window=120.0,
        max_bytes=most_bytes,
    )


def _worker(command: type[Command]) -> ConsumerConfig:
    # Planned waits stay pending, and beyond this number nothing else is delivered:
    # every session has one poll waiting.
    pending = 50_000 if command is tasks.PollSession else 1_000
    consumer = _consumer(command.durable(), max_ack_pending=pending)
    consumer.filter_subject = command.pattern()
    return consumer


def _consumer(durable: str, max_ack_pending: int) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=durable,
        name=durable,
        ack_policy=AckPolicy.EXPLICIT,
        deliver_policy=DeliverPolicy.ALL,
        # Planned waits are deliveries too, and a work queue keeps what ran out of
        # deliveries for ever, unseen: age bounds retries, never a count.
        max_deliver=-1,
        max_ack_pending=max_ack_pending,
    )
