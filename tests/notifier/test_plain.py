"""What chats are sent, and what their answers mean."""

import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from contracts.requests import Task
from contracts.values import Job, ResultRef
from contracts.webhooks import Deliver, DueDelivery, Notice
from fetch import Answer
from notifier.domain import Attempt, outgoing

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
COMMAND = Deliver(delivery="msg_1", n=1)
LINK = "https://g.example/api/v1/tasks/t1/video?expires=1&signature=abc"
NOTICE = Notice(title="Session a <b> & c", text="它过期了 <now>")
TASK = Task(
    id="t1",
    status="succeeded",
    job=Job(model="m", prompt="一只猫" * 200, duration=5, ratio="16:9"),
    revision=5,
    results=(ResultRef(index=0, key="k", mime="video/mp4", size=1, sha256=""),),
    created_at=NOW,
    updated_at=NOW,
)


def sent(kind, url="https://chat.example/hook", secrets=(), **more):
    told = {"occasion": "notice.session_expired", "notice": NOTICE} | more
    due = DueDelivery(kind=kind, url=url, secrets=secrets, **told)
    return outgoing(COMMAND, due, NOW)


def test_slack_is_sent_text_in_which_nothing_is_markup():
    found = sent("slack")
    text = "*Session a &lt;b&gt; &amp; c*\n它过期了 &lt;now&gt;"
    assert json.loads(found.body) == {"text": text}
    assert found.url == "https://chat.example/hook"


@pytest.mark.parametrize("kind", ["wecom", "dingtalk"])
def test_robots_are_sent_a_text(kind):
    body = json.loads(sent(kind).body)
    content = f"{NOTICE.title}\n{NOTICE.text}"
    assert body == {"msgtype": "text", "text": {"content": content}}


def test_dingtalk_is_signed_where_it_has_a_secret():
    found = sent("dingtalk", "https://chat.example/send?access_token=x", ("SECa+/",))
    query = parse_qs(urlsplit(found.url).query)
    stamp = str(int(NOW.timestamp() * 1000))
    signed = hmac.new(b"SECa+/", f"{stamp}\nSECa+/".encode(), "sha256").digest()
    assert query == {
        "access_token": ["x"],
        "timestamp": [stamp],
        "sign": [b64encode(signed).decode()],
    }


def test_ntfy_is_sent_a_text_with_a_title():
    found = sent("ntfy", secrets=("tk_1",))
    assert found.body.decode() == NOTICE.text
    headers = dict(found.headers)
    assert headers["Title"] == NOTICE.title
    assert headers["Authorization"] == "Bearer tk_1"


@pytest.mark.parametrize("kind", ["ntfy", "dingtalk", "wecom", "slack"])
def test_a_tasks_end_is_told_short_and_with_its_link(kind):
    found = sent(
        kind,
        occasion="task.succeeded",
        task=TASK,
        notice=None,
        links=(LINK,),
    )
    text = found.body.decode()
    assert len(found.body) < 2048
    assert (LINK if kind != "slack" else LINK.replace("&", "&amp;")) in text
    assert "succeeded" in text + dict(found.headers).get("Title", "")


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        ("dingtalk", '{"errcode":0,"errmsg":"ok"}', None),
        ("dingtalk", '{"errcode":310000,"errmsg":"sign"}', "310000: sign"),
        ("wecom", '{"errcode":93000,"errmsg":"invalid"}', "93000"),
        ("wecom", "<html>", "no robot"),
        ("wecom", "[]", "no robot"),
        ("slack", "ok", None),
        ("ntfy", "{}", None),
    ],
)
def test_a_robot_that_says_no_with_200_has_said_no(kind, body, why):
    attempt = Attempt(COMMAND, DueDelivery(kind=kind, url="https://chat.example"))
    fact = attempt.answered(Answer(200, body), b"", 0, NOW)
    if why is None:
        assert fact.subject.endswith("notifier.delivered")
    else:
        assert why in fact.error
