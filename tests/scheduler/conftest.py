"""A running scheduler, and the hands that play every other service."""

import pytest

from scheduler_support import Stage


@pytest.fixture
async def stage(nats, make_bus, until, tmp_path):
    async with Stage(nats, make_bus, until, tmp_path) as stage:
        yield stage
