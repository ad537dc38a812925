"""What the sign-in page, or a program in its place, sends."""

from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway_http.filters import YesNo
from gateway_http.problems import Problem

MOST_BYTES = 16 * 1024
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


class KeySignIn(BaseModel):
    """A key to sign in with."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    key: str = Field(min_length=1, max_length=512, examples=["gw_…"])
    next: str | None = Field(None, description="A path of ours to go on to.")


class SignOut(BaseModel):
    """How far to sign out."""

    model_config = ConfigDict(extra="forbid")

    everywhere: YesNo = Field(default=False, description="Of every browser?")


B = TypeVar("B", bound=BaseModel)


def from_page(request: Request) -> bool:
    """Whether a page's form was sent, and so a page is the answer."""
    return _type(request) == FORM


async def sent(request: Request, kind: type[B]) -> B:
    """Read a body, a form or JSON, of bounded length. Raises Problem and the like."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Problem(413, "too_large", f"at most {MOST_BYTES} bytes are read here")
    try:
        if from_page(request) or not body:
            fields = dict(parse_qsl(body.decode(errors="replace")))
            return kind.model_validate(fields)
        if _type(request) == JSON:
            return kind.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None
    raise Problem(415, "unsupported_media_type", f"send {JSON} or {FORM}")


def told_body(kind: type[BaseModel], *, required: bool) -> dict[str, Any]:
    """Describe such a body for /docs."""
    schema = kind.model_json_schema()
    content = {each: {"schema": schema} for each in (JSON, FORM)}
    return {"requestBody": {"required": required, "content": content}}


def _type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
