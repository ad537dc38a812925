"""Chat completions read as creates, and tasks told as what an assistant says."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from fastapi import Request
from pydantic import BaseModel, Field, TypeAdapter

from contracts.requests import Task
from contracts.values import TERMINAL
from gateway_http.family.answers import why
from gateway_http.family.forms import FamilyWish, read
from gateway_http.intake import Form, Received, Shelf, receive_as
from gateway_http.links import Links
from gateway_http.problems import Problem, invalid_field
from gateway_http.views import duration_text, task_view
from jimeng import shape_of

BEGINS = {
    "video": "🎬 视频生成中 请稍候…\n",
    "image": "🎨 图像生成中 请稍候…\n",
}
DONE = b"data: [DONE]\n\n"
EXAMPLE = """\
data: {"id": "chatcmpl-01890a5d…", "object": "chat.completion.chunk", "choices": [
  {"index": 0, "delta": {"role": "assistant", "content": "…"}, "finish_reason": null}]}

data: [DONE]

"""
_NOT_OURS = {"messages", "response_format", "files", "n", "priority", "metadata"}
_FILES = ("image_url", "video_url", "audio_url")
_OBJECT = TypeAdapter(dict[str, Any])
Given = Mapping[str, Any]


class ChatWish(FamilyWish):
    """A create as a chat client writes it: its last message is the prompt."""

    stream: bool = False


async def receive(request: Request, lent: Shelf) -> Received[ChatWish]:
    """Read a chat completion as a create. Raises Problem."""
    return await receive_as(_FORM, request, lent)


def _from_json(body: bytes) -> ChatWish:
    given = _OBJECT.validate_json(body)
    prompt, files = _last_said(given.get("messages"))
    told = {name: value for name, value in given.items() if name not in _NOT_OURS}
    told |= {"prompt": prompt, "files": files, **_model(given)}
    return read(told, ChatWish)


def _from_form(_: dict[str, str]) -> ChatWish:
    raise Problem(415, "unsupported_media_type", "send application/json")


_FORM = Form(_from_json, _from_form, frozenset(), frozenset(), ignoring=True)


def _last_said(messages: Any) -> tuple[str, list[Any]]:
    """Return the text of the last message, and the files it shows."""
    last = messages[-1] if isinstance(messages, list) and messages else None
    content = last.get("content") if isinstance(last, dict) else None
    if isinstance(content, str):
        return content, []
    if not isinstance(content, list) or not all(isinstance(p, dict) for p in content):
        text = "the last message needs a content: a text, or a list of parts"
        raise invalid_field("messages", text)
    texts = [part.get("text") for part in content if part.get("type") == "text"]
    files = [_url(part) for part in content if part.get("type") in _FILES]
    return "\n".join(filter(None, map(_text, texts))), files


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _url(part: dict[str, Any]) -> Any:
    found = part.get(part["type"])
    return found.get("url") if isinstance(found, dict) else found


def _model(given: Given) -> dict[str, Any]:
    """Read `name:1024x1024`, or `size` beside a name, into resolution and ratio."""
    model, size = given.get("model"), given.get("size")
    if isinstance(model, str) and ":" in model:
        model, _, size = model.partition(":")
    if not size:
        return {"model": model}
    width, _, height = str(size).lower().partition("x")
    shape = None
    if width.isdecimal() and height.isdecimal() and len(str(size)) < len("10000x10000"):
        shape = shape_of(int(width), int(height))
    if not shape:
        raise invalid_field("size", "is none of the sizes of images: see /docs")
    return {"model": model, "size": None, "resolution": shape[0], "ratio": shape[1]}


class Message(BaseModel):
    """What the assistant says."""

    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    """The one answer."""

    index: int = 0
    message: Message
    finish_reason: Literal["stop"] = "stop"


class Usage(BaseModel):
    """Nothing is counted here; clients want the numbers."""

    prompt_tokens: int = 1
    completion_tokens: int = 1
    total_tokens: int = 2


class Completion(BaseModel):
    """A finished chat completion."""

    id: str = Field(examples=["chatcmpl-01890a5d-ac96-774b-bcce-b302099a8057"])
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage = Usage()


def completion(task: Task, content: str) -> Completion:
    """Answer with what there is to say of a task."""
    return Completion(
        id=_id(task),
        created=int(task.created_at.timestamp()),
        model=task.job.model,
        choices=[Choice(message=Message(content=content))],
    )


def chunk(task: Task, content: str = "", *, last: bool = False) -> bytes:
    """Write a piece of a stream."""
    delta = {} if last else {"role": "assistant", "content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": "stop" if last else None}
    body = {
        "id": _id(task),
        "object": "chat.completion.chunk",
        "created": int(task.created_at.timestamp()),
        "model": task.job.model,
        "choices": [choice],
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def result(task: Task, links: Links) -> str:
    """Say what was made, why it was not, or that it takes longer."""
    if task.status not in TERMINAL:
        return f"任务 {task.id} 仍在进行: GET /api/v1/tasks/{task.id}\n"
    view = task_view(task, links)
    if not view.results:
        what = "图像" if task.kind == "image" else "视频"
        return f"生成{what}失败: {why(task)}\n"
    if task.kind == "video":
        return "".join(f"![video]({each.url})\n" for each in view.results)
    return "".join(f"![image_{n}]({each.url})\n" for n, each in enumerate(view.results))


def progress(task: Task) -> str:
    """Say where a task stands; empty: nothing worth saying."""
    if task.status == "polling" and task.stage == "upstream_queue":
        if task.queue_position is None:
            return ""
        eta = duration_text(task.queue_eta_seconds)
        left = f" 约 {eta}" if eta else ""
        return f"排队中 {task.queue_position}/{task.queue_total or '?'}{left}\n"
    return _SAID.get(task.status, "")


_SAID = {
    "submitting": "正在提交…\n",
    "polling": "生成中…\n",
    "downloading": "下载中…\n",
}


def _id(task: Task) -> str:
    return f"chatcmpl-{task.id}"
