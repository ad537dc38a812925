"""A command and a step that only tests know, on durables of their own."""

from typing import ClassVar

import pytest
from nats.js.api import AckPolicy, ConsumerConfig

from contracts.message import Command
from contracts.tasks import AttemptCommand


class _Probe(Command):
    SUBJECT: ClassVar[str] = "cmd.poller.probe.{name}"
    DEADLINE_SECONDS: ClassVar[float | None] = None

    name: str


class _Step(AttemptCommand):
    SUBJECT: ClassVar[str] = "cmd.poller.step.{task}-{attempt}"
    DEADLINE_SECONDS: ClassVar[float | None] = 2.0

    session: str = "s1"
    send: int = 2


@pytest.fixture
async def js(nats):
    """Give JetStream, provisioned, with the durables of probe and step."""
    await nats.provision()
    client = await nats.connect()
    stream = client.jetstream()
    for command in (_Probe, _Step):
        await stream.add_consumer(
            "CMD",
            ConsumerConfig(
                durable_name=command.durable(),
                filter_subject=command.pattern(),
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=30.0,
            ),
        )
    yield stream
    await client.close()


@pytest.fixture
def probe():
    return _Probe


@pytest.fixture
def step():
    return _Step
