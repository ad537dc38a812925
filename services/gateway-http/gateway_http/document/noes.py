"""Every no of a route, with an example of it in the route's own words.

The examples are written by what writes the noes themselves.
"""

import json
from typing import Any

from pydantic import BaseModel

from gateway_http.document.headers import ALWAYS, COUNTED, named
from gateway_http.problems import (
    Problem,
    ProblemBody,
    field_error,
    invalid,
    problem_response,
    storage_full,
    unavailable,
)
from gateway_http.voices import Tell

REQUEST_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
LONGEST = 3600
_WRONG = invalid([field_error(["duration"], "allows 4, 5, 6, not 99")])
_RUNNING = "the task is queued; only an ended one can be deleted"
_OVER = "this key may make 60 requests a minute: try again later, in 42 s"
EXAMPLES: dict[int, tuple[str, Problem]] = {
    400: ("It cannot be read.", invalid([field_error([], "is not valid JSON")], 400)),
    401: (
        "There is no key, or none that is known.",
        Problem(401, "unauthorized", "there is no such key"),
    ),
    403: (
        "It is not allowed: `scope` says what is missing; or the Origin is foreign.",
        Problem(403, "scope_missing", "this needs a key with the scope admin"),
    ),
    404: (
        "There is no such thing, or it is somebody else's.",
        Problem(404, "task_not_found", "there is no such task"),
    ),
    408: (
        "It took too long.",
        Problem(408, "timeout", "the task was not made in time"),
    ),
    409: (
        "The state it is in does not allow it.",
        Problem(409, "task_running", _RUNNING, task_status="queued"),
    ),
    410: (
        "It was there, and was deleted.",
        Problem(410, "file_gone", "the file was removed from the store"),
    ),
    413: ("It is too large.", Problem(413, "too_large", "a body ends at 1 MiB here")),
    415: (
        "The body's type is not taken here.",
        Problem(415, "unsupported_media_type", "send application/json"),
    ),
    416: (
        "No byte of the file is in that range.",
        Problem(416, "range_not_satisfiable", "the file has 4096 bytes"),
    ),
    421: (
        "The Host is none of ours.",
        Problem(421, "foreign_host", "this Host is not ours: set PUBLIC_URL"),
    ),
    422: ("Fields are wrong: `errors` names them.", _WRONG),
    429: (
        "A limit is reached: try again after `Retry-After`.",
        Problem(429, "rate_limited", _OVER, limit=60, retry_after=42),
    ),
    500: (
        "The task failed for the gateway's own sake.",
        Problem(500, "internal", "the task failed"),
    ),
    503: (
        "Something it needs does not answer: send the same again.",
        unavailable("the scheduler does not answer"),
    ),
    504: (
        "It is not made yet, and goes on: the answer names the task.",
        Problem(504, "timeout", "the task has not ended after 300 s and goes on"),
    ),
    507: ("The disk is full.", storage_full("less than 2 GiB are free")),
}
_REUSED = "this Idempotency-Key was used with another body: give each request its own"
_NO_NAME = "Idempotency-Key must be 1 to 255 visible ASCII characters, given once"
_ALSO = {
    400: [Problem(400, "invalid_idempotency_key", _NO_NAME)],
    422: [Problem(422, "idempotency_key_reused", _REUSED)],
}
"""What some routes answer with another status than the rest of it."""

_HEADERS = {
    401: ("WWW-Authenticate",),
    416: ("Content-Range",),
    429: ("Retry-After", *COUNTED),
    503: ("Retry-After",),
}


def answers(
    status: int, tell: Tell = problem_response, body: type[BaseModel] = ProblemBody
) -> dict[str, dict[str, Any]]:
    """Describe a no as a route tells it: responses, by the status they then have."""
    text, problem = EXAMPLES[status]
    found = {}
    for each in (*_ALSO.get(status, ()), problem):
        told = tell(each, REQUEST_ID)
        schema = {"$ref": f"#/components/schemas/{body.__name__}"}
        content = {"schema": schema, "example": json.loads(bytes(told.body))}
        found[str(told.status_code)] = {
            "description": text,
            "headers": named(*ALWAYS, *_HEADERS.get(status, ())),
            "content": {told.headers["content-type"]: content},
        }
    return found
