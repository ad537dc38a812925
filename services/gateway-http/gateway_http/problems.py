"""Every no as application/problem+json (RFC 9457): one shape for programs and people.

`type` is a stable word, `title` says what kind of no it is, `detail` what to do, and
`errors` names each field that is wrong. Values the caller sent are not repeated.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from nats.errors import Error as NatsError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from contracts.requests import Refusal, RequestRefusedError
from gateway_http.paths import allowed

MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """One thing that is wrong, and where."""

    field: str = Field(examples=["duration"])
    pointer: str = Field(examples=["/duration"], description="JSON pointer (RFC 6901).")
    message: str = Field(examples=["allows 4, 5, 6, not 99"])


class ProblemBody(BaseModel):
    """What a no looks like."""

    type: str = Field(examples=["invalid_request"], description="Stable, for programs.")
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["duration: allows 4, 5, 6, not 99"])
    errors: list[FieldError] = []
    request_id: str = ""


class Problem(Exception):  # noqa: N818 - an answer, raised where it is decided
    """A no; `more` are members of its own, such as the task id."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}
        self.more = more


def field_error(location: Sequence[int | str], message: str) -> FieldError:
    """Name a place in what was sent, both for people and as a JSON pointer."""
    parts = [str(part)[:100] for part in location]
    escaped = [p.replace("~", "~0").replace("/", "~1") for p in parts]
    return FieldError(
        field=".".join(parts),
        pointer="".join(f"/{part}" for part in escaped),
        message=message,
    )


def invalid(errors: Sequence[FieldError], status: int = 422) -> Problem:
    """Refuse a request whose fields are wrong."""
    detail = "; ".join(f"{e.field or 'body'}: {e.message}" for e in errors[:5])
    return Problem(status, "invalid_request", detail, errors=errors)


def invalid_field(field: str, message: str, status: int = 422) -> Problem:
    """Refuse a request for one of its fields."""
    return invalid([field_error(field.split("."), message)], status)


def refused(refusal: Refusal) -> Problem:
    """Pass the scheduler's no on."""
    errors = [field_error([refusal.field], refusal.detail)] if refusal.field else []
    kind = refusal.type.replace("-", "_")  # one way of writing them over HTTP
    return Problem(refusal.status, kind, refusal.detail, errors=errors)


def unavailable(detail: str, kind: str = "unavailable", **more: Any) -> Problem:
    """Say that something we need does not answer; trying again later may help."""
    return Problem(503, kind, detail, **more)


def storage_full(detail: str) -> Problem:
    """Say that there is no room for what was sent; nothing of it is kept."""
    return Problem(507, "storage_full", detail)


def problem_response(problem: Problem, request_id: str) -> Response:
    """Write a problem as it travels."""
    body, headers = body_of(problem, request_id), headers_of(problem)
    return JSONResponse(body, problem.status, headers, MEDIA_TYPE)


def body_of(problem: Problem, request_id: str) -> dict[str, Any]:
    """Return a problem's members."""
    return {
        "type": problem.kind,
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "errors": [error.model_dump() for error in problem.errors],
        "request_id": request_id,
        **problem.more,
    }


def headers_of(problem: Problem) -> dict[str, str]:
    """Return a problem's headers."""
    later = problem.status == HTTPStatus.SERVICE_UNAVAILABLE
    return {**({"Retry-After": "5"} if later else {}), **problem.headers}


def register(web: FastAPI) -> None:
    """Make every failure of a route a problem."""

    async def tell(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
            problem.headers = {"Allow": allowed(web, request.url.path)}
        return answer(request, problem)

    for kind in (*FAILURES, Exception):
        web.add_exception_handler(kind, tell)


FAILURES = (
    Problem,
    RequestRefusedError,
    RequestValidationError,
    HTTPException,
    ClientDisconnect,
    NatsError,
)


def problem_of(error: Exception) -> Problem:
    """Read a failure as a problem."""
    match error:
        case Problem():
            return error
        case RequestRefusedError():
            return refused(error.refusal)
        case RequestValidationError():
            return from_validation(error.errors())
        case HTTPException():
            return _from_http(error)
        case ClientDisconnect():
            # Nobody reads it; it keeps a hang-up from being logged as a defect.
            return Problem(400, "hung_up", "the body broke off")
        case NatsError():
            return unavailable(f"the scheduler does not answer ({error})")
    text = "a defect of the gateway: its log has more under this request_id"
    return Problem(500, "internal", text)


def from_validation(found: Sequence[Any]) -> Problem:
    """Read pydantic's errors; what was sent is left out, it may be a secret."""
    errors = [field_error(_location(each), _message(each)) for each in found]
    broken = any(each["type"] == "json_invalid" for each in found)
    return invalid(errors, 400 if broken else 422)


def _location(error: Any) -> Sequence[int | str]:
    """Leave out where FastAPI found it, and what JSON position it stopped at."""
    location = tuple(error["loc"])
    if location and location[0] in {"body", "query", "path", "header"}:
        location = location[1:]
    return () if error["type"] == "json_invalid" else location


def _message(error: Any) -> str:
    if error["type"] == "json_invalid":
        return "is not valid JSON"
    if error["type"] == "extra_forbidden":
        return "is not a field of this request"
    text = str(error["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _from_http(error: HTTPException) -> Problem:
    phrase = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    kind = {413: "too_large"}.get(error.status_code, phrase)
    return Problem(error.status_code, kind, str(error.detail), headers=error.headers)


def answer(request: Request, problem: Problem) -> Response:
    """Answer a request with a problem, in its route's own form where it has one."""
    tell = getattr(request.scope.get("route"), "tell", problem_response)
    response: Response = tell(problem, request.scope.get("request_id", ""))
    return response
