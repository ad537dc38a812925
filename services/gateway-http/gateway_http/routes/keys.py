"""`/api/v1/keys`: who may ask, what, and how much."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from contracts.keys import (
    DeleteKey,
    ListKeys,
    ReadKey,
    RotateKey,
    hash_of,
    new_key,
    prefix_of,
)
from gateway_http.access import ADMIN, needs
from gateway_http.audit import about
from gateway_http.key_forms import (
    KeyChanges,
    KeyList,
    KeyRotation,
    MadeKey,
    NewKey,
    OneKey,
    key_view,
    made_view,
)
from gateway_http.parts import Parts, problems
from gateway_http.session_forms import Done

KeyId = Annotated[str, Path(min_length=1, max_length=64, description="A key's id.")]


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    bus = parts.bus
    routes = APIRouter(
        prefix="/api/v1/keys", tags=["keys"], dependencies=[needs(ADMIN)]
    )

    @routes.get("")
    async def read_all() -> KeyList:
        """List the keys."""
        found = await bus.ask(ListKeys())
        return KeyList(keys=[key_view(each) for each in found.keys])

    @routes.post("", status_code=201)
    async def create(request: Request, body: NewKey) -> MadeKey:
        """Make a key. The answer shows it, this once."""
        secret = new_key()
        made = await bus.ask(body.of(secret))
        about(request, made.id)
        return MadeKey(key=made_view(made, secret))

    @routes.get("/{key}", responses=problems(404))
    async def read(key: KeyId) -> OneKey:
        """Show one key."""
        return OneKey(key=key_view(await bus.ask(ReadKey(id=key))))

    @routes.patch("/{key}", responses=problems(404))
    async def change(key: KeyId, body: KeyChanges) -> OneKey:
        """Change what a key may; it holds for the next request."""
        return OneKey(key=key_view(await bus.ask(body.of(key))))

    @routes.post("/{key}/rotate", responses=problems(404))
    async def rotate(key: KeyId, body: KeyRotation | None = None) -> MadeKey:
        """Replace a key by another with the same id, rights and tasks."""
        secret = new_key()
        grace = body.grace_secs if body else 0
        wish = RotateKey(
            id=key, hash=hash_of(secret), prefix=prefix_of(secret), grace_seconds=grace
        )
        return MadeKey(key=made_view(await bus.ask(wish), secret))

    @routes.delete("/{key}", responses=problems(404))
    async def delete(key: KeyId) -> Done:
        """Let a key in no more. Its tasks stay."""
        await bus.ask(DeleteKey(id=key))
        return Done()

    return routes
