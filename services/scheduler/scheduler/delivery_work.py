"""What became of deliveries, and what is asked of them."""

import logging
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from contracts import webhooks as asked
from contracts.bus import Bus
from contracts.message import now
from contracts.webhooks import DeliveryTried, DueDelivery, Try
from runtime import hooks
from runtime.links import A_DAY, LinkKeys, Target, signed
from runtime.sealing import Ring, SealError
from scheduler.announcing import send
from scheduler.domain.delivering import OWN, Delivery, after, anew
from scheduler.domain.rows import Task
from scheduler.endpoint_work import note_health, opened, signing
from scheduler.store import deliveries, endpoints, tasks
from scheduler.store.engine import reading
from scheduler.views import view
from scheduler.work import Rules, not_found, refusal
from scheduler.writer import Turn, Writer

KEPT = timedelta(days=30)  # as long as what they tell of is in EVT
JITTER = 0.2
log = logging.getLogger("scheduler")


def register(
    bus: Bus, writer: Writer, engine: AsyncEngine, ring: Ring, keys: LinkKeys
) -> None:
    """Register what the notifier asks, and operators."""

    @bus.answer(asked.AskDelivery)
    async def ask(request: asked.AskDelivery) -> DueDelivery:
        async with reading(engine) as db:
            return await _due(db, request, ring, keys)

    @bus.answer(asked.ListDeliveries)
    async def list_deliveries(request: asked.ListDeliveries) -> asked.DeliveryPage:
        async with reading(engine) as db:
            return await _page(db, request)

    @bus.answer(asked.ReadDelivery)
    async def read(request: asked.ReadDelivery) -> asked.Delivery:
        async with reading(engine) as db:
            return await _view(db, request.delivery)

    @bus.answer(asked.ReplayDelivery)
    async def replay(request: asked.ReplayDelivery) -> asked.Delivery:
        return await writer.do(lambda turn: _replay(turn, request))


async def tried(turn: Turn, fact: DeliveryTried, rules: Rules) -> None:
    """Take in what became of a try; the same told again changes nothing."""
    before = await deliveries.load(turn.db, fact.delivery)
    if before is None:
        return
    test = before.occasion == "test"
    jitter = secrets.randbelow(1001) / 1000 * JITTER
    pauses = () if test else rules.webhook_pauses
    delivery = after(before, fact, turn.now, pauses, jitter)
    if delivery == before:
        return
    await deliveries.save(turn.db, delivery)
    await deliveries.note(turn.db, delivery.id, _try(fact))
    turn.post.due(delivery.due_at)
    if delivery.status == "failed":
        about = {"task": delivery.task or "-", "delivery": delivery.id}
        log.warning("a webhook was given up: %s", delivery.error, extra=about)
    if delivery.receiver != OWN and not test:
        await note_health(turn, delivery.receiver, fact, rules)


def _try(fact: DeliveryTried) -> Try:
    return Try.model_validate(fact.model_dump(include=set(Try.model_fields)))


async def _due(
    db: AsyncConnection, request: asked.AskDelivery, ring: Ring, keys: LinkKeys
) -> DueDelivery:
    """Say what to send now, and where; a try that is over is not wanted again."""
    delivery = await deliveries.load(db, request.delivery)
    if delivery is None or (delivery.status, delivery.n) != ("pending", request.n):
        return DueDelivery(due=False)
    task = await tasks.load(db, delivery.task) if delivery.task else None
    told = DueDelivery(
        occasion=delivery.occasion,
        at=delivery.created_at,
        task=view(task) if task else None,
        notice=delivery.notice,
    )
    try:
        where, base = await _where(db, delivery, task, ring)
    except (SealError, LookupError) as error:
        return told.model_copy(update={"unusable": str(error)})
    links = _links(task, keys, base) if task else ()
    return told.model_copy(update={**where, "links": links})


def _links(task: Task, keys: LinkKeys, base: str) -> tuple[SecretStr, ...]:
    """Return where the results of a task are fetched, anew at each try."""
    if task.files_deleted_at:
        return ()
    targets = [Target(task.id, place) for place in range(len(task.results))]
    return tuple(SecretStr(signed(base, keys, t, now() + A_DAY)) for t in targets)


async def _where(
    db: AsyncConnection, delivery: Delivery, task: Task | None, ring: Ring
) -> tuple[dict[str, Any], str]:
    """Return where a delivery goes, and what its links begin with.

    Raises LookupError: nowhere any more.
    """
    if delivery.receiver == OWN:
        if task is None or task.webhook is None:
            raise LookupError("its task was deleted")
        hook = hooks.open_(ring, task.webhook, task.id)
        own = (SecretStr(hook.secret),) if hook.secret else ()
        return {"url": SecretStr(hook.url), "secrets": own}, hook.base
    endpoint = await endpoints.load(db, delivery.receiver)
    if endpoint is None or not (endpoint.enabled or delivery.occasion == "test"):
        raise LookupError("its endpoint is switched off")
    kept = opened(ring, endpoint)
    where = {
        "kind": endpoint.kind,
        "url": SecretStr(kept.url),
        "secrets": signing(endpoint, kept),
    }
    return where, kept.base


async def _replay(turn: Turn, wish: asked.ReplayDelivery) -> asked.Delivery:
    delivery = await deliveries.load(turn.db, wish.delivery)
    if delivery is None:
        raise not_found("delivery")
    if delivery.status == "pending":
        text = "it is still being delivered; only an ended one can be replayed"
        raise refusal(409, "delivery-pending", text)
    delivery = anew(delivery, turn.now)
    await deliveries.save(turn.db, delivery)
    send(turn, delivery)
    turn.post.due(delivery.due_at)
    return await _view(turn.db, delivery.id)


async def _page(
    db: AsyncConnection, request: asked.ListDeliveries
) -> asked.DeliveryPage:
    try:
        found, cursor = await deliveries.page(db, request)
    except ValueError as error:
        text = f"cursor: {error}"
        raise refusal(422, "invalid-cursor", text, "cursor") from None
    urls = await _urls(db, found)
    shown = tuple(_shown(each, urls) for each in found)
    return asked.DeliveryPage(deliveries=shown, cursor=cursor)


async def _view(db: AsyncConnection, delivery_id: str) -> asked.Delivery:
    delivery = await deliveries.load(db, delivery_id)
    if delivery is None:
        raise not_found("delivery")
    tries = await deliveries.tries_of(db, delivery_id)
    return _shown(delivery, await _urls(db, [delivery])).model_copy(
        update={"tries": tries}
    )


async def _urls(db: AsyncConnection, found: Sequence[Delivery]) -> dict[str, str]:
    """Return what is shown of the URLs of endpoints, and of the tasks told of."""
    own = [d.task for d in found if d.task and d.receiver == OWN]
    return await tasks.webhook_urls(db, own) | await endpoints.shown(db)


def _shown(delivery: Delivery, urls: dict[str, str]) -> asked.Delivery:
    own = delivery.receiver == OWN
    return asked.Delivery(
        id=delivery.id,
        occasion=delivery.occasion,
        task=delivery.task,
        endpoint=None if own else delivery.receiver,
        url=urls.get((delivery.task or "") if own else delivery.receiver, ""),
        status=delivery.status,
        n=delivery.n,
        due_at=delivery.due_at,
        error=delivery.error,
        created_at=delivery.created_at,
        delivered_at=delivery.delivered_at,
    )


async def forget_old_deliveries(turn: Turn) -> None:
    """Forget what ended long ago."""
    await deliveries.forget_old(turn.db, turn.now - KEPT)
