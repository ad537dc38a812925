"""What single fields of a request may be, whichever request they are of."""

from base64 import b64decode
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    TypeAdapter,
)

import fetch
from gateway_http.moments import moment

MAX_PROMPT = 15_000
MAX_METADATA = 16
LONGEST_METADATA = 64 * 1024  # as a text: 16 times 64 and 512 characters, with room
WHSEC = "whsec_"
SHORTEST_KEY, LONGEST_KEY = 24, 64  # bytes (Standard Webhooks)


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character is not text")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must say what is to be seen")
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


def _usable_secret(secret: SecretStr) -> SecretStr:
    """Check a webhook's secret; the Base64 of `whsec_…` must be a key's."""
    text = secret.get_secret_value()
    if not text.startswith(WHSEC):
        return secret
    try:
        size = len(b64decode(text.removeprefix(WHSEC), validate=True))
    except ValueError:
        size = 0
    if not SHORTEST_KEY <= size <= LONGEST_KEY:
        text = f"whsec_ is followed by the Base64 of {SHORTEST_KEY} to {LONGEST_KEY}"
        raise ValueError(f"{text} bytes")
    return secret


HookSecret = Annotated[
    SecretStr, Field(min_length=1, max_length=256), AfterValidator(_usable_secret)
]
Prompt = Annotated[
    Text, StringConstraints(max_length=MAX_PROMPT), AfterValidator(_not_blank)
]
Notes = Annotated[
    dict[Key, Note], BeforeValidator(_from_text), Field(max_length=MAX_METADATA)
]
Moment = Annotated[datetime, BeforeValidator(moment)]
