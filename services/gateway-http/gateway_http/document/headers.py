"""The headers of answers and requests, each described once."""

from typing import Any

Described = dict[str, Any]


def _header(text: str, example: str, kind: str = "string") -> Described:
    return {"description": text, "schema": {"type": kind}, "example": example}


ALWAYS = ("X-Request-Id",)
COUNTED = ("RateLimit", "RateLimit-Policy")
REPLAY = "Idempotency-Replayed"
HEADERS: dict[str, Described] = {
    "X-Request-Id": _header(
        "Names this request, also in the log.", "01890a5d-ac96-774b-bcce-b302099a8057"
    ),
    "RateLimit": _header("What is left of the key's limits.", '"requests";r=59;t=42'),
    "RateLimit-Policy": _header("The key's limits.", '"requests";q=60;w=60'),
    "Retry-After": _header("Seconds after which trying again may help.", "5"),
    "WWW-Authenticate": _header("How to be let in.", "Bearer"),
    REPLAY: _header("`true`: an equal request made it before, nothing is new.", "true"),
    "Preference-Applied": _header("Which of its preferences was heard.", "wait=60"),
    "Location": _header(
        "Where to go on.", "/api/v1/tasks/01890a5d-ac96-774b-bcce-b302099a8057"
    ),
    "ETag": _header("Names these very bytes.", '"9f86d081884c7d65"'),
    "Accept-Ranges": _header("Parts may be asked for.", "bytes"),
    "Content-Range": _header("Which part it is, of how many.", "bytes 0-1023/4096"),
    "Content-Disposition": _header("What to call it.", 'inline; filename="film.mp4"'),
}
FILE = ("ETag", "Accept-Ranges", "Content-Disposition")


def named(*names: str) -> Described:
    """Return an answer's headers, by reference."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _asked(name: str, where: str, text: str, example: str) -> Described:
    told = {"name": name, "in": where, "required": False, "description": text}
    return {**told, "schema": {"type": "string"}, "example": example}


_BYTES = "Which bytes are wanted; several ranges, or none that can be read, mean all."
OF_FILES = [
    _asked("Range", "header", _BYTES, "bytes=0-1023"),
    _asked("If-Range", "header", "The part, if it is still this.", '"9f86d081"'),
    _asked("If-None-Match", "header", "304 if it is still this.", '"9f86d081"'),
    _asked("expires", "query", "Of a signed link: Unix time.", "1790000000"),
]
"""What requests for files may say."""

MADE = named(REPLAY, "Preference-Applied")
"""Of answers to creates that may be waited for."""

PREFER = _asked(
    "Prefer",
    "header",
    "`wait=60`: answer once it is made, at most so many seconds later; "
    "`respond-async`: answer at once.",
    "wait=60",
)
