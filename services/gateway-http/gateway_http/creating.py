"""A create, from its body to the moment it is accepted: for every route that makes one.

Whatever is refused leaves nothing behind; what an equal request made before is found.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic

import uuid_utils
from fastapi import Request

from contracts.message import now
from contracts.tasks import CreateTask
from contracts.values import Terms
from gateway_http.accept import NotAcceptedError, accept
from gateway_http.access import Caller, creates
from gateway_http.intake import Received, Shelf, W, shelf
from gateway_http.lending import LENT_FOR, owner_of
from gateway_http.limits import allowance_of
from gateway_http.parts import Parts
from gateway_http.problems import invalid_field, storage_full, unavailable
from gateway_http.references import Order, cost_of, order_of
from gateway_http.repeats import Claim, claimed, fingerprint, mark_of, moved
from gateway_http.wish import Wish

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
    async with place(parts, request) as lent:
        received = await read(request, lent)
        command = await _command(parts, request, caller, lent, received)
        await _accept(parts, command, lent)
    return Made(command, received.wish, replayed=command.task != lent.task)


@asynccontextmanager
async def place(parts: Parts, request: Request) -> AsyncIterator[Shelf]:
    """Lend a shelf for a new task; while its files are kept, it stays counted.

    For then it is accepted, or whoever sends the same again has it accepted.
    """
    async with shelf(parts.store, str(uuid_utils.uuid7())) as lent:
        try:
            yield lent
        finally:
            if lent.keep:
                allowance_of(request).keep()


async def begin(
    parts: Parts, request: Request, wish: Wish, order: Order, owner: str | None
) -> None:
    """Count what is new for who pays for it. Raises Problem where it cannot begin."""
    moment = now()
    if wish.deadline and wish.deadline <= moment:
        raise invalid_field("deadline", "must be in the future")
    await parts.can_make(in_page=order.in_page)
    allowance = allowance_of(request)
    await allowance.new_task()
    await allowance.credits(cost_of(order.job), owner, moment)


async def _command(
    parts: Parts, request: Request, caller: Caller, lent: Shelf, received: Received[W]
) -> CreateTask:
    """Return what is to be made, or what an equal request made before."""
    wish = received.wish
    parts.hooks.check(wish)
    order = order_of(wish, received.files)
    caller.must(creates(order.kind))
    owner = await owner_of(parts, caller)
    mine = Claim(task=lent.task, body=fingerprint(wish, received.files), at=now())
    claim = await claimed(
        parts.bus,
        mark_of(request, caller, mine.body),
        mine,
        lent,
        ready=partial(begin, parts, request, wish, order, owner),
        seconds=parts.patience.accept,
    )
    return CreateTask(
        task=claim.task,
        job=order.job.model_copy(update={"files": moved(order.job.files, claim.task)}),
        kind=order.kind,
        owner=owner,
        priority=wish.priority,
        metadata=wish.metadata,
        terms=_terms(wish, cost_of(order.job), caller, claim.at),
        webhook=parts.hooks.sealed(wish, claim.task, parts.base(request)),
        created_at=claim.at,
    )


def _terms(wish: Wish, cost: int, caller: Caller, at: datetime) -> Terms:
    """Return a task's terms; one on a lent account does not wait for ever."""
    terms = wish.terms.model_copy(update={"credits": cost})
    if caller.lends is None or terms.deadline:
        return terms
    return terms.model_copy(update={"deadline": at + LENT_FOR})


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
