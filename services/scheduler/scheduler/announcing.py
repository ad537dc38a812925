"""Whom something is told, written in the transaction in which it happens."""

import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import cast

from contracts.webhooks import Deliver, Notice, Occasion
from scheduler.domain.delivering import OWN, PATIENCE, Delivery
from scheduler.domain.rows import Task
from scheduler.store import deliveries
from scheduler.writer import Turn


async def announce(turn: Turn, task: Task) -> None:
    """Have a task's end told to everybody who wants to know, once each."""
    occasion = cast("Occasion", f"task.{task.status}")
    standing = await turn.post.listeners(turn.db, occasion)
    receivers = [OWN, *standing] if task.webhook else standing
    cause = f"task:{task.id}"
    await hand_over(
        turn,
        [
            replace(new_delivery(turn, each, occasion, cause), task=task.id)
            for each in receivers
        ],
    )


async def notify(
    turn: Turn, occasion: Occasion, cause: str, notice: Notice, to: Iterable[str]
) -> list[Delivery]:
    """Have a notice told to some endpoints, once each."""
    found = [
        replace(new_delivery(turn, each, occasion, cause), notice=notice) for each in to
    ]
    await hand_over(turn, found)
    return found


def new_delivery(turn: Turn, receiver: str, occasion: Occasion, cause: str) -> Delivery:
    """Return a delivery whose first try is made now."""
    return Delivery(
        id=f"msg_{uuid.uuid4().hex}",
        occasion=occasion,
        receiver=receiver,
        cause=cause,
        created_at=turn.now,
        due_at=turn.now + PATIENCE,
    )


async def hand_over(turn: Turn, found: list[Delivery]) -> None:
    """Write deliveries, and have them sent."""
    if not found:
        return
    await deliveries.add(turn.db, found)
    for each in found:
        send(turn, each)
    turn.post.due(turn.now + PATIENCE)


def send(turn: Turn, delivery: Delivery, *, once: bool = False) -> None:
    """Have the latest try of a delivery made."""
    command = Deliver(delivery=delivery.id, n=delivery.n, task=delivery.task or "-")
    turn.say(command, once=once)


async def issue_due(turn: Turn) -> datetime | None:
    """Have sent what is due; return when to look again."""
    for each in await deliveries.due(turn.db, turn.now):
        send(turn, each, once=True)
        await deliveries.save(turn.db, replace(each, due_at=turn.now + PATIENCE))
    return await deliveries.next_due(turn.db)
