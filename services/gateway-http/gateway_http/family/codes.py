"""The family's error codes: `{"code": -2000, "message": …, "data": null}`.

What that family answers so has the HTTP status 200 here too, because its clients read
nothing else. What it has no word for – keys, limits, services that are away – keeps
the status that programs, proxies and libraries go by.
"""

from typing import Any

from contracts.errors import ErrorCode
from contracts.requests import Task
from gateway_http.problems import Problem

SYSTEM = -1000
PARAMETERS = -2000
REQUEST_FAILED = -2001
LOGIN = -2002
FILE_URL = -2003
FILE_TOO_LARGE = -2004
CONTENT = -2006
IMAGE = -2007
VIDEO = -2008
CREDITS = -2009
_OK = 200
_BAD = 400

_PROBLEMS = {
    "invalid_request": PARAMETERS,
    "unsupported_media_type": PARAMETERS,
    "unsupported_parameter": SYSTEM,
    "too_large": FILE_TOO_LARGE,
    "token_refused": LOGIN,
}
_FAILURES = {
    ErrorCode.CONTENT_REFUSED: CONTENT,
    ErrorCode.REFERENCE_UNREACHABLE: FILE_URL,
    ErrorCode.LOGIN_EXPIRED: LOGIN,
    ErrorCode.CREDITS_EXHAUSTED: CREDITS,
}


def of_problem(problem: Problem) -> tuple[int, int]:
    """Return the HTTP status and the code of a no before there is a task."""
    code = _PROBLEMS.get(problem.kind)
    if code is None:
        return problem.status, REQUEST_FAILED
    if code == PARAMETERS and problem.status == _BAD:
        return _OK, SYSTEM  # what is no JSON is no matter of parameters there
    return _OK, FILE_TOO_LARGE if problem.status == 413 else code  # noqa: PLR2004


def of_task(task: Task) -> int:
    """Return the code of a task that ended badly."""
    made = IMAGE if task.kind == "image" else VIDEO
    return _FAILURES.get(task.error_code, made) if task.error_code else made


def failure(code: int, message: str, **more: Any) -> dict[str, Any]:
    """Return an error's body; `more` are members of ours beside the family's."""
    return {"code": code, "message": message, "data": None, **more}
