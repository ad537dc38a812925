"""What the documents say, tried on a running gateway.

The guide's programs, as they stand in it, on a gateway that wants keys; each endpoint
of the earlier gateway; and clients of the Jimeng family.
"""

import asyncio
import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from PIL import Image

from media import probe
from support import free_port, http

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "seedance-2.0-integration.md"
SECONDS = 120
ADMIN = "the-operators-own-token-0123456789abcdef"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {
    "sh": ("curl", ["bash", "-eu"], "guide.sh"),
    "python": (sys.executable, [sys.executable], "guide.py"),
    "javascript": ("node", ["node"], "guide.mjs"),
}


def picture():
    body = io.BytesIO()
    Image.new("RGB", (640, 640), "orange").save(body, "PNG")
    return body.getvalue()


def program(guide, language):
    """Join the blocks of one language."""
    found = BLOCK.findall(guide.read_text())
    return "\n\n".join(text for name, text in found if name == language)


@pytest.fixture(scope="module")
def guarded(deployment):
    """Give the address of a second gateway of the deployment, which wants keys."""
    port = free_port()
    environment = deployment.environment | {
        "PORT": str(port),
        "AUTH_ENABLED": "true",
        "ADMIN_TOKEN": ADMIN,
        "COMPAT_BEARER_SESSIONS": "true",
    }
    out = deployment.data.parent / "guarded.out"
    with out.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway_http"],
            stdout=file,
            stderr=file,
            env=environment,
            cwd=deployment.data.parent,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}", process, out)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(15)


def wait_for(url, process, out):
    limit = time.monotonic() + 40
    while time.monotonic() < limit:
        assert process.poll() is None, out.read_text()
        with suppress(httpx.HTTPError):
            if http.get(f"{url}/readyz").is_success:
                return
        time.sleep(0.05)
    raise AssertionError(out.read_text())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_guides_program_makes_a_film(guarded, language, tmp_path):
    tool, command, name = LANGUAGES[language]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    (tmp_path / name).write_text(program(GUIDE, language))
    (tmp_path / "fox.png").write_bytes(picture())
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    ran = subprocess.run(
        [*command, name],
        cwd=tmp_path,
        env=clean | {"GATEWAY": guarded, "ADMIN_KEY": ADMIN},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    assert "succeeded" in ran.stdout
    assert "422" in ran.stdout
    assert "invalid_request" in ran.stdout
    film = asyncio.run(probe(tmp_path / "fox.mp4"))
    assert (film.kind, film.width, film.height) == ("video", 1280, 720)
    left = "".join(path.read_text("latin-1") for path in tmp_path.iterdir())
    assert not re.search("gw_[0-9A-Za-z_-]{20}", left), "a key was left behind"


def test_both_languages_of_the_guide_have_the_same_programs():
    for language in LANGUAGES:
        assert program(GUIDE, language)
        other = GUIDE.with_suffix(".zh.md")
        assert program(other, language) == program(GUIDE, language)
    assert {name for name, _ in BLOCK.findall(GUIDE.read_text())} == set(LANGUAGES)


def test_links_between_documents_lead_somewhere():
    for document in (*DOCS.glob("*.md"), DOCS.parent / "README.md"):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / link).exists(), (document.name, link)


def test_a_client_of_the_family_waits_for_its_video(deployment, tmp_path):
    fields = {
        "model": "jimeng-video-seedance-2.0",
        "functionMode": "omni_reference",
        "prompt": "@image_file_1 jumps into @image_file_2",
        "ratio": "1:1",
        "duration": "4",
        "response_format": "b64_json",
    }
    files = [(f"image_file_{n}", (f"{n}.png", picture())) for n in (2, 1)]
    url = f"{deployment.url}/v1/videos/generations"
    headers = {"prefer": "wait=90"}
    answer = http.post(url, data=fields, files=files, headers=headers, timeout=100)
    assert answer.status_code == 200, answer.text
    [made] = answer.json()["data"]
    (tmp_path / "film.mp4").write_bytes(base64.b64decode(made["b64_json"]))
    film = asyncio.run(probe(tmp_path / "film.mp4"))
    assert (film.kind, film.width, film.height) == ("video", 720, 720)


def test_a_bearers_own_account_makes_its_video_and_is_nowhere_to_be_read(
    deployment, guarded
):
    token = "51e0de305e55104d00000000000000cc"
    http.post(f"{deployment.site}/_sim/accounts", json={"sessionid": token})
    headers = {"authorization": f"Bearer {token}"}
    answer = http.post(
        f"{guarded}/v1/videos/generations", json=FOX, headers=headers, timeout=100
    )
    assert answer.json().get("data"), answer.text
    [made] = answer.json()["data"]
    assert http.get(made["url"]).headers["content-type"] == "video/mp4"

    task_id = made["url"].split("/tasks/")[1].split("/")[0]
    task = http.get(f"{deployment.url}/api/v1/tasks/{task_id}").json()["task"]
    pool = http.get(f"{deployment.url}/api/v1/sessions").json()["sessions"]
    [attempt] = task["attempts"]
    assert task["owner"] == f"lent:{attempt['session']}"
    assert attempt["session"] not in {each["id"] for each in pool}
    folder = deployment.data.parent
    kept = [path for path in folder.rglob("*") if path.is_file()]
    site = deployment.data / "site"  # which knows its own accounts
    with_it = [p for p in kept if token.encode() in p.read_bytes()]
    assert [p for p in with_it if not p.is_relative_to(site)] == []
    assert len(kept) > 20


def test_a_chat_is_told_why_there_is_no_video(deployment):
    message = {"role": "user", "content": "[[fail:2038]] x"}
    body = {"model": "jimeng-video-3.0", "messages": [message], "stream": True}
    url = f"{deployment.url}/v1/chat/completions"
    with http.stream("POST", url, json=body, timeout=100) as answer:
        said = answer.read().decode()
    *chunks, done = [line for line in said.splitlines() if line.startswith("data: ")]
    contents = [json.loads(each[6:])["choices"][0]["delta"] for each in chunks]
    told = "".join(each.get("content", "") for each in contents)
    assert done == "data: [DONE]"
    assert "生成视频失败" in told, told
    assert "2038" in told


TABLE = DOCS / "endpoints.md"
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
