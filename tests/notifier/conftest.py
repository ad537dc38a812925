"""A running scheduler and notifier, and a receiver of what they tell."""

import pytest

from gateway_support import beat, run_gateway
from notifier.app import create_app
from notifier.settings import Settings
from receiver_support import receiving
from scheduler_support import Stage
from workers_support import read_settings, running

__all__ = ["beat", "run_gateway"]
PAUSES = "0,0,0"


@pytest.fixture
async def receiver():
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def stage(nats, make_bus, until, tmp_path):
    """A scheduler that does not wait between tries, its workers played by hand."""
    stage = Stage(nats, make_bus, until, tmp_path, webhook_pauses_secs=PAUSES)
    async with stage:
        yield stage


@pytest.fixture
def make_notifier(nats, tmp_path, receiver):
    """Make notifiers that may speak to the receiver: `async with running(...)`."""

    def make(network=None, **more):
        given = {"webhook_allow": receiver.place} | more
        return create_app(read_settings(Settings, nats, tmp_path, **given), network)

    return make


@pytest.fixture
async def notifier(make_notifier, stage):
    async with running(make_notifier()) as app:
        yield app
