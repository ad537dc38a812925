"""The first breach that nothing mends, seen while a storm still goes on."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import suppress

import httpx
from nats.errors import Error as NatsError
from nats.js.errors import Error as StreamError

from chaos import evidence
from chaos.cluster import Cluster, database
from chaos.evidence import World
from chaos.invariants import (
    Broken,
    no_charge_without_a_task,
    nothing_is_paid_twice,
    revisions_have_no_gap,
)

LOOK_SECONDS = 2.0
AWAY = (httpx.HTTPError, NatsError, StreamError, OSError, sqlite3.Error)
_ROWS = "select id, status, stage, error_code error_kind, error_message from tasks"


def lasting(world: World) -> Iterator[Broken]:
    """Yield what is broken for good in a world that still moves."""
    yield from nothing_is_paid_twice(world)
    yield from no_charge_without_a_task(world)
    yield from revisions_have_no_gap(world)


async def first(cluster: Cluster, accepted: dict[str, str]) -> tuple[World, Broken]:
    """Wait for it; also return as much of the world as was looked at."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        with suppress(*AWAY):
            world = await _so_far(cluster, accepted)
            for broken in lasting(world):
                return world, broken


async def _so_far(cluster: Cluster, accepted: dict[str, str]) -> World:
    """Look at what only grows, in an order in which nothing can seem to be missing."""
    assert cluster.site
    assert cluster.client
    rows = database(cluster, _ROWS)
    world = World(dict(accepted), rows={row["id"]: row for row in rows})
    world.ledger = (await cluster.site.get("/_sim/ledger")).json()
    world.attempts = database(cluster, "select * from attempts order by task, n")
    for attempt in world.attempts:
        world.rows.setdefault(attempt["task"], {"status": "", "stage": None})
    await evidence.read_events(cluster.client.jetstream(), world)
    return world
