"""Makes streams and consumers what `streams.py` declares, and tells where they are not.

Services declare nothing: at start they check that what they need stands as it does
there, because a durable that exists keeps its old settings in silence.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from enum import Enum
from typing import Any

from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, StreamConfig
from nats.js.errors import NotFoundError

from contracts.streams import ACK_WAIT_SECONDS, consumers, streams


class NotProvisionedError(Exception):
    """A stream or consumer is missing, or is not as declared."""


async def provision(
    js: JetStreamContext, ack_wait: float = ACK_WAIT_SECONDS
) -> list[str]:
    """Create what is missing, update what differs; return what was done, in words."""
    done = [await _provide_stream(js, wanted) for wanted in streams()]
    for stream, wanted in consumers(ack_wait):
        done.append(await _provide_consumer(js, stream, wanted))
    return [line for line in done if line]


async def require(
    js: JetStreamContext,
    durables: Sequence[str],
    needed: Collection[str] = (),
    ack_wait: float = ACK_WAIT_SECONDS,
) -> None:
    """Raise NotProvisionedError unless durables and streams are as declared here."""
    problems = await stream_drift(js, needed)
    problems += await drift(js, durables, ack_wait)
    if problems:
        raise NotProvisionedError(
            "; ".join(problems) + ". Run `jimeng provision` first."
        )


async def drift(
    js: JetStreamContext, durables: Sequence[str], ack_wait: float = ACK_WAIT_SECONDS
) -> list[str]:
    """Return how the named durables differ from what is declared here, in words."""
    found: list[str] = []
    for stream, wanted in consumers(ack_wait):
        name = str(wanted.durable_name)
        if name not in durables:
            continue
        try:
            info = await js.consumer_info(stream, name)
        except NotFoundError:
            found.append(f"consumer {stream}/{name} does not exist")
            continue
        found += [f"consumer {stream}/{name}: {d}" for d in _differs(wanted, info)]
    return found


async def stream_drift(js: JetStreamContext, needed: Collection[str]) -> list[str]:
    """Return how the named streams differ from what is declared here, in words.

    How much they keep, and how often, is the operator's.
    """
    found: list[str] = []
    for wanted in streams():
        if wanted.name not in needed:
            continue
        try:
            info = await js.stream_info(str(wanted.name))
        except NotFoundError:
            found.append(f"stream {wanted.name} does not exist")
            continue
        found += [
            f"stream {wanted.name}: {difference}"
            for difference in _differs(wanted, info, but=_OPERATORS)
        ]
    return found


_OPERATORS = {"max_age", "max_bytes", "num_replicas"}


async def _provide_stream(js: JetStreamContext, wanted: StreamConfig) -> str | None:
    try:
        info = await js.stream_info(str(wanted.name))
    except NotFoundError:
        await js.add_stream(wanted)
        return f"created stream {wanted.name}"
    if not (differences := _differs(wanted, info)):
        return None
    await js.update_stream(wanted)
    return f"updated stream {wanted.name}: {', '.join(differences)}"


async def _provide_consumer(
    js: JetStreamContext, stream: str, wanted: ConsumerConfig
) -> str | None:
    try:
        info = await js.consumer_info(stream, str(wanted.durable_name))
    except NotFoundError:
        await js.add_consumer(stream, wanted)
        return f"created consumer {stream}/{wanted.durable_name}"
    if not (differences := _differs(wanted, info)):
        return None
    await js.add_consumer(stream, wanted)
    return f"updated consumer {stream}/{wanted.durable_name}: {', '.join(differences)}"


def _differs(
    wanted: StreamConfig | ConsumerConfig, info: Any, but: Collection[str] = ()
) -> list[str]:
    """Compare the settings we choose; what we leave open is the server's."""
    defaults = asdict(type(wanted)())
    found = asdict(info.config)
    return [
        f"{name} is {_plain(found.get(name))}, declared {_plain(value)}"
        for name, value in asdict(wanted).items()
        if name not in but
        and value != defaults[name]
        and _plain(found.get(name)) != _plain(value)
    ]


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
