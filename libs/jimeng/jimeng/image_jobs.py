"""An image job: what a caller asks for, fitted to a model and checked against it."""

from collections.abc import Sequence
from dataclasses import dataclass

from jimeng.account import Region
from jimeng.checking import check_choice, check_region, check_text, default
from jimeng.errors import InvalidJob
from jimeng.image_models import (
    DEFAULT_IMAGE_RATIO,
    DEFAULT_IMAGE_RESOLUTION,
    ImageModel,
)
from jimeng.materials import FileKind


@dataclass(frozen=True, slots=True)
class ImageJob:
    """Pictures to make, from text alone or from images too.

    `files` are the kinds of its files. `seed` None lets the draft take one from its
    submit id.
    """

    model: ImageModel
    prompt: str
    ratio: str
    resolution: str
    files: tuple[FileKind, ...] = ()
    seed: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height that are asked for."""
        return self.model.size(self.resolution, self.ratio)


def fit_image(
    model: ImageModel,
    *,
    prompt: str,
    ratio: str | None = None,
    resolution: str | None = None,
    files: Sequence[FileKind] = (),
    seed: int | None = None,
) -> ImageJob:
    """A job of this model; what is None is filled with what the model allows."""
    allowed = model.resolutions
    return ImageJob(
        model=model,
        prompt=prompt,
        ratio=default(DEFAULT_IMAGE_RATIO, model.ratios) if ratio is None else ratio,
        resolution=default(DEFAULT_IMAGE_RESOLUTION, allowed)
        if resolution is None
        else resolution,
        files=tuple(files),
        seed=seed,
    )


def check_image(job: ImageJob, *, region: Region | None = None) -> None:
    """Hold a job against its model's table. Raises InvalidJob, nothing else."""
    model = job.model
    check_region(model.name, model.regions, region)
    check_choice("ratio", job.ratio, model.name, model.ratios)
    check_choice("resolution", job.resolution, model.name, model.resolutions)
    check_text(job.prompt, job.seed)
    if not job.files and not job.prompt.strip():
        raise InvalidJob("prompt", "an image from text needs a prompt")
    if set(job.files) - {"image"}:
        raise InvalidJob("files", "an image is made from images only")
    if len(job.files) > model.references:
        raise InvalidJob("files", f"{model.name} takes {model.references} images")
