"""The same in plain words, as the robots of chats take it.

ntfy: docs.ntfy.sh/publish. DingTalk: a custom robot, signed where it has a secret.
WeCom: a group robot. Slack: an incoming webhook.
"""

import hmac
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

from contracts.requests import Task
from contracts.webhooks import DueDelivery, EndpointKind
from notifier.forms import links_of

PROMPT_SHOWN = 200
LONGEST_BYTES = 2000  # WeCom takes 2048, the others more
JSON = ("Content-Type", "application/json; charset=utf-8")


@dataclass(frozen=True)
class Outgoing:
    """What is posted, and where."""

    url: str
    headers: list[tuple[str, str]]
    body: bytes


def plain(due: DueDelivery, now: datetime) -> Outgoing:
    """Return what a chat is sent."""
    url = due.url.get_secret_value() if due.url else ""
    secret = due.secrets[0].get_secret_value() if due.secrets else ""
    title, text = words(due)
    return _FORMS[due.kind](url, secret, title, _cut(text), now)


def words(due: DueDelivery) -> tuple[str, str]:
    """Say it to a person: what it is, and what there is to know."""
    if due.notice:
        return due.notice.title, due.notice.text
    if due.task is None:
        return due.occasion, ""
    return f"Task {due.task.status}", _about(due.task, links_of(due))


def _about(task: Task, links: list[str]) -> str:
    lines = [task.job.prompt[:PROMPT_SHOWN], f"{task.job.model}, {task.id}"]
    if task.status == "failed" and task.error_message:
        lines.append(task.error_message)
    return "\n".join([*lines, *links])


def _cut(text: str) -> str:
    return text.encode()[:LONGEST_BYTES].decode(errors="ignore")


def _ntfy(url: str, secret: str, title: str, text: str, _: datetime) -> Outgoing:
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Title", _ascii(title))]
    if secret:
        headers.append(("Authorization", f"Bearer {secret}"))
    return Outgoing(url, headers, text.encode())


def _dingtalk(url: str, secret: str, title: str, text: str, now: datetime) -> Outgoing:
    if secret:
        stamp = str(int(now.timestamp() * 1000))
        signed = f"{stamp}\n{secret}".encode()
        sign = b64encode(hmac.digest(secret.encode(), signed, "sha256")).decode()
        url += f"{'&' if '?' in url else '?'}timestamp={stamp}&sign={quote_plus(sign)}"
    return _message(url, _text(title, text))


def _wecom(url: str, _: str, title: str, text: str, __: datetime) -> Outgoing:
    return _message(url, _text(title, text))


def _slack(url: str, _: str, title: str, text: str, __: datetime) -> Outgoing:
    return _message(url, {"text": f"*{_escaped(title)}*\n{_escaped(text)}"})


_FORMS: dict[EndpointKind, Callable[[str, str, str, str, datetime], Outgoing]] = {
    "ntfy": _ntfy,
    "dingtalk": _dingtalk,
    "wecom": _wecom,
    "slack": _slack,
}


def _text(title: str, text: str) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": f"{title}\n{text}"}}


def _message(url: str, body: dict[str, Any]) -> Outgoing:
    return Outgoing(url, [JSON], json.dumps(body, ensure_ascii=False).encode())


def _escaped(text: str) -> str:
    """Slack reads these three as the beginning of something else."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _ascii(text: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)


def refused(kind: EndpointKind, body: str) -> str | None:
    """Return why a chat did not take it, though it answered 200; None: it did."""
    if kind not in {"dingtalk", "wecom"}:
        return None
    try:
        answer = json.loads(body)
        if answer["errcode"] == 0:
            return None
        return f"it answered {answer['errcode']}: {answer.get('errmsg', '')}"[:300]
    except (ValueError, TypeError, KeyError):
        return "it answered with something that no robot of a chat says"
