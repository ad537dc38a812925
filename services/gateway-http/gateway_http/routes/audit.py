"""`/api/v1/audit`: what operators did."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from contracts.audit import Deed, ListDeeds
from gateway_http.access import ADMIN, needs
from gateway_http.parts import Parts
from gateway_http.views import Moment


class DeedView(BaseModel):
    """What somebody did."""

    id: str = Field(description="The request_id.")
    at: Moment
    actor: str = Field(examples=["key:3f9c21d07a4e"])
    name: str
    action: str = Field(examples=["sessions.remove"])
    target: str
    address: str
    status: int | None = Field(
        description="Below 400: done; null: nobody knows what came of it.",
        examples=[200],
    )


class DeedList(BaseModel):
    """Some of what was done, the latest first."""

    audit: list[DeedView]
    next_cursor: str | None = Field(description="Give it as `cursor` to go on.")


Word = Annotated[str | None, Query(max_length=200)]


def router(parts: Parts) -> APIRouter:
    """Return the route."""
    routes = APIRouter(
        prefix="/api/v1/audit", tags=["audit"], dependencies=[needs(ADMIN)]
    )

    @routes.get("")
    async def read_some(
        actor: Word = None,
        action: Word = None,
        target: Word = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(pattern="^[0-9]{1,18}$")] = None,
    ) -> DeedList:
        """List what operators changed, the latest first, and what came of it."""
        wish = ListDeeds(
            actor=actor,
            action=action,
            target=target,
            limit=limit,
            cursor=int(cursor) if cursor else None,
        )
        page = await parts.bus.ask(wish)
        return DeedList(
            audit=[_view(each) for each in page.deeds],
            next_cursor=str(page.cursor) if page.cursor else None,
        )

    return routes


def _view(deed: Deed) -> DeedView:
    return DeedView.model_validate(deed.model_dump() | {"id": deed.deed})
