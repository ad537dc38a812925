"""The life of a task, told by a client: from a wish over HTTP to a stored film.

Every service runs as a process of its own, over a real nats-server, a real database
and a real Chromium; only the site is simulated, and its ledger is the witness.
"""

import asyncio
import hashlib
import io
import subprocess
import sys
import time

import httpx
import pytest
from PIL import Image, ImageDraw

from jimeng_client import Client, GatewayError
from media import probe
from support import PLAIN, http

END_SECONDS = 40.0


@pytest.fixture
def gateway(deployment):
    with Client(deployment.url) as client:
        yield client


@pytest.fixture
def site(deployment):
    with httpx.Client(
        base_url=deployment.site, verify=PLAIN, trust_env=False
    ) as client:
        yield client


def picture(colour):
    image = Image.new("RGB", (640, 640), colour)
    ImageDraw.Draw(image).ellipse((200, 200, 440, 440), fill="white")
    body = io.BytesIO()
    image.save(body, "PNG")
    return body.getvalue()


def ended(deployment, task_id):
    """Follow a task as a client does, and return how it ended and what was seen."""
    seen = []
    limit = time.monotonic() + END_SECONDS
    while time.monotonic() < limit:
        task = http.get(f"{deployment.url}/api/v1/tasks/{task_id}").json()["task"]
        if not seen or seen[-1] != task["status"]:
            seen.append(task["status"])
        if task["status"] in {"succeeded", "failed", "cancelled"}:
            return task, seen
        time.sleep(0.1)
    raise AssertionError(f"still {seen}: {task}")


def create(deployment, fields, files=()):
    answer = http.post(
        f"{deployment.url}/api/v1/tasks",
        data=fields if files else None,
        files=list(files) or None,
        json=None if files else fields,
        timeout=30,
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["task_id"]


def charges(site, task):
    """What the site's ledger has for a task: one entry per submit id."""
    submits = [a["submit_id"] for a in task["attempts"]]
    ledger = site.get("/_sim/ledger").json()
    return [charge for s in submits if s in ledger for charge in ledger[s]["charges"]]


def is_a_film(path, width, height):
    found = asyncio.run(probe(path))
    assert (found.kind, found.width, found.height) == ("video", width, height)
    assert 4_500 < found.duration_ms < 5_500


def test_a_seedance_film_from_two_pictures(deployment, site, tmp_path):
    """Two references, the site's own page in Chromium, one charge, one film."""
    task_id = create(
        deployment,
        {
            "model": "jimeng-video-seedance-2.0",
            "prompt": "@1 跳进 @2 的雪地",
            "duration": "5",
            "ratio": "16:9",
        },
        [
            ("files", ("fox.png", picture("orange"), "image/png")),
            ("files", ("snow.png", picture("lightblue"), "image/png")),
        ],
    )
    task, seen = ended(deployment, task_id)
    assert task["status"] == "succeeded", task
    order = ["queued", "submitting", "polling", "downloading", "succeeded"]
    assert seen == [s for s in order if s in seen]

    # What the client gets is ours, whole, and what the row says it is.
    assert task["video_url"] == f"{deployment.url}/api/v1/tasks/{task_id}/video"
    film = http.get(task["video_url"])
    assert film.headers["content-type"] == "video/mp4"
    assert film.headers["etag"].strip('"') == hashlib.sha256(film.content).hexdigest()
    (tmp_path / "film.mp4").write_bytes(film.content)
    is_a_film(tmp_path / "film.mp4", 1280, 720)

    # The site was asked through its page, and charged once.
    requests = site.get("/_sim/requests", params={"kind": "submit"}).json()
    assert [r["verdict"] for r in requests] == ["0"]
    assert len(charges(site, task)) == 1


def test_a_plain_film_without_a_browser(deployment, site, tmp_path):
    task_id = create(
        deployment,
        {
            "model": "jimeng-video-3.0",
            "prompt": "a fox in the snow",
            "duration": 5,
            "ratio": "1:1",
        },
    )
    task, _ = ended(deployment, task_id)
    assert task["status"] == "succeeded", task
    (tmp_path / "film.mp4").write_bytes(http.get(task["video_url"]).content)
    is_a_film(tmp_path / "film.mp4", 720, 720)
    assert len(charges(site, task)) == 1


def test_a_prompt_the_site_refuses_fails_with_the_sites_own_words(deployment):
    task_id = create(
        deployment,
        {"model": "jimeng-video-3.0", "prompt": "[[fail:2038]] x", "duration": 5},
    )
    task, _ = ended(deployment, task_id)
    assert (task["status"], task["error_kind"]) == ("failed", "content_risk")
    assert task["video_url"] is None
    assert task["upstream_code"] == "2038"


def test_a_reference_that_is_no_picture_is_refused_before_anything_is_kept(deployment):
    answer = http.post(
        f"{deployment.url}/api/v1/tasks",
        data={"prompt": "@1"},
        files=[("files", ("fox.png", b"not a picture", "image/png"))],
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_lost_answer_is_followed_and_never_sent_twice(deployment, site):
    """The site took the job, and the answer broke off: the film comes all the same."""
    fault = {"kind": "submit", "fault": "lose_response", "times": 1}
    site.post("/_sim/faults", json=fault).raise_for_status()
    task_id = create(
        deployment,
        {"model": "jimeng-video-3.0", "prompt": "lost answer", "duration": 5},
    )
    task, _ = ended(deployment, task_id)
    assert task["status"] == "succeeded", task
    assert [a["sends"] for a in task["attempts"]] == [1]
    assert len(charges(site, task)) == 1


def test_a_cancelled_task_is_followed_to_its_end_and_stays_cancelled(deployment, site):
    task_id = create(
        deployment,
        {"model": "jimeng-video-3.0", "prompt": "never mind", "duration": 5},
    )
    taken = site.get("/_sim/requests", params={"kind": "submit"}).json()
    site.get("/_sim/wait", params={"event": "submit", "count": len(taken) + 1})
    cancelled = http.post(f"{deployment.url}/api/v1/tasks/{task_id}/cancel").json()
    assert cancelled["task"]["status"] == "cancelled"
    assert cancelled["upstream_charged"] in {"unknown", "true", True}
    limit = time.monotonic() + END_SECONDS
    while time.monotonic() < limit:
        task = http.get(f"{deployment.url}/api/v1/tasks/{task_id}").json()["task"]
        if task["attempts"][-1]["state"] == "ended":
            break
        time.sleep(0.1)
    assert task["status"] == "cancelled"
    assert task["attempts"][-1]["charged"] is True


def test_a_killed_worker_is_replaced_and_the_task_goes_on(deployment, site):
    """kill -9 of the poller in mid-wait: the next one takes up where it was."""
    task_id = create(
        deployment,
        {"model": "jimeng-video-3.0", "prompt": "kill the poller", "duration": 5},
    )
    poller = deployment.processes.pop("poller")
    poller.kill()
    poller.wait()
    deployment.start("poller")
    task, _ = ended(deployment, task_id)
    assert task["status"] == "succeeded", task
    assert len(charges(site, task)) == 1


def test_an_account_of_another_region_is_told_with_its_prefix(deployment, site):
    """What somebody sees who pastes an American session id as it is."""
    secret = "0a5e0de305e55104d00000000000abcd"
    site.post("/_sim/accounts", json={"sessionid": secret, "region": "us"})
    command = [sys.executable, "-m", "standalone.cli.app", "sessions"]
    remedy = "this account lives in region us: add it as us-<sessionid>"
    for pasted, line in [
        (secret, f"mine: wrong region: {remedy}\n"),
        (f"us-{secret}", "mine: active, 10000 credits\n"),
    ]:
        told = subprocess.run(
            [*command, "add", "--url", deployment.url],
            input=f"{pasted} mine\n",
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.stdout == line
    for session in http.get(f"{deployment.url}/api/v1/sessions").json()["sessions"]:
        if session["label"] == "mine" and session["session_id"].startswith("0a5e"):
            http.delete(f"{deployment.url}/api/v1/sessions/{session['id']}")
    for name in deployment.processes:
        assert secret not in deployment.output(name)


def test_the_pool_keeps_its_books(deployment):
    session = http.get(f"{deployment.url}/api/v1/sessions").json()["sessions"][0]
    assert (session["state"], session["active_tasks"]) == ("active", 0)
    assert "51e0de305e55104d0000000000000001" not in str(session)


def test_log_lines_know_their_task_and_hold_no_secret(deployment):
    lines = deployment.lines("signer") + deployment.lines("scheduler")
    assert lines
    assert all({"time", "level", "service", "task", "session"} <= set(n) for n in lines)
    for name in deployment.processes:
        assert "51e0de305e55104d0000000000000001" not in deployment.output(name)


def test_the_client_library_says_what_is_wrong(gateway):
    with pytest.raises(GatewayError) as no:
        gateway.get("no-such-task")
    assert no.value.status == 404


def test_the_film_is_decodable_to_its_last_frame(deployment, tmp_path):
    tasks = http.get(f"{deployment.url}/api/v1/tasks?status=succeeded").json()["tasks"]
    from imageio_ffmpeg import get_ffmpeg_exe

    for task in tasks:
        film = tmp_path / f"{task['id']}.mp4"
        film.write_bytes(http.get(task["video_url"]).content)
        command = [get_ffmpeg_exe(), "-v", "error", "-xerror", "-i", str(film)]
        subprocess.run([*command, "-f", "null", "-"], check=True, capture_output=True)
    assert tasks
