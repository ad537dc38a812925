"""The bodies that routes read by themselves, described for /docs."""

from typing import Any

from fetch import LONGEST_URL
from gateway_http.access import KEY_HEADER
from gateway_http.image_wish import ImageWish
from gateway_http.wish import DOT, Retry, Wish

EXAMPLE_URL = "https://files.example/fox.png"
_URL: dict[str, Any] = {"type": "string", "format": "uri", "maxLength": LONGEST_URL}
_FORM = {"prompt": "a fox in the snow", "duration": 5, "ratio": "16:9"}
_INLINE = {"data": DOT, "filename": "fox.png", "mime_type": "image/png"}


def create_body(*more: dict[str, Any]) -> dict[str, Any]:
    """Describe the two forms of a create's body; `more` are parameters."""
    schema = _schema(Wish)
    binary = {"type": "string", "format": "binary"}
    either = {"type": "array", "items": {"anyOf": [binary, _URL]}}
    examples = {
        "text": {"value": {"prompt": "a fox in the snow"}},
        "image": {"value": {"prompt": "@1 runs", "duration": 5, "files": [_INLINE]}},
        "url": {"value": {"prompt": "@1 runs", "files": [{"url": EXAMPLE_URL}]}},
    }
    form = _as_form(schema, files=either)
    return _told(
        {
            "application/json": {"schema": schema, "examples": examples},
            "multipart/form-data": {"schema": form, "example": _FORM},
        },
        *more,
        required=True,
    )


def retry_body() -> dict[str, Any]:
    """Describe a retry's body: nothing, or what shall be different."""
    schema = _schema(Retry)
    schema.pop("required", None)
    fields = schema["properties"]
    # What is left out is the old task's, not a default; and one name is enough.
    for name, told in fields.items():
        fields[name] = {k: v for k, v in told.items() if k != "default"}
    for name in ("file_paths", "filePaths"):
        del fields[name]
    examples = {
        "same": {"value": {}},
        "again": {"value": {"again": True}},
        "changed": {"value": {"prompt": "a fox in the rain"}},
    }
    body = {"application/json": {"schema": schema, "examples": examples}}
    return _told(body, required=False)


def image_body(*, from_images: bool) -> dict[str, Any]:
    """Describe the two forms of a body that asks for images."""
    schema = _schema(ImageWish)
    fields = schema["properties"]
    for name in ("files", "duration", "function_mode"):
        del fields[name]
    text = {"type": "string", "description": "A URL, or a data: URI."}
    given = {"anyOf": [text, {**_file("url", text), "additionalProperties": False}]}
    many = {"type": "array", "maxItems": 10, "items": given}
    told = "Images to start from; `images` and `files` mean the same."
    fields["image"] = {"anyOf": [many, given], "description": told}
    binary = {"type": "string", "format": "binary"}
    parts = {"type": "array", "items": {"anyOf": [binary, _URL]}, "description": told}
    if from_images:
        schema["required"] = [*schema["required"], "image"]
    form = _as_form(schema, image=parts)
    text_alone = {"prompt": "a fox in the snow", "size": "2560x1440"}
    with_image = {"prompt": "in the rain", "image": [EXAMPLE_URL]}
    examples: dict[str, Any] = {"image": {"value": with_image}}
    if not from_images:
        examples = {"text": {"value": text_alone}, **examples}
    content = {
        "application/json": {"schema": schema, "examples": examples},
        "multipart/form-data": {"schema": form, "example": with_image},
    }
    return _told(content, required=True)


def _schema(kind: type[Wish]) -> dict[str, Any]:
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    schema["properties"]["files"] = {
        "type": "array",
        "description": "Reference files in order, Base64 or data: URIs, at most 32 MiB "
        "a body; or URLs, which are fetched once the task is accepted.",
        "items": {
            "anyOf": [_file("data", {"type": "string"}), _file("url", _URL), _URL]
        },
    }
    return schema


def _as_form(schema: dict[str, Any], **files: dict[str, Any]) -> dict[str, Any]:
    """Describe the fields as texts of a form, which know no null, beside its files."""
    fields = {name: _no_null(each) for name, each in schema["properties"].items()}
    return {**schema, "properties": {**fields, **files}}


def _no_null(field: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
    left = {k: v for k, v in field.items() if k != "anyOf" and v is not None}
    return left | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})


def _file(name: str, value: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "string"}
    fields = {name: value, "filename": text, "mime_type": text}
    return {"type": "object", "required": [name], "properties": fields}


def _told(
    content: dict[str, Any], *more: dict[str, Any], required: bool
) -> dict[str, Any]:
    return {
        "parameters": [_KEY, *more],
        "requestBody": {"required": required, "content": content},
    }


_KEY = {
    "name": KEY_HEADER,
    "in": "header",
    "description": "Your name for this very request, kept for 24 hours: sent again "
    "with the same body, it is answered as before and makes nothing new.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
}
