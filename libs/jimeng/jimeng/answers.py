"""What the site answers: reading it, and telling a failure from all its fields.

An mweb or commerce answer is `{"ret", "errmsg", "data", ...}` whatever the HTTP
status; `ret` is the real status, mostly a string. Secrets are taken out of an
answer before anything keeps it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jimeng.echoes import MASK, without
from jimeng.errors import UNKNOWN_EFFECT, BadAnswer, Refused, effect_of

EXCERPT_CHARS = 500
FIRST_HTTP_ERROR = 400
KEPT_BYTES = 64 * 1024  # of an answer that is stored with the attempt

_MASKED = (
    "sessionid sessionid_ss sid_tt sid_guard sid_ucp_v1 ssid_ucp_v1 session_token "
    "secret_access_key access_key_id sessionkey auth authorization cookie set-cookie "
    "mstoken a_bogus x-amz-security-token"
)
_NAME = "|".join(map(re.escape, _MASKED.split()))
# As a JSON member, also inside a JSON string, and as a cookie or query pair.
_MEMBER = re.compile(rf'("(?:{_NAME})\\*"\s*:\s*\\*")[^"\\]+', re.IGNORECASE)
_PAIR = re.compile(rf"\b((?:{_NAME})=)[^\s;&\"'<>\\]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON object the site sent."""

    status: int
    body: Mapping[str, Any]
    text: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False, default=())

    @property
    def kept(self) -> str:
        """Its text as it may be stored."""
        return kept(self.text, self.secrets)

    def bad(self, why: str) -> BadAnswer:
        """The error that says what is wrong with it."""
        return _bad(self.status, self.text, self.secrets, why)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without its secrets: known values, and values of telling names."""
    text = without(text, secrets)
    return _PAIR.sub(rf"\g<1>{MASK}", _MEMBER.sub(rf"\g<1>{MASK}", text))


def kept(text: str, secrets: Iterable[str] = ()) -> str:
    """What of an answer is stored: without secrets, 64 KiB at most."""
    seen = text[: 4 * KEPT_BYTES]  # so that no secret is cut, and seen, at the end
    return scrub(seen, secrets).encode()[:KEPT_BYTES].decode(errors="ignore")


def read_answer(status: int, text: str, secrets: Iterable[str] = ()) -> Answer:
    """Parse an answer; BadAnswer when it is no JSON, or JSON but no object."""
    secrets = tuple(secrets)
    # Whatever is read from it goes to people, rows and logs: our own secrets echoed
    # back are taken out before.
    text = without(text, secrets)
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise _bad(status, text, secrets, "not JSON") from None
    if not isinstance(body, dict):
        raise _bad(status, text, secrets, "not an object")
    return Answer(status=status, body=body, text=text, secrets=secrets)


def expect_success(answer: Answer) -> Any:
    """The `data` of a read; Refused when `ret` says no, BadAnswer without `ret`.

    Success in an HTTP error is none: something between us and the site made it.
    """
    ret = word(answer.body.get("ret"))
    if not ret:
        raise answer.bad("no ret")
    if ret != "0":
        code, text = failure(answer.body)
        effect = effect_of(code) or UNKNOWN_EFFECT
        raise Refused(code, text, effect, answer.kept)
    if answer.status >= FIRST_HTTP_ERROR:
        raise answer.bad("success in an HTTP error")
    return answer.body.get("data")


def failure(body: Mapping[str, Any]) -> tuple[str, str]:
    """Code and text of an envelope: the first code with a meaning, else `ret`."""
    data = body.get("data")
    codes = [body.get("ret"), *(at(data, name) for name in _CODES)]
    texts = [*(at(data, name) for name in _TEXTS), body.get("errmsg")]
    return pick_code(codes), first_word(texts)


def node_failure(node: Mapping[str, Any]) -> tuple[str, str]:
    """Code and text of a failed task, from every field that may hold them."""
    items = [item for item in sequence(node.get("item_list")) if at(item)]
    codes = [
        *(node.get(name) for name in _CODES),
        at(node, "task", "resp_ret", "ret"),
        *(at(item, "gen_result_data", "result_code") for item in items),
        *(code for item in items for code in _review(item)),
    ]
    texts = [
        *(node.get(name) for name in _TEXTS),
        at(node, "task", "resp_ret", "errmsg"),
        *(at(item, "gen_result_data", "result_msg") for item in items),
        node.get("fail_starling_key"),
    ]
    return pick_code(codes), first_word(texts)


_CODES = ("fail_code", "error_code", "fail_starling_key")
_TEXTS = ("fail_starling_message", "fail_msg", "error_msg")


def _review(item: Any) -> list[Any]:
    return sequence(at(item, "common_attr", "review_info", "review_code_list"))


def pick_code(candidates: Iterable[Any]) -> str:
    """The first code the table knows, else the first there is, else ''."""
    codes = [code for code in map(word, candidates) if code not in ("", "0")]
    return next((code for code in codes if effect_of(code)), codes[0] if codes else "")


def first_word(candidates: Iterable[Any]) -> str:
    """The first text that is not empty."""
    return next((text for text in map(word, candidates) if text), "")


def word(value: Any) -> str:
    """A code or text that may come as a string, a number, or not at all."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return ""


def number(value: Any) -> float | None:
    """A finite number that may come as a string; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if abs(result) < 2**63 else None


def whole(value: Any) -> int | None:
    """A count that may come as a string; None when it is none, or negative."""
    result = number(value)
    return int(result) if result is not None and result >= 0 else None


def at(value: Any, *path: str) -> Any:
    """What lies at a path of object keys; None where the path ends early.

    With no path: the value when it is an object.
    """
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if path or isinstance(value, dict) else None


def sequence(value: Any) -> list[Any]:
    """The value when it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def _bad(status: int, text: str, secrets: tuple[str, ...], why: str) -> BadAnswer:
    return BadAnswer(status, kept(text, secrets)[:EXCERPT_CHARS], why)
