"""Examples of whole bodies, put together from those of their fields.

A field's own example wins; what has none is exemplified by its name, here, once.
"""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
Story = Mapping[str, Any]
_TASK = "01890a5d-ac96-774b-bcce-b302099a8057"
_FILM = f"https://video.example.org/api/v1/tasks/{_TASK}"
_MOMENT = "2026-01-31T12:00:00.000Z"
_UNSAID = (
    *("error_message", "error_kind", "error_code", "upstream_code", "error", "reason"),
    *("queue_position", "queue_total", "queue_eta", "queue_eta_seconds", "queue_ahead"),
    *("queue_eta_at", "gateway_position", "gateway_total", "waiting_for", "until"),
    *("deadline", "files_deleted_at", "stage", "function_mode", "retry_of", "secret"),
    *("next_cursor", "csrf", "provider", "last_error", "off_reason", "failing_since"),
    *("previous_until", "expires_at", "type", "b64_json", "role", "signed_in_until"),
)
_SAID: Story = {
    **dict.fromkeys(_UNSAID),
    **dict.fromkeys(("id", "task_id", "task", "request_id"), _TASK),
    **dict.fromkeys(("prompt", "revised_prompt"), "a fox in the snow"),
    **dict.fromkeys(("owner", "actor"), "key:3f9c21d07a4e"),
    **dict.fromkeys(("session", "session_pool_id"), "3"),
    **dict.fromkeys(("label", "session_label"), "mine"),
    **dict.fromkeys(("name", "api_key_name"), "render farm"),
    **dict.fromkeys(("upstream_id", "history_record_id"), "7412345678901234567"),
    **dict.fromkeys(("buy_again", "index", "fail_count", "failed", "cancelled"), 0),
    "model": "jimeng-video-3.0",
    "ratio": "16:9",
    "resolution": "720p",
    "region": "cn",
    "duration": 5,
    "duration_ms": 5042,
    "priority": 5,
    "revision": 7,
    "max_attempts": 8,
    "width": 1280,
    "height": 720,
    "size": 48_213,
    "mime": "video/mp4",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "poll_url": f"/api/v1/tasks/{_TASK}",
    "webhook_url": "https://hooks.example/jimeng",
    "webhook": "w1",
    "created": 1_790_000_000,
    "api_key_id": "3f9c21d07a4e",
    "target": "3",
    "address": "192.0.2.7",
    "masked": "0123...cdef",
    "submit_id": "8e03978e-40d5-43e8-bc93-6894a57f9324",
    "gateway_version": "0.1.0",
    "date": "2026-01-31",
    "event": "task.succeeded",
    "message": "it works",
    "took_ms": 120,
}
ENDED: Story = {
    **_SAID,
    "status": "succeeded",
    "progress": 100,
    "url": f"{_FILM}/video",
    "video_url": f"{_FILM}/video",
    "poster_url": f"{_FILM}/poster",
}
"""A task that was made."""

_NOT_YET = ("video_url", "poster_url", "started_at", "finished_at", "upstream_charged")
_NO_ACCOUNT = ("session_pool_id", "history_record_id")
BEGUN: Story = {
    **ENDED,
    **dict.fromkeys((*_NOT_YET, *_NO_ACCOUNT)),
    "status": "queued",
    "stage": "waiting",
    "progress": 0,
    "attempt": 0,
    "attempts": [],
    "results": [],
    "files": [],
}
"""One that was accepted."""

_BLANK = {"string": "…", "integer": 1, "number": 1.5, "boolean": True, "null": None}
_LACKING = object()


def example_of(schema: Schema, known: Mapping[str, Schema], story: Story | None) -> Any:
    """Return an example of an answer; without a story, of what is sent.

    Of that only what must be there, or has an example of its own.
    """
    return _Composer(known, story).of(schema)


class _Composer:
    def __init__(self, known: Mapping[str, Schema], story: Story | None) -> None:
        self._known = known
        self._story = _SAID if story is None else story
        self._sent = story is None

    def of(self, schema: Schema, name: str = "") -> Any:
        schema = self._found(schema)
        own, told = _own(schema), self._story.get(name, _LACKING)
        unsaid = told is None and not self._sent and self._fits(schema, None)
        if own is not _LACKING and not unsaid:
            return own
        if told is not _LACKING and self._fits(schema, told):
            return told
        if kinds := schema.get("anyOf"):
            return self.of(kinds[0], name)
        return self._made(schema)

    def _made(self, schema: Schema) -> Any:
        if "enum" in schema:
            return schema["enum"][0]
        if "properties" in schema:
            return self._object(schema)
        if "prefixItems" in schema:
            return [self.of(each) for each in schema["prefixItems"]]
        if schema.get("type") == "array":
            return [self.of(schema["items"])]
        if schema.get("format") == "date-time":
            return _MOMENT
        return _BLANK.get(schema.get("type", "null"), {})

    def _object(self, schema: Schema) -> dict[str, Any]:
        needed = schema.get("required", ())
        return {
            name: self.of(field, name)
            for name, field in schema["properties"].items()
            if not self._sent or name in needed or _own(field) is not _LACKING
        }

    def _fits(self, schema: Schema, value: Any) -> bool:
        """Whether what a name stands for is a value of a schema, as far as types go."""
        schema = self._found(schema)
        if kinds := schema.get("anyOf"):
            return any(self._fits(kind, value) for kind in kinds)
        if "enum" in schema:
            return value in schema["enum"]
        return _TYPES.get(schema.get("type", "null")) is type(value) and (
            schema.get("format") != "date-time"
        )

    def _found(self, schema: Schema) -> Schema:
        if "$ref" in schema:
            return self._known[schema["$ref"].rpartition("/")[2]]
        return schema


_TYPES = {"string": str, "integer": int, "array": list, "null": type(None)}


def _own(schema: Schema) -> Any:
    for word in ("const", "example"):
        if word in schema:
            return schema[word]
    return next(iter(schema.get("examples", ())), _LACKING)
