"""`/v1/models`: every name that a create may call a model by, as clients list them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from contracts.values import Kind
from gateway_http.access import Known
from gateway_http.parts import Parts, problems
from gateway_http.problems import Problem
from jimeng import MODELS, InvalidJob, find_model

OWNER = "jimeng-gateway"


class Name(BaseModel):
    """A name of a model, in the form of OpenAI's list."""

    id: str = Field(examples=["jimeng-video-seedance-2.0"])
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = OWNER
    type: Kind
    description: str = Field(examples=["720p, 4-15 s"])


class Names(BaseModel):
    """The names of the models."""

    object: Literal["list"] = "list"
    data: list[Name]


def router(_: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/models", tags=["compatibility"])

    @routes.get("", operation_id="names_read_all")
    async def read_all(
        _: Known, kind: Annotated[Kind | None, Query(alias="type")] = None
    ) -> Names:
        """List every name of every model; `/api/v1/models` says what each can do."""
        names = [_name(name) for name in MODELS]
        return Names(data=[each for each in names if kind in {None, each.type}])

    @routes.get("/{name}", operation_id="names_read", responses=problems(404))
    async def read(
        _: Known, name: Annotated[str, Path(min_length=1, max_length=100)]
    ) -> Name:
        """Show one model."""
        try:
            return _name(name)
        except InvalidJob as error:
            raise Problem(404, "model_not_found", error.text) from None

    return routes


def _name(name: str) -> Name:
    model = find_model(name)
    shapes = ", ".join(model.resolutions)
    seconds = getattr(model, "durations", ())
    lengths = f", {seconds[0]}-{seconds[-1]} s" if seconds else ""
    told = f"{shapes}{lengths}"
    if name != model.name:
        told = f"the same as {model.name}: {told}"
    return Name(id=name, type=model.kind, description=told)
