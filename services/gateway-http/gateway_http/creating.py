"""A create, from its body to the moment it is accepted: for every route that makes one.

Whatever is refused leaves nothing behind; what an equal request made before is found.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic

import uuid_utils
from fastapi import Request

from contracts.message import now
from contracts.tasks import CreateTask
from gateway_http.accept import NotAcceptedError, accept
from gateway_http.access import Caller, creates
from gateway_http.intake import Received, Shelf, W, shelf
from gateway_http.limits import allowance_of
from gateway_http.parts import Parts
from gateway_http.problems import storage_full, unavailable
from gateway_http.references import cost_of, order_of
from gateway_http.repeats import Claim, claimed, fingerprint, mark_of, moved

Read = Callable[[Request, Shelf], Awaitable[Received[W]]]


@dataclass(frozen=True)
class Made(Generic[W]):
    """An accepted create, and the wish that led to it.

    `replayed`: an equal request had made it before.
    """

    command: CreateTask
    wish: W
    replayed: bool


async def create_task(
    parts: Parts, request: Request, caller: Caller, read: Read[W]
) -> Made[W]:
    """Take a request in and make its task. Raises Problem."""
    if lacking := parts.room.lacking():
        raise storage_full(lacking)
    task = str(uuid_utils.uuid7())
    async with shelf(parts.store, task) as lent:
        received = await read(request, lent)
        command = await _command(parts, request, caller, lent, received)
        replayed = command.task != task
        async with allowance_of(request).accepting(replayed=replayed):
            await _accept(parts, command, lent)
    return Made(command, received.wish, replayed=replayed)


async def _command(
    parts: Parts, request: Request, caller: Caller, lent: Shelf, received: Received[W]
) -> CreateTask:
    """Return what is to be made, or what an equal request made before."""
    wish = received.wish
    parts.hooks.check(wish)
    order = order_of(wish, received.files)
    caller.must(creates(order.kind))
    mine = Claim(task=lent.task, body=fingerprint(wish, received.files), at=now())
    cost = cost_of(order.job)

    async def ready() -> None:
        await parts.can_make(in_page=order.in_page)
        await allowance_of(request).credits(cost, caller.owner, mine.at)

    claim = await claimed(
        parts.bus,
        mark_of(request, caller, mine.body),
        mine,
        lent,
        ready=ready,
        seconds=parts.patience.accept,
    )
    return CreateTask(
        task=claim.task,
        job=order.job.model_copy(update={"files": moved(order.job.files, claim.task)}),
        kind=order.kind,
        owner=caller.owner,
        priority=wish.priority,
        metadata=wish.metadata,
        terms=wish.terms.model_copy(update={"credits": cost}),
        webhook=parts.hooks.sealed(wish, claim.task, parts.base(request)),
        created_at=claim.at,
    )


async def _accept(parts: Parts, command: CreateTask, lent: Shelf) -> None:
    """Publish the create; its files stay unless it is certainly stored nowhere."""
    # Also while it is not known: a client that hangs up takes nothing back.
    claimed, lent.keep = lent.keep, command.task == lent.task
    try:
        await accept(parts.bus, command, parts.patience.accept)
    except NotAcceptedError as error:
        lent.keep = claimed or (lent.keep and not error.certain)
        text = "it was not accepted" if error.certain else "it may have been accepted"
        raise unavailable(
            f"task {command.task}: NATS did not acknowledge it, {text}",
            "not_accepted" if error.certain else "acceptance_unknown",
            task_id=command.task,
        ) from None
