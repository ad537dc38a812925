"""A film made of a film that lies behind a URL, through every service.

The simulated site stands for the one host that may be local: the link is one of its
own, as its CDN hands them out.
"""

import asyncio
import time

import pytest

import jimeng
from support import http

pytestmark = pytest.mark.slow

SESSION = "51e0de305e55104d0000000000000001"  # the one the deployment has
END_SECONDS = 40.0


def create(deployment, **fields):
    answer = http.post(f"{deployment.url}/api/v1/tasks", json=fields, timeout=30)
    assert answer.status_code == 201, answer.text
    return answer.json()["task_id"]


def ended(deployment, task_id):
    limit = time.monotonic() + END_SECONDS
    while time.monotonic() < limit:
        task = http.get(f"{deployment.url}/api/v1/tasks/{task_id}").json()["task"]
        if task["status"] in {"succeeded", "failed", "cancelled"}:
            return task
        time.sleep(0.1)
    raise AssertionError(f"not ended: {task}")


async def link_to(deployment, submit_id):
    """Ask the site where the film of a submit is."""
    upstream = jimeng.Upstream(deployment.site)
    async with jimeng.Jimeng(jimeng.Account.parse(SESSION), upstream) as client:
        node = (await client.history([submit_id]))[submit_id]
    return node.outcome.items[0].links[0].url


@pytest.fixture(scope="module")
def link(deployment):
    """Give a link to a film, as somebody may have it lying about."""
    made = create(deployment, model="jimeng-video-3.0", prompt="a fox", duration=5)
    task = ended(deployment, made)
    assert task["status"] == "succeeded", task
    return asyncio.run(link_to(deployment, task["attempts"][0]["submit_id"]))


def test_a_film_by_url_becomes_the_reference_of_another(deployment, link):
    files = [{"url": link, "filename": "fox"}]  # taken for a picture until it is here
    task = ended(deployment, create(deployment, prompt="@1 in the snow", files=files))
    assert task["status"] == "succeeded", task
    assert task["files"][0]["url"] == link.partition("?")[0] + "?…"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda link: link + "0", "reference_unreachable", "answers 403"),
        (lambda link: link.replace(":", "s:", 1), "reference_invalid", "only port"),
        (lambda link: "http://127.0.0.1/a.mp4", "reference_invalid", "not public"),
    ],
)
def test_a_url_that_gives_nothing_fails_before_anything_is_bought(
    deployment, link, change, code, words
):
    files = [{"url": change(link.partition("&br=")[0])}]
    task = ended(deployment, create(deployment, prompt="@1 in the snow", files=files))
    assert (task["status"], task["error_code"]) == ("failed", code), task
    assert words in task["error_message"]
    assert "x-signature" not in str(task)
    assert [attempt["sends"] for attempt in task["attempts"]] == [0]
