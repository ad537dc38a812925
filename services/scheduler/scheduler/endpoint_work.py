"""Standing endpoints: asked for by operators, switched off where nobody is there."""

import json
import secrets
import uuid
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts import endpoints as asked
from contracts.bus import Bus
from contracts.endpoints import EndpointReply
from contracts.message import now
from contracts.webhooks import DeliveryTried, Notice
from runtime.sealing import Ring
from scheduler.announcing import notify
from scheduler.domain.endpoints import Endpoint, health
from scheduler.store import deliveries, endpoints
from scheduler.store.engine import reading
from scheduler.work import Rules, not_found, refusal
from scheduler.writer import Turn, Writer

MOST = 100
SECRET_BYTES = 32
TEST = Notice(
    title="Test", text="This is a test of your webhook: it works when you read this."
)
Q = TypeVar("Q", bound=asked.AddEndpoint | asked.AboutEndpoint)


@dataclass(frozen=True)
class Sealed:
    """What is secret of an endpoint."""

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    previous: str | None = field(default=None, repr=False)
    base: str = ""


def register(bus: Bus, writer: Writer, engine: AsyncEngine, ring: Ring) -> None:
    """Register what operators ask of endpoints."""

    def answer(
        kind: type[Q], work: Callable[[Turn, Q, Ring], Awaitable[EndpointReply]]
    ) -> None:
        async def reply(request: Q) -> EndpointReply:
            return await writer.do(lambda turn: work(turn, request, ring))

        bus.answer(kind)(reply)

    answer(asked.AddEndpoint, add)
    answer(asked.SetEndpoint, change)
    answer(asked.RotateEndpoint, rotate)
    answer(asked.TestEndpoint, test)
    answer(asked.RemoveEndpoint, remove)

    @bus.answer(asked.ListEndpoints)
    async def list_endpoints(_: asked.ListEndpoints) -> asked.Endpoints:
        async with reading(engine) as db:
            found = await endpoints.every(db)
        return asked.Endpoints(endpoints=tuple(map(_view, found)))

    @bus.answer(asked.ReadEndpoint)
    async def read(request: asked.ReadEndpoint) -> EndpointReply:
        async with reading(engine) as db:
            found = await endpoints.load(db, request.id)
        if found is None:
            raise not_found("webhook")
        return EndpointReply(endpoint=_view(found))


async def add(turn: Turn, wish: asked.AddEndpoint, ring: Ring) -> EndpointReply:
    """Take an endpoint in; a secret that is made here is shown this once."""
    if len(await endpoints.every(turn.db)) >= MOST:
        raise refusal(409, "too-many-webhooks", f"there are {MOST}: remove one first")
    endpoint_id = uuid.uuid4().hex[:12]
    given = wish.secret.get_secret_value() if wish.secret else None
    secret = given or (_new_secret() if wish.kind == "standard" else None)
    kept = Sealed(wish.url.get_secret_value(), secret, base=wish.base)
    endpoint = Endpoint(
        id=endpoint_id,
        kind=wish.kind,
        shown=wish.shown,
        sealed=seal(ring, endpoint_id, kept),
        description=wish.description,
        events=wish.events,
        created_at=turn.now,
        updated_at=turn.now,
    )
    await endpoints.add(turn.db, endpoint)
    turn.post.changing(turn.committed)
    return EndpointReply(
        endpoint=_view(endpoint),
        secret=SecretStr(secret) if secret and not given else None,
    )


async def change(turn: Turn, wish: asked.SetEndpoint, ring: Ring) -> EndpointReply:
    """Change an endpoint; switched off, it is told nothing that still waits."""
    endpoint = await _load(turn, wish.id)
    given = wish.model_dump(
        include={"description", "events", "enabled"}, exclude_none=True
    )
    after = replace(endpoint, **given, updated_at=turn.now)
    if wish.url:
        kept = replace(
            opened(ring, endpoint), url=wish.url.get_secret_value(), base=wish.base
        )
        after = replace(after, shown=wish.shown, sealed=seal(ring, after.id, kept))
    if wish.enabled:
        after = replace(after, off_reason=None, failing_since=None)
    await _save(turn, after)
    if endpoint.enabled and not after.enabled:
        await deliveries.stop(turn.db, after.id, "its endpoint was switched off")
    return EndpointReply(endpoint=_view(after))


async def rotate(turn: Turn, wish: asked.RotateEndpoint, ring: Ring) -> EndpointReply:
    """Make a new secret; the one before signs as well for a time."""
    endpoint = await _load(turn, wish.id)
    if endpoint.kind != "standard":
        text = f"a {endpoint.kind} endpoint has no secret of ours: add it anew"
        raise refusal(409, "webhook-not-signed", text)
    kept, secret = opened(ring, endpoint), _new_secret()
    kept = replace(kept, secret=secret, previous=kept.secret)
    after = replace(
        endpoint,
        sealed=seal(ring, endpoint.id, kept),
        previous_until=turn.now + timedelta(seconds=wish.grace_seconds),
        updated_at=turn.now,
    )
    await _save(turn, after)
    return EndpointReply(endpoint=_view(after), secret=SecretStr(secret))


async def test(turn: Turn, wish: asked.TestEndpoint, ring: Ring) -> EndpointReply:
    """Tell an endpoint that this is a test."""
    del ring
    endpoint = await _load(turn, wish.id)
    cause = f"test:{uuid.uuid4().hex}"
    [told] = await notify(turn, "test", cause, TEST, [endpoint.id])
    return EndpointReply(endpoint=_view(endpoint), delivery=told.id)


async def remove(turn: Turn, wish: asked.RemoveEndpoint, ring: Ring) -> EndpointReply:
    """Tell an endpoint nothing more."""
    del ring
    endpoint = await _load(turn, wish.id)
    await endpoints.remove(turn.db, endpoint.id)
    await deliveries.stop(turn.db, endpoint.id, "its endpoint was removed")
    turn.post.changing(turn.committed)
    return EndpointReply(endpoint=_view(endpoint))


async def note_health(
    turn: Turn, endpoint_id: str, fact: DeliveryTried, rules: Rules
) -> None:
    """Take in how a try went for its endpoint; it may have been the last."""
    before = await endpoints.load(turn.db, endpoint_id)
    if before is None or not before.enabled:
        return
    after = health(before, fact, turn.now, rules.webhook_patience)
    if after == before:
        return
    await _save(turn, after)
    if not after.enabled:
        why = f"its endpoint was switched off: {after.off_reason}"
        await deliveries.stop(turn.db, after.id, why)


def opened(ring: Ring, endpoint: Endpoint) -> Sealed:
    """Open what is secret of an endpoint. Raises SealError."""
    return Sealed(**json.loads(ring.open(endpoint.sealed, _place(endpoint.id))))


def seal(ring: Ring, endpoint_id: str, kept: Sealed) -> bytes:
    """Seal what is secret of an endpoint."""
    return ring.seal(json.dumps(asdict(kept)), _place(endpoint_id))


def signing(endpoint: Endpoint, kept: Sealed) -> tuple[SecretStr, ...]:
    """Return what is signed with now, the present secret first."""
    until = endpoint.previous_until
    both = (kept.secret, kept.previous if until and until > now() else None)
    return tuple(SecretStr(each) for each in both if each)


def _new_secret() -> str:
    return "whsec_" + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _place(endpoint_id: str) -> str:
    return f"endpoints:{endpoint_id}:sealed"


async def _load(turn: Turn, endpoint_id: str) -> Endpoint:
    endpoint = await endpoints.load(turn.db, endpoint_id)
    if endpoint is None:
        raise not_found("webhook")
    return endpoint


async def _save(turn: Turn, endpoint: Endpoint) -> None:
    await endpoints.save(turn.db, endpoint)
    turn.post.changing(turn.committed)


def _view(endpoint: Endpoint) -> asked.Endpoint:
    shared = asdict(endpoint)
    del shared["sealed"]
    return asked.Endpoint(url=shared.pop("shown"), **shared)
