"""The body of an image request as OpenAI's clients and the Jimeng family write it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from gateway_http.fields import Text, Whole, Word
from gateway_http.intake import Form
from gateway_http.wish import Wish
from jimeng import DEFAULT_IMAGE_MODEL, PER_JOB, SIZES, shape_of

IMAGES = ("image", "images", "files", "file_paths", "filePaths")
"""The names under which images come, also with `[]` after them in a form."""

# What clients of other image models send by themselves, and no model here knows.
_WITHOUT_MEANING = ("quality", "style", "background", "moderation", "input_fidelity")


class ImageWish(Wish):
    """What may be asked of an image model."""

    model: Word = Field(
        DEFAULT_IMAGE_MODEL, description="An image model.", examples=["jimeng-5.0"]
    )
    size: Text | None = Field(
        None,
        description="One of the 24 sizes of `ratio` and `resolution`, or `auto`.",
        examples=["2048x2048"],
    )
    ratio: Word | None = Field(
        None, description="1:1 unless `size` says otherwise.", examples=["16:9"]
    )
    resolution: Word | None = Field(
        None, description="1k, 2k or 4k; 2k unless `size` says otherwise."
    )
    n: Annotated[Whole, Field(ge=1, le=PER_JOB)] | None = Field(
        None,
        description=f"Show only so many. The site makes {PER_JOB} of each request, and "
        f"all of them are kept with the task.",
    )
    response_format: Literal["url", "b64_json"] = "url"
    user: Text | None = Field(
        None, max_length=512, description="Kept in the task's metadata."
    )

    @model_validator(mode="before")
    @classmethod
    def _as_ours(cls, given: Any) -> Any:
        """Bring the names of images together, and leave out what has no meaning."""
        if not isinstance(given, dict):
            return given
        left = {*IMAGES, *_WITHOUT_MEANING}
        files = [each for name in IMAGES for each in _listed(given.get(name))]
        kept = {name: value for name, value in given.items() if name not in left}
        return {**kept, "files": [_file(each) for each in files]}

    @field_validator("size")
    @classmethod
    def _known_size(cls, size: str | None) -> str | None:
        if size is None or size == "auto":
            return None
        if _shape(size) is None:
            names = (f"{w}x{h}" for s in SIZES.values() for w, h in s.values())
            raise ValueError(f"allows auto, {', '.join(names)}")
        return size

    @model_validator(mode="after")
    def _shaped(self) -> Self:
        """Let a size stand for the ratio and resolution that are not given."""
        shape = _shape(self.size) if self.size else None
        if shape:
            self.resolution = self.resolution or shape[0]
            self.ratio = self.ratio or shape[1]
        if self.user:
            self.metadata = {"user": self.user, **self.metadata}
        return self


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _file(each: Any) -> Any:
    """Read an image as it comes in JSON: a URL, a data: URI, or an object of either."""
    if isinstance(each, Mapping) and set(each) == {"url"}:
        each = each["url"]
    if not isinstance(each, str):
        return each
    is_link = each[:8].lower().startswith(("http://", "https://"))
    return {"url": each} if is_link else {"data": each}


def _shape(size: str) -> tuple[str, str] | None:
    width, _, height = size.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()) or len(size) > 20:  # noqa: PLR2004
        return None
    return shape_of(int(width), int(height))


NAMES = frozenset(ImageWish.model_fields) - {"files"} | {*_WITHOUT_MEANING}


def from_json(body: bytes) -> ImageWish:
    """Read a JSON body; raises pydantic.ValidationError."""
    return ImageWish.model_validate_json(body)


def from_form(fields: dict[str, str]) -> ImageWish:
    """Read the texts of a form; raises pydantic.ValidationError."""
    given = {name: value for name, value in fields.items() if value or name == "prompt"}
    return ImageWish.model_validate(given)


FORM = Form(
    from_json,
    from_form,
    NAMES,
    frozenset({*IMAGES, *(f"{name}[]" for name in IMAGES)}),
    everywhere=True,
)
