"""A webhook as it is taken in: checked at once, sealed before it goes on."""

import json
from base64 import b64encode

import pytest

from contracts.requests import RetryTask
from runtime import hooks
from runtime.sealing import Ring, SealError, root_secret

URL = "https://hooks.example/jimeng?key=geheim1"
SECRET = "whsec_" + b64encode(b"geheim2-" * 4).decode()
SHOWN = "https://hooks.example/jimeng?…"


@pytest.fixture
def opened(gateway):
    """Open a webhook as the scheduler does."""

    def open_(webhook, task):
        root = root_secret(None, gateway.blobs.parent / "secret.key")
        return hooks.open_(Ring(hooks.PURPOSE, root), webhook, task)

    return open_


async def created(gateway, scheduler, until, **content):
    answer = await gateway.http.post("/api/v1/tasks", **content)
    assert answer.status_code == 201, answer.text
    await until(lambda: scheduler.created)
    return answer.json()["task"], scheduler.created[-1]


@pytest.mark.parametrize("form", [False, True])
async def test_a_webhook_is_sealed_for_its_task_and_shown_without_its_query(
    gateway, scheduler, until, opened, form
):
    fields = {"prompt": "a fox", "webhook_url": URL, "webhook_secret": SECRET}
    content = {"json": fields}
    if form:
        content = {"files": {name: (None, value) for name, value in fields.items()}}
    task, create = await created(gateway, scheduler, until, **content)

    assert task["webhook_url"] == SHOWN
    for secret in ("geheim", SECRET):
        assert secret.encode() not in create.body()
        assert secret not in json.dumps(task)
    hook = opened(create.webhook, create.task)
    assert (hook.url, hook.secret, hook.base) == (URL, SECRET, gateway.url)
    with pytest.raises(SealError):
        opened(create.webhook, "another-task")


async def test_without_a_webhook_there_is_none(gateway, scheduler, until):
    task, create = await created(gateway, scheduler, until, json={"prompt": "a fox"})
    assert create.webhook is task["webhook_url"] is None


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"webhook_url": "ftp://hooks.example/"}, "webhook_url", "http"),
        ({"webhook_url": "hooks.example"}, "webhook_url", "not a URL"),
        ({"webhook_url": "https://a:b@hooks.example/"}, "webhook_url", "password"),
        ({"webhook_url": "https://hooks.example:8443/"}, "webhook_url", "port 80"),
        ({"webhook_url": "http://127.0.0.1/"}, "webhook_url", "not public"),
        ({"webhook_url": "http://[::ffff:10.0.0.1]/"}, "webhook_url", "not public"),
        ({"webhook_url": "http://localhost/"}, "webhook_url", "WEBHOOK_ALLOW"),
        ({"webhook_secret": "geheim2"}, "webhook_secret", "webhook_url"),
        ({"webhook_url": URL, "webhook_secret": ""}, "webhook_secret", "at least 1"),
        (
            {"webhook_url": URL, "webhook_secret": "whsec_AA"},
            "webhook_secret",
            "24",
        ),
        ({"webhook_url": URL, "webhook_secret": 5}, "webhook_secret", "string"),
    ],
)
async def test_what_would_not_be_told_is_refused_at_once(
    gateway, scheduler, fields, field, words
):
    answer = await gateway.http.post("/api/v1/tasks", json={"prompt": "a", **fields})
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["field"] == field
    assert words in error["message"]
    assert "geheim" not in answer.text
    assert scheduler.created == []


async def test_what_an_operator_allows_is_taken(scheduler, all_beat, run_gateway):
    await all_beat()
    async with run_gateway(webhook_allow="10.0.0.0/8,hooks.lan:8080") as gateway:
        for url, status in (
            ("http://10.1.2.3:9000/", 201),
            ("http://hooks.lan:8080/", 201),
            ("http://hooks.lan:8081/", 422),
        ):
            wish = {"prompt": "a fox", "webhook_url": url}
            answer = await gateway.http.post("/api/v1/tasks", json=wish)
            assert answer.status_code == status, answer.text


async def test_a_retry_keeps_replaces_or_drops_it(gateway, scheduler, until, opened):
    fields = {"prompt": "a fox", "webhook_url": URL}
    task, _ = await created(gateway, scheduler, until, json=fields)
    await until(lambda: task["id"] in scheduler.tasks)
    scheduler.change(task["id"], status="failed", stage=None)
    place = f"/api/v1/tasks/{task['id']}/retry"
    found = []
    for body in ({}, {"webhook_url": None}, {"webhook_url": "https://b.example/"}):
        answer = await gateway.http.post(place, json=body)
        assert answer.status_code == 201, answer.text
        found.append([a for a in scheduler.asked if isinstance(a, RetryTask)][-1])
    kept, dropped, replaced = found
    assert (kept.webhook, dropped.webhook) == (None, "none")
    assert opened(replaced.webhook, replaced.new_task).url == "https://b.example/"

    alone = await gateway.http.post(place, json={"webhook_secret": "geheim2"})
    assert alone.status_code == 422
    assert "webhook_url" in alone.json()["errors"][0]["message"]
