"""The bodies of the family's routes, described for /docs."""

from typing import Any

from fetch import LONGEST_URL
from gateway_http.bodies import create_body

_URL: dict[str, Any] = {"type": "string", "format": "uri", "maxLength": LONGEST_URL}
_JSON = "application/json"
_BINARY = {"type": "string", "format": "binary"}
_LINKS = {
    "type": "array",
    "items": _URL,
    "description": "URLs of reference files, in order; `filePaths` is the same.",
}
_FORMAT = {
    "type": "string",
    "enum": ["url", "b64_json"],
    "default": "url",
    "description": "What an answer that waited has: a link, or the video in Base64.",
}
_OMNI = {
    "model": "jimeng-video-seedance-2.0",
    "functionMode": "omni_reference",
    "prompt": "@image_file_1 dances like @video_file_1",
    "ratio": "16:9",
    "duration": 5,
    "image_file_1": "https://files.example/a.png",
    "video_file_1": "https://files.example/a.mp4",
}
_FRAMES = {
    "model": "jimeng-video-3.0",
    "prompt": "the day becomes night",
    "filePaths": ["https://files.example/day.png", "https://files.example/night.png"],
}


def video_body(*more: dict[str, Any]) -> dict[str, Any]:
    """Describe a create as the family's clients write it; `more` are parameters."""
    told = create_body(*more)
    content = told["requestBody"]["content"]
    content[_JSON]["schema"] = _schema(content, _JSON, _URL)
    content[_JSON]["examples"] = {
        "text": {"value": {"prompt": "a fox in the snow", "ratio": "16:9"}},
        "references": {"value": _OMNI},
        "frames": {"value": _FRAMES},
    }
    either = {"anyOf": [_BINARY, _URL]}
    form = "multipart/form-data"
    content[form]["schema"] = _schema(content, form, either)
    return told


def _schema(content: Any, kind: str, file: dict[str, Any]) -> dict[str, Any]:
    fields = dict(content[kind]["schema"]["properties"])
    mode = fields.pop("function_mode")
    numbered = {f"{each}_file_1": file for each in ("image", "video", "audio")}
    return {
        **content[kind]["schema"],
        "additionalProperties": True,
        "properties": {
            **fields,
            "functionMode": mode,
            "file_paths": _LINKS,
            "response_format": _FORMAT,
            **numbered,
        },
    }


def chat_body(*more: dict[str, Any]) -> dict[str, Any]:
    """Describe a chat completion: what matters of it here."""
    text = {"type": "string"}
    part = {"type": "object", "properties": {"type": text}, "required": ["type"]}
    message = {
        "type": "object",
        "required": ["content"],
        "properties": {
            "role": text,
            "content": {"anyOf": [text, {"type": "array", "items": part}]},
        },
    }
    schema = {
        "type": "object",
        "required": ["messages"],
        "properties": {
            "model": {**text, "description": "Of videos or images; or `name:WxH`."},
            "messages": {"type": "array", "items": message, "minItems": 1},
            "stream": {"type": "boolean", "default": False},
            "ratio": text,
            "resolution": text,
            "duration": {"type": "integer"},
        },
    }
    example = {
        "model": "jimeng-video-seedance-2.0",
        "messages": [{"role": "user", "content": "a fox in the snow"}],
        "stream": True,
    }
    told = create_body(*more)
    content = {_JSON: {"schema": schema, "example": example}}
    told["requestBody"] = {"required": True, "content": content}
    return told
