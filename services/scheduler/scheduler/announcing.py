"""Whom a task's end is told, written in the transaction that ends it."""

import uuid
from datetime import datetime
from typing import cast

from contracts.webhooks import Occasion
from scheduler.domain.delivering import OWN, PATIENCE, Delivery
from scheduler.domain.rows import Task
from scheduler.post import send
from scheduler.store import deliveries
from scheduler.writer import Turn


async def announce(turn: Turn, task: Task) -> None:
    """Have a task's end told to everybody who wants to know, once each."""
    occasion = cast("Occasion", f"task.{task.status}")
    receivers = [OWN] if task.webhook else []
    found = [_delivery(each, occasion, task, turn.now) for each in receivers]
    await hand_over(turn, found)


async def hand_over(turn: Turn, found: list[Delivery]) -> None:
    """Write deliveries, and have them sent."""
    if not found:
        return
    await deliveries.add(turn.db, found)
    for each in found:
        send(turn, each)
    turn.look_at(turn.now + PATIENCE)


def _delivery(receiver: str, occasion: Occasion, task: Task, now: datetime) -> Delivery:
    return Delivery(
        id=f"msg_{uuid.uuid4().hex}",
        occasion=occasion,
        receiver=receiver,
        cause=f"task:{task.id}",
        created_at=now,
        task=task.id,
        due_at=now + PATIENCE,
    )
