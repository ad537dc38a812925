"""`/api/v1/webhooks`: standing receivers, and what became of what they were told."""

import asyncio
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

import fetch
from contracts import endpoints as asked
from contracts.webhooks import (
    Delivery,
    DeliveryStatus,
    DeliveryTried,
    EndpointKind,
    ListDeliveries,
    ReadDelivery,
    ReplayDelivery,
)
from gateway_http.access import ADMIN, needs
from gateway_http.audit import about
from gateway_http.parts import Parts, problems, still
from gateway_http.webhook_forms import (
    DeliveryList,
    NewSecret,
    NewWebhook,
    OneDelivery,
    OneWebhook,
    Removed,
    SecretRotation,
    Tested,
    WebhookChanges,
    WebhookList,
    delivery_view,
    webhook_view,
)

STILL = still(Tested, "It is not known yet.")
TRIES = "evt.sys.*.notifier.*"
WebhookId = Annotated[str, Path(min_length=1, max_length=64)]
DeliveryId = Annotated[str, Path(min_length=1, max_length=64)]


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(
        prefix="/api/v1/webhooks", tags=["webhooks"], dependencies=[needs(ADMIN)]
    )
    _register_deliveries(routes, parts)  # first: `deliveries` is no receiver's id
    _register_reads(routes, parts)
    _register_changes(routes, parts)
    _register_secrets(routes, parts)
    return routes


def _register_deliveries(routes: APIRouter, parts: Parts) -> None:
    @routes.get("/deliveries")
    async def deliveries(
        task: Annotated[str | None, Query(max_length=64)] = None,
        webhook: Annotated[str | None, Query(max_length=64)] = None,
        status: DeliveryStatus | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> DeliveryList:
        """List what was told, and is to be told, the newest first."""
        wish = ListDeliveries(
            task=task, endpoint=webhook, status=status, limit=limit, cursor=cursor
        )
        page = await parts.bus.ask(wish)
        found = [delivery_view(each) for each in page.deliveries]
        return DeliveryList(deliveries=found, next_cursor=page.cursor)

    @routes.get(
        "/deliveries/{delivery}",
        operation_id="deliveries_read",
        responses=problems(404),
    )
    async def read(delivery: DeliveryId) -> OneDelivery:
        """Show a delivery and each of its tries."""
        found = await parts.bus.ask(ReadDelivery(delivery=delivery))
        return OneDelivery(delivery=delivery_view(found))

    @routes.post(
        "/deliveries/{delivery}/replay",
        operation_id="deliveries_replay",
        responses=problems(404, 409),
    )
    async def replay(delivery: DeliveryId) -> OneDelivery:
        """Send an ended delivery anew, under its old id, with all its tries."""
        found = await parts.bus.ask(ReplayDelivery(delivery=delivery))
        return OneDelivery(delivery=delivery_view(found))


def _register_reads(routes: APIRouter, parts: Parts) -> None:
    @routes.get("")
    async def read_all() -> WebhookList:
        """List the standing receivers."""
        found = await parts.bus.ask(asked.ListEndpoints())
        return WebhookList(webhooks=[webhook_view(each) for each in found.endpoints])

    @routes.get("/{webhook}", responses=problems(404))
    async def read(webhook: WebhookId) -> OneWebhook:
        """Show one receiver."""
        found = await parts.bus.ask(asked.ReadEndpoint(id=webhook))
        return OneWebhook(webhook=webhook_view(found.endpoint))


def _register_changes(routes: APIRouter, parts: Parts) -> None:
    @routes.post("", status_code=201, responses=problems(409))
    async def add(request: Request, body: NewWebhook) -> NewSecret:
        """Add a receiver. Its secret is shown here and not again."""
        url = body.url.get_secret_value()
        parts.hooks.check_url(url, "url")
        wish = asked.AddEndpoint(
            kind=body.kind,
            url=body.url,
            shown=_shown(body.kind, url),
            secret=body.secret,
            base=parts.base(request),
            description=body.description,
            events=body.wanted,
        )
        found = await parts.bus.ask(wish)
        about(request, found.endpoint.id)
        return _with_secret(found)

    @routes.patch("/{webhook}", responses=problems(404))
    async def change(
        request: Request, webhook: WebhookId, body: WebhookChanges
    ) -> OneWebhook:
        """Change a receiver: where it is, what it hears, whether it hears."""
        given: dict[str, Any] = body.model_dump(exclude_none=True)
        if body.url:
            url = body.url.get_secret_value()
            parts.hooks.check_url(url, "url")
            known = await parts.bus.ask(asked.ReadEndpoint(id=webhook))
            given["shown"] = _shown(known.endpoint.kind, url)
            given["base"] = parts.base(request)
        found = await parts.bus.ask(asked.SetEndpoint(id=webhook, **given))
        return OneWebhook(webhook=webhook_view(found.endpoint))

    @routes.delete("/{webhook}", responses=problems(404))
    async def remove(webhook: WebhookId) -> Removed:
        """Tell a receiver nothing more; its deliveries stay in the log."""
        await parts.bus.ask(asked.RemoveEndpoint(id=webhook))
        return Removed()


def _register_secrets(routes: APIRouter, parts: Parts) -> None:
    @routes.post("/{webhook}/rotate", responses=problems(404, 409))
    async def rotate(
        webhook: WebhookId, body: SecretRotation | None = None
    ) -> NewSecret:
        """Make a new secret; for `grace_seconds` the old one signs as well."""
        grace = (body or SecretRotation()).grace_seconds
        wish = asked.RotateEndpoint(id=webhook, grace_seconds=grace)
        return _with_secret(await parts.bus.ask(wish))

    @routes.post("/{webhook}/test", responses=STILL | problems(404))
    async def test(webhook: WebhookId, response: Response) -> Tested:
        """Send a test, once. 202: nobody knows yet what became of it."""
        found = await _tested(parts, webhook)
        if found.status == "pending":
            response.status_code = 202
        ok = {"delivered": True, "failed": False}.get(found.status)
        message = found.error or found.status
        return Tested(ok=ok, message=message, delivery=delivery_view(found))


async def _tested(parts: Parts, webhook: str) -> Delivery:
    """Have a test sent, and wait for what becomes of it."""
    told = await parts.bus.client.subscribe(TRIES)
    try:
        begun = await parts.bus.ask(asked.TestEndpoint(id=webhook))
        with suppress(TimeoutError):
            async with asyncio.timeout(parts.patience.check):
                async for message in told.messages:
                    if DeliveryTried.parse(message.data).delivery == begun.delivery:
                        break
                return await _settled(parts, begun.delivery or "")
        return await parts.bus.ask(ReadDelivery(delivery=begun.delivery or ""))
    finally:
        with suppress(Exception):  # the connection may be gone, and this with it
            await told.unsubscribe()


async def _settled(parts: Parts, delivery: str) -> Delivery:
    """Wait until the scheduler has taken in what was told."""
    while True:
        found = await parts.bus.ask(ReadDelivery(delivery=delivery))
        if found.status != "pending":
            return found
        await asyncio.sleep(0.05)


def _with_secret(found: asked.EndpointReply) -> NewSecret:
    secret = found.secret.get_secret_value() if found.secret else None
    return NewSecret(webhook=webhook_view(found.endpoint), secret=secret)


def _shown(kind: EndpointKind, url: str) -> str:
    """Return what is no secret of a URL: of a chat's only the host."""
    target = fetch.parse(url)
    if kind == "standard":
        return target.shown()
    return f"{target.scheme}://{target.authority}/…"
