"""What a client may ask for, checked field by field before anything is kept."""

from typing import Annotated, Any, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    field_validator,
    model_validator,
)

import fetch

MAX_PROMPT = 15_000
MAX_METADATA = 16
LONGEST_METADATA = 64 * 1024  # as a text: 16 times 64 and 512 characters, with room
_URL_SCHEMES = ("http:", "https:", "ftp:", "file:", "blob:", "//")


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character is not text")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must say what the video shows")
    return text


def _no_bool(value: Any) -> Any:
    """Refuse true for 1, which would be taken otherwise."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic's way
    return value


def _from_text(value: Any) -> Any:
    """Read an object from its JSON text, as it comes in a form."""
    if not isinstance(value, str):
        return value
    if len(value) > LONGEST_METADATA:
        raise ValueError(f"must be shorter than {LONGEST_METADATA} characters")
    try:
        return _TEXTS.validate_json(value)
    except ValueError:
        text = f"must be a JSON object of texts, at most {MAX_METADATA}"
        raise ValueError(text) from None


_TEXTS = TypeAdapter(dict[str, str])  # makes nothing of what is something else
Text = Annotated[str, AfterValidator(_no_nul)]
Word = Annotated[Text, StringConstraints(min_length=1, max_length=100)]
Whole = Annotated[int, BeforeValidator(_no_bool)]
Key = Annotated[Text, StringConstraints(min_length=1, max_length=64)]
Note = Annotated[Text, StringConstraints(max_length=512)]


def link(url: str) -> str:
    """Check a URL's form, without asking anybody. Raises ValueError."""
    try:
        fetch.parse(url)
    except fetch.ForbiddenURLError as error:
        raise ValueError(str(error)) from None
    return url


Link = Annotated[str, AfterValidator(link)]


class ReferenceFile(BaseModel):
    """A reference file of a JSON body: its bytes, or the URL they are fetched from."""

    model_config = ConfigDict(extra="forbid")

    data: str | None = Field(
        None, description="Base64, or a data: URI.", examples=["iVBORw0KGgo="]
    )
    url: Link | None = Field(
        None,
        description="http or https, open to everybody, at a public address.",
        examples=["https://files.example/fox.png"],
    )
    filename: Text = Field("", max_length=4096, examples=["fox.png"])
    mime_type: str | None = Field(
        None,
        description="Says what a URL leads to, where its name does not: image/…, "
        "video/… or audio/…. In the end the bytes decide.",
        max_length=255,
    )

    @field_validator("data")
    @classmethod
    def _no_link(cls, data: str | None) -> str | None:
        if data and data[:8].lower().startswith(_URL_SCHEMES):
            raise ValueError("a URL goes into `url`")
        return data

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.data is None) is (self.url is None):
            raise ValueError("must have either `data` or `url`")
        return self


class Wish(BaseModel):
    """The fields of a create; what is not given is fitted to the model."""

    model_config = ConfigDict(extra="forbid")

    prompt: Annotated[
        Text, StringConstraints(max_length=MAX_PROMPT), AfterValidator(_not_blank)
    ] = Field(
        description="What the video shows. `@1` is the first file, `@image_file_2` "
        "the second image.",
        examples=["a fox in the snow"],
    )
    model: Word | None = Field(None, examples=["jimeng-video-seedance-2.0"])
    duration: Whole | None = Field(None, description="Seconds.", examples=[5])
    ratio: Word | None = Field(None, examples=["16:9"])
    resolution: Word | None = Field(None, examples=["720p"])
    function_mode: Word | None = Field(
        None,
        description="omni_reference, first_last_frames, first_frame or text.",
        examples=["omni_reference"],
    )
    priority: Annotated[Whole, Field(ge=0, le=9)] = Field(
        5, description="Higher goes first."
    )
    metadata: Annotated[
        dict[Key, Note], BeforeValidator(_from_text), Field(max_length=MAX_METADATA)
    ] = Field({}, description="Your own notes, given back.", examples=[{"shot": "12"}])
    files: list[ReferenceFile] = []

    @field_validator("files", mode="before")
    @classmethod
    def _links_alone(cls, files: Any) -> Any:
        if not isinstance(files, list):
            return files
        return [{"url": each} if isinstance(each, str) else each for each in files]


class _Body(Wish):
    """A create's whole body: also the names older clients have for URLs."""

    file_paths: list[Link] = []
    filePaths: list[Link] = []  # noqa: N815 - as older clients write it

    @model_validator(mode="after")
    def _together(self) -> Self:
        links = self.filePaths or self.file_paths
        self.files += [ReferenceFile(url=each) for each in links]
        return self


NAMES = frozenset(_Body.model_fields)


def from_json(body: bytes) -> Wish:
    """Read a JSON body; raises pydantic.ValidationError."""
    return cast("Wish", _Body.model_validate_json(body))


def from_form(fields: dict[str, str]) -> Wish:
    """Read the texts of a form; raises pydantic.ValidationError."""
    given = {name: value for name, value in fields.items() if value or name == "prompt"}
    return cast("Wish", _Body.model_validate(given))
