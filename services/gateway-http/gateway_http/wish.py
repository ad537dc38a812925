"""What a client may ask for, checked field by field before anything is kept."""

from collections.abc import Mapping
from typing import Annotated, Any, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    StrictBool,
    TypeAdapter,
    ValidationInfo,
    field_validator,
    model_validator,
)

from contracts.requests import Task
from contracts.values import Terms
from gateway_http.fields import (
    HookSecret,
    Link,
    Moment,
    Notes,
    Prompt,
    Text,
    Whole,
    Word,
)
from jimeng import InvalidJob, find_model

DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQAAAAA3bvkkAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJ"
    "RU5ErkJggg=="
)
"""The smallest picture."""
_URL_SCHEMES = ("http:", "https:", "ftp:", "file:", "blob:", "//")


class ReferenceFile(BaseModel):
    """A reference file of a JSON body: its bytes, or the URL they are fetched from."""

    model_config = ConfigDict(extra="forbid")

    data: str | None = Field(
        None, description="Base64, or a data: URI.", examples=[DOT]
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
    _field: str = PrivateAttr("")

    @property
    def field(self) -> str:
        """The name it came under, where that says something."""
        return self._field

    def under(self, field: str) -> Self:
        """Remember the name it came under."""
        self._field = field
        return self

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

    prompt: Prompt = Field(
        description="What is to be seen. In a video's, `@1` is the first file, "
        "`@image_file_2` the second image.",
        examples=["a fox in the snow"],
    )
    model: Word | None = Field(
        None,
        description="A video model, or an image model such as jimeng-5.0.",
        examples=["jimeng-video-seedance-2.0"],
    )
    duration: Whole | None = Field(
        None, description="Seconds, of a video.", examples=[5]
    )
    ratio: Word | None = Field(None, examples=["16:9"])
    resolution: Word | None = Field(
        None, description="720p and so on; of an image 1k, 2k or 4k.", examples=["720p"]
    )
    function_mode: Word | None = Field(
        None,
        description="omni_reference, first_last_frames, first_frame or text.",
        examples=["omni_reference"],
    )
    priority: Annotated[Whole, Field(ge=0, le=9)] = Field(
        5, description="Higher goes first."
    )
    metadata: Notes = Field(
        {}, description="Your own notes, given back.", examples=[{"shot": "12"}]
    )
    max_attempts: Annotated[Whole, Field(ge=1, le=50)] = Field(
        8,
        description="After so many tries it fails, unless the last failed for an "
        "account's sake.",
    )
    deadline: Moment | None = Field(
        None,
        description="When it fails if the site has not finished it (RFC 3339).",
        examples=["2039-01-31T12:00:00Z"],
    )
    buy_again: Annotated[Whole, Field(ge=0, le=3)] = Field(
        0, description="How many generations that failed at the site to buy again."
    )
    webhook_url: Link | None = Field(
        None,
        description="Where its end is posted to; http on port 80 or https on 443, at a "
        "public address. Null in a retry: nowhere.",
        examples=["https://hooks.example/jimeng"],
    )
    webhook_secret: HookSecret | None = Field(
        None,
        description="What the webhook is signed with: `whsec_` and Base64 (Standard "
        "Webhooks), or any text. It is never shown again.",
    )
    files: list[ReferenceFile] = []

    @field_validator("webhook_secret")
    @classmethod
    def _of_a_webhook(
        cls, secret: SecretStr | None, told: ValidationInfo
    ) -> SecretStr | None:
        if secret and told.data.get("webhook_url", "wrong") is None:
            raise ValueError("give webhook_url with it")
        return secret

    @property
    def terms(self) -> Terms:
        """How far the gateway may go for it."""
        return Terms(
            max_attempts=self.max_attempts,
            deadline=self.deadline,
            buy_again=self.buy_again,
        )

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


class Retry(_Body):
    """A retry's body laid over the task that it retries: a whole wish again."""

    again: StrictBool = Field(
        default=False,
        description="Buy it anew, without looking first whether the site has it.",
    )
    _given: frozenset[str] = PrivateAttr(frozenset())

    @property
    def named(self) -> frozenset[str]:
        """What the body itself says."""
        return self._given

    @property
    def changes_job(self) -> bool:
        """Whether what is to be made was given anew."""
        return bool(self._given & _JOB)

    @property
    def changes_webhook(self) -> bool:
        """Whether it says anew where its end is told."""
        return "webhook_url" in self._given

    @property
    def changes_files(self) -> bool:
        """Whether it has files of its own."""
        return bool(self._given & FILES)


NAMES = frozenset(_Body.model_fields)
FILES = {"files", "file_paths", "filePaths"}
_JOB = FILES | {"prompt", "model", "duration", "ratio", "resolution", "function_mode"}
_OBJECT = TypeAdapter(dict[str, Any])


def from_json(body: bytes) -> Wish:
    """Read a JSON body; raises pydantic.ValidationError."""
    return cast("Wish", _Body.model_validate_json(body))


def from_retry(body: bytes, old: Task) -> Retry:
    """Read a retry's JSON body, or none; raises pydantic.ValidationError."""
    given = _OBJECT.validate_json(body or b"{}")
    found = Retry.model_validate({**_wish_of(old, given.get("model")), **given})
    found._given = frozenset(given)  # noqa: SLF001 - its own
    return found


def _wish_of(task: Task, model: Any) -> Mapping[str, Any]:
    """Return what a task's client once asked for; its deadline is its own.

    What is said of a video says nothing of an image that replaces it, nor back.
    """
    left = {"files", *(_SHAPE if _other_kind(task, model) else ())}
    job = task.job.model_dump(exclude=left, exclude_none=True)
    terms = task.terms.model_dump(exclude={"deadline", "credits"})
    return {**job, **terms, "priority": task.priority, "metadata": task.metadata}


_SHAPE = ("duration", "ratio", "resolution", "function_mode")


def _other_kind(task: Task, model: Any) -> bool:
    try:
        return isinstance(model, str) and find_model(model).kind != task.kind
    except InvalidJob:  # which is told once all fields are known
        return False


def from_form(fields: dict[str, str]) -> Wish:
    """Read the texts of a form; raises pydantic.ValidationError."""
    given = {name: value for name, value in fields.items() if value or name == "prompt"}
    return cast("Wish", _Body.model_validate(given))
