"""Creates as the family's clients write them, read into the same wish as ours.

Files come in parts of any name, as URLs or data: URIs in lists, or under numbered
names, `image_file_1`, `video_file_2`, which say the place within their kind. What is no
field of a video is ignored, as that family does, but for what would shape it.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args

from fastapi import Request
from pydantic import AliasChoices, ConfigDict, Field, TypeAdapter

from contracts.values import FileRef
from gateway_http.fields import Word
from gateway_http.intake import Form, Received, Shelf, receive_as
from gateway_http.problems import Problem, invalid_field
from gateway_http.wish import NAMES, Wish
from media import Kind

LISTS = ("filePaths", "file_paths")
"""The fields that list URLs; the first that is there holds."""
UNSUPPORTED = "不支持的参数: {}。请使用 ratio 和 resolution 参数控制视频尺寸。"
"""As the family says it: use ratio and resolution."""
_KINDS: tuple[Kind, ...] = get_args(Kind)
NUMBERED = [f"{k}_file{n}" for k in _KINDS for n in ("", *(f"_{i}" for i in range(51)))]
_SHAPES = ("size", "width", "height")
_NUMBERED = re.compile(r"(image|video|audio)_file(?:_([0-9]{1,2}))?")
_URL = re.compile("https?://", re.IGNORECASE)
_OBJECT = TypeAdapter(dict[str, Any])
Given = Mapping[str, Any]


class FamilyWish(Wish):
    """A create as the family's clients write it."""

    model_config = ConfigDict(extra="ignore")

    function_mode: Word | None = Field(
        None,
        validation_alias=AliasChoices("functionMode", "function_mode"),
        description="omni_reference or first_last_frames.",
    )
    response_format: Literal["url", "b64_json"] = "url"


F = TypeVar("F", bound=FamilyWish)


async def receive(request: Request, lent: Shelf) -> Received[FamilyWish]:
    """Read a create. Raises Problem."""
    found = await receive_as(_FORM, request, lent)
    return Received(found.wish, arranged(found.files, lent.fields))


def from_given(given: Given) -> FamilyWish:
    """Read a create's fields. Raises Problem, or pydantic.ValidationError."""
    return read(given, FamilyWish)


def read(given: Given, kind: type[F]) -> F:
    """Read a create's fields as such a wish, as `from_given` does."""
    given = {name: value for name, value in given.items() if value not in (None, "")}
    for name in _SHAPES:
        if name in given:
            raise Problem(422, "unsupported_parameter", UNSUPPORTED.format(name))
    files = _files(given)
    wish = kind.model_validate({**given, "files": [each for _, each in files]})
    for (name, _), file in zip(files, wish.files, strict=True):
        file.under(name)
    return wish


def _files(given: Given) -> list[tuple[str, Any]]:
    """Return files, each with the name it came under."""
    numbered = [(name, given[name]) for name in given if _NUMBERED.fullmatch(name)]
    links: Any = next((given[name] for name in LISTS if name in given), [])
    listed = [("", each) for each in (*_list(given.get("files", [])), *_list(links))]
    return [(name, _file(each)) for name, each in (*numbered, *listed)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _file(value: Any) -> Any:
    """Make a file of a URL, a data: URI or Base64."""
    if not isinstance(value, str):
        return value
    return {"url" if _URL.match(value) else "data": value}


def _from_json(body: bytes) -> FamilyWish:
    return from_given(_OBJECT.validate_json(body))


_FORM = Form(
    _from_json,
    from_given,
    names=NAMES | {"functionMode", "response_format", *_SHAPES},
    files=frozenset({"files", *LISTS, *(f"{name}[]" for name in LISTS), *NUMBERED}),
    everywhere=True,
    ignoring=True,
)


def arranged(files: Sequence[FileRef], fields: Sequence[str]) -> list[FileRef]:
    """Put numbered files where their numbers say, within their kind.

    `fields` are the names they came under. Files without a number take what is free,
    in their order. Raises Problem for a number that leaves a gap.
    """
    pairs = [_numbered(*each) for each in zip(files, fields, strict=True)]
    found = [file for file, _ in pairs]
    for kind in _KINDS:
        places = [place for place, file in enumerate(found) if file.kind == kind]
        ordered = _ordered(kind, [pairs[place] for place in places])
        for place, file in zip(places, ordered, strict=True):
            found[place] = file
    return found


def _numbered(file: FileRef, field: str) -> tuple[FileRef, int | None]:
    """Return a file, of the kind its field says, and its number."""
    name = _NUMBERED.fullmatch(field)
    if not name:
        return file, None
    if file.url:  # its kind was a guess
        file = file.model_copy(update={"kind": name[1]})
    elif file.kind != name[1]:
        raise invalid_field(field, f"has a file of another kind: {file.kind}")
    return file, int(name[2] or 0) or None


def _ordered(kind: Kind, pairs: list[tuple[FileRef, int | None]]) -> list[FileRef]:
    """Return one kind's files in the order of their numbers."""
    numbered = {number: file for file, number in pairs if number}
    count = Counter(number for _, number in pairs)
    free = [file for file, number in pairs if not number]
    order = []
    for number in range(1, len(pairs) + 1):
        if count[number] > 1:
            raise invalid_field(f"{kind}_file_{number}", "is given twice")
        if number not in numbered and not free:
            raise invalid_field(f"{kind}_file_{number}", "is missing: count from 1")
        order.append(numbered[number] if number in numbered else free.pop(0))
    return order
