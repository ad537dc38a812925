"""Every no in OpenAI's words: `{"error": {message, type, param, code}}`.

What its client libraries try again by themselves they decide by the status, and by
`x-should-retry`: a task that failed has been made, and may have been paid for.
"""

from typing import Any

from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from contracts.errors import ErrorCode
from contracts.requests import Task
from gateway_http.problems import FieldError, Problem

ONCE = {"x-should-retry": "false"}
UNPROCESSABLE = 422
SERVER_ERROR = 500
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {
    "missing_required_parameter": "field required",
    "unknown_parameter": "is not a field",
}
_INPUT = {
    ErrorCode.REFERENCE_INVALID,
    ErrorCode.REFERENCE_UNREACHABLE,
    ErrorCode.REFERENCE_REJECTED,
    ErrorCode.INVALID_REQUEST,
}
# Never 401 or 403: those would be about the caller, and the accounts are the gateway's.
_BY_KIND = {
    "content_risk": 400,
    "quota": 429,
    "auth": 503,
    "account_blocked": 503,
    "timeout": 504,
}


class ErrorBody(BaseModel):
    """What went wrong."""

    message: str
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(examples=["size"])
    code: str | None = Field(examples=["invalid_size"])


class Failure(BaseModel):
    """A no, as OpenAI's clients read it."""

    error: ErrorBody


class OpenAIRoute(APIRoute):
    """A route whose every no is in OpenAI's words."""

    refusal = Failure

    @staticmethod
    def tell(problem: Problem, _: str) -> Response:
        """Write a problem in OpenAI's words."""
        return answer(problem)


def answer(problem: Problem) -> Response:
    """Write a problem in OpenAI's words; members of its own go along."""
    status, param, code = _place(problem)
    error = ErrorBody(
        message=problem.detail, type=type_of(status), param=param, code=code
    )
    later = {"Retry-After": "5"} if problem.status == 503 else {}  # noqa: PLR2004
    return JSONResponse(
        {"error": {**error.model_dump(), **problem.more}},
        status,
        {**later, **problem.headers},
    )


def type_of(status: int) -> str:
    """Return OpenAI's word for a status."""
    usual = "server_error" if status >= SERVER_ERROR else "invalid_request_error"
    return _TYPES.get(status, usual)


def failure_of(task: Task) -> Problem:
    """Return what is said of a task that ended without images."""
    about: dict[str, Any] = {"task_id": task.id}
    if task.status == "cancelled" or task.error_code is None:
        text = f"task {task.id} is {task.status}: there are no images"
        return Problem(409, f"task_{task.status}", text, headers=ONCE, **about)
    text = task.error_message or "it failed for no stated reason"
    code, kind = task.error_code, task.error_code.kind
    status = 400 if code in _INPUT else _BY_KIND.get(kind, SERVER_ERROR)
    name = "content_policy_violation" if kind == "content_risk" else code.value
    if task.upstream_code:
        about["upstream_code"] = task.upstream_code
    return Problem(status, name, text, headers=ONCE, **about)


def _place(problem: Problem) -> tuple[int, str | None, str]:
    """Return status, parameter and code."""
    if not problem.errors:
        return problem.status, None, problem.kind
    first = problem.errors[0]
    param = first.field.partition(".")[0] or None
    if param == "model":
        return 404, param, "model_not_found"
    status = 400 if problem.status == UNPROCESSABLE else problem.status
    return status, "image" if param == "files" else param, _code(first, param)


def _code(error: FieldError, param: str | None) -> str:
    if param == "size":
        return "invalid_size"
    told = (code for code, text in _CODES.items() if text in error.message.lower())
    return next(told, "invalid_value")
