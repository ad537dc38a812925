"""What became of deliveries, and what is asked of them."""

import logging
import secrets
from datetime import timedelta

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from contracts import webhooks as asked
from contracts.bus import Bus
from contracts.webhooks import DeliveryTried, DueDelivery, Try
from runtime import hooks
from runtime.sealing import Ring, SealError
from scheduler.domain.delivering import Delivery, after, anew
from scheduler.post import send
from scheduler.store import deliveries, tasks
from scheduler.store.engine import reading
from scheduler.views import view
from scheduler.work import Rules, not_found, refusal
from scheduler.writer import Turn, Writer

KEPT = timedelta(days=30)  # as long as what they tell of is in EVT
JITTER = 0.2
log = logging.getLogger("scheduler")


def register(bus: Bus, writer: Writer, engine: AsyncEngine, ring: Ring) -> None:
    """Register what the notifier asks, and operators."""

    @bus.answer(asked.AskDelivery)
    async def ask(request: asked.AskDelivery) -> DueDelivery:
        async with reading(engine) as db:
            return await _due(db, request, ring)

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
    jitter = secrets.randbelow(1001) / 1000 * JITTER
    delivery = after(before, fact, turn.now, rules.webhook_pauses, jitter)
    if delivery == before:
        return
    await deliveries.save(turn.db, delivery)
    await deliveries.note(turn.db, delivery.id, _try(fact))
    turn.look_at(delivery.due_at)
    if delivery.status == "failed":
        about = {"task": delivery.task or "-", "delivery": delivery.id}
        log.warning("a webhook was given up: %s", delivery.error, extra=about)


def _try(fact: DeliveryTried) -> Try:
    return Try.model_validate(fact.model_dump(include=set(Try.model_fields)))


async def _due(
    db: AsyncConnection, request: asked.AskDelivery, ring: Ring
) -> DueDelivery:
    """Say what to send now, and where; a try that is over is not wanted again."""
    delivery = await deliveries.load(db, request.delivery)
    if delivery is None or (delivery.status, delivery.n) != ("pending", request.n):
        return DueDelivery(due=False)
    task = await tasks.load(db, delivery.task) if delivery.task else None
    shown = {"occasion": delivery.occasion, "at": delivery.created_at}
    if task is None or task.deleted_at or task.webhook is None:
        return DueDelivery(**shown, unusable="its task was deleted")
    try:
        hook = hooks.open_(ring, task.webhook, task.id)
    except SealError as error:
        return DueDelivery(**shown, task=view(task), unusable=str(error))
    return DueDelivery(
        **shown,
        url=SecretStr(hook.url),
        secrets=(SecretStr(hook.secret),) if hook.secret else (),
        base=hook.base,
        task=view(task),
    )


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
    turn.look_at(delivery.due_at)
    return await _view(turn.db, delivery.id)


async def _page(
    db: AsyncConnection, request: asked.ListDeliveries
) -> asked.DeliveryPage:
    try:
        found, cursor = await deliveries.page(db, request)
    except ValueError as error:
        text = f"cursor: {error}"
        raise refusal(422, "invalid-cursor", text, "cursor") from None
    urls = await tasks.webhook_urls(db, [each.task for each in found if each.task])
    shown = tuple(_shown(each, urls) for each in found)
    return asked.DeliveryPage(deliveries=shown, cursor=cursor)


async def _view(db: AsyncConnection, delivery_id: str) -> asked.Delivery:
    delivery = await deliveries.load(db, delivery_id)
    if delivery is None:
        raise not_found("delivery")
    urls = await tasks.webhook_urls(db, [delivery.task] if delivery.task else [])
    tries = await deliveries.tries_of(db, delivery_id)
    return _shown(delivery, urls).model_copy(update={"tries": tries})


def _shown(delivery: Delivery, urls: dict[str, str]) -> asked.Delivery:
    return asked.Delivery(
        id=delivery.id,
        occasion=delivery.occasion,
        task=delivery.task,
        url=urls.get(delivery.task or "", ""),
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
