"""Every endpoint of the earlier gateway, tried one by one: `docs/endpoints.md`."""

import re
import time
from pathlib import Path

import pytest

from support import http

TABLE = Path(__file__).parents[2] / "docs" / "endpoints.md"
ROW = re.compile(r"^\| (\w+ /\S*) \| (doc|new|both) \| (.*?) \| (\d{3})(.*?) \|$")
ENDPOINTS = 33  # of both versions, as counted in their routers
FOX = {"prompt": "a fox in the snow", "model": "jimeng-video-3.0", "duration": 5}
BODIES = {
    "POST /auth/login": {"username": "root", "password": "root"},
    "POST /api/v1/sessions": {"session_id": "51e0de305e55104d0000000000000002"},
    "PATCH /api/v1/sessions/{session}": {"enabled": True},
    "PATCH /api/v1/sessions/{session}/cookies": {"cookie_jar": "a=b"},
    "POST /api/v1/tasks": FOX | {"ratio": "9:16", "resolution": "720p"},
    "POST /api/v1/keys": {"name": "studio", "rate_limit": 60, "daily_quota": 0},
    "PATCH /api/v1/keys/{key}": {"name": "farm"},
    "POST /v1/videos/generations": FOX,
    "POST /v1/images/generations": {"prompt": "a fox", "size": "1024x576"},
}
"""What the earlier gateway was sent there."""


def rows():
    found = [ROW.match(line) for line in TABLE.read_text().splitlines()]
    return [match.groups() for match in found if match]


def told(path, answer, names):
    """Remember the ids that later lines ask for."""
    if path == "/api/v1/tasks" and "task" in answer:
        names["task"] = answer["task"]["id"]
    if path == "/api/v1/sessions" and "session" in answer:
        names["session"] = answer["session"]["id"]
    if path == "/api/v1/keys" and "key" in answer:
        names["key"] = answer["key"]["id"]


@pytest.fixture
def ask(deployment):
    """Send a request as the earlier gateway's clients did; ids are filled in."""
    names = {}

    def send(earlier, here):
        method, path = (earlier if here == "-" else here).split()
        url = deployment.url + path.format(**names)
        options = {"timeout": 90, "follow_redirects": False}
        answer = http.request(method, url, json=BODIES.get(earlier), **options)
        if answer.headers.get("content-type", "").startswith("application/json"):
            told(path, answer.json(), names)
        return answer

    return send


def test_every_endpoint_answers_as_the_table_says(ask, deployment):
    found = rows()
    assert len({earlier for earlier, *_ in found}) == len(found) == ENDPOINTS
    for earlier, _, here, status, members in found:
        if earlier.startswith("DELETE /api/v1/sessions"):
            wait_until_settled(deployment)
        answer = ask(earlier, here)
        where = (earlier, answer.status_code, answer.text[:500])
        assert str(answer.status_code) == status, where
        for member in re.findall("`([^`]+)`", members):
            assert member in answer.json(), where


def wait_until_settled(deployment):
    """Wait until no task is at work: an account that is needed stays."""
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        stats = http.get(f"{deployment.url}/api/v1/stats").json()
        if not stats["queued"] + stats["running"]:
            return
        time.sleep(0.1)
    raise AssertionError(stats)
