"""`/api/v1/models`: what each model can do, from the table that creates are held to."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from contracts.values import Kind
from gateway_http.access import Known
from gateway_http.parts import Answers, problems
from gateway_http.problems import Problem
from jimeng import (
    DEFAULT_IMAGE_MODEL,
    DEFAULT_MODEL,
    IMAGE_MODELS,
    PER_JOB,
    VIDEO_MODELS,
    ImageModel,
    InvalidJob,
    References,
    VideoModel,
    find_model,
    fit,
)

Model = VideoModel | ImageModel


class Limits(BaseModel):
    """How many reference files a model takes; 0: none of that kind."""

    images: int
    videos: int = 0
    audios: int = 0
    total: int
    video_ms: int | None = Field(None, description="The longest video.")
    videos_ms: int | None = Field(None, description="All videos together.")
    audio_ms: tuple[int, int] | None = Field(
        None, description="The shortest and the longest audio file."
    )


class Defaults(BaseModel):
    """What is taken where a create does not say."""

    duration: int | None
    ratio: str
    resolution: str | None


class ModelView(BaseModel):
    """One model: what a create may ask of it."""

    id: str = Field(examples=["jimeng-video-seedance-2.0"])
    names: list[str] = Field(description="All its names, `id` among them.")
    kind: Kind
    default: bool = Field(description="Is it taken where no model is named?")
    in_page: bool = Field(description="Needs a signer with a browser.")
    durations: list[int] = Field(description="Seconds; none for images.")
    ratios: list[str]
    resolutions: list[str]
    regions: list[str] = Field(description="Whose accounts can use it.")
    frames: int = Field(description="1: a first frame; 2: also a last one; 0: none.")
    references: Limits | None
    results: int = Field(description="How many it makes of one task.")
    defaults: Defaults


class Models(BaseModel):
    """The models."""

    models: list[ModelView]


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1/models", tags=["models"])

    shown = _view(find_model(DEFAULT_MODEL)).model_dump(mode="json")

    @routes.get("", responses=_example({"models": [shown]}))
    async def read_all(
        _: Known, kind: Annotated[Kind | None, Query()] = None
    ) -> Models:
        """List the models and what a create may ask of each."""
        every: tuple[Model, ...] = (*VIDEO_MODELS, *IMAGE_MODELS)
        return Models(models=[_view(m) for m in every if kind in {None, m.kind}])

    @routes.get("/{name}", responses=_example(shown) | problems(404))
    async def read(
        _: Known, name: Annotated[str, Path(min_length=1, max_length=100)]
    ) -> ModelView:
        """Read one model, by any of its names."""
        try:
            return _view(find_model(name))
        except InvalidJob as error:
            raise Problem(404, "model_not_found", error.text) from None

    return routes


def _example(body: dict[str, Any]) -> Answers:
    return {200: {"content": {"application/json": {"example": body}}}}


def _view(model: Model) -> ModelView:
    video = isinstance(model, VideoModel)
    default = DEFAULT_MODEL if video else DEFAULT_IMAGE_MODEL
    usual = fit(prompt="x", model=model.name)
    return ModelView(
        id=model.name,
        names=list(model.names),
        kind=model.kind,
        default=default in model.names,
        in_page=model.in_page,
        durations=list(getattr(model, "durations", ())),
        ratios=list(model.ratios),
        resolutions=list(model.resolutions),
        regions=list(model.regions),
        frames=getattr(model, "frames", 0),
        references=_limits(model),
        results=1 if video else PER_JOB,
        defaults=Defaults(
            duration=getattr(usual, "duration", None),
            ratio=usual.ratio,
            resolution=usual.resolution,
        ),
    )


def _limits(model: Model) -> Limits | None:
    if isinstance(model, ImageModel):
        most = model.references
        return Limits(images=most, total=most) if most else None
    omni: References | None = model.omni
    if omni is None:
        return None
    return Limits(
        images=omni.images,
        videos=omni.videos,
        audios=omni.audios,
        total=omni.total,
        video_ms=omni.video_ms,
        videos_ms=omni.videos_ms,
        audio_ms=omni.audio_ms,
    )
