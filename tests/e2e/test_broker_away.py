"""nats-server is away for a minute: what was begun goes on soon after its return."""

import io
import sqlite3
import time
from base64 import b64encode
from contextlib import closing

import pytest
from PIL import Image

from support import http

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

AWAY_SECONDS, RESUMED_SECONDS, END_SECONDS = 60.0, 35.0, 90.0
TASKS, AT_ONCE = 12, 6
BEGUN = """
    select t.id, t.status, t.stage, t.revision, a.n, a.round from tasks t
    join attempts a on a.task = t.id and a.n = t.attempt
    where t.status not in ('succeeded', 'failed', 'cancelled')
"""


def rows(deployment, statement):
    url = f"file:{deployment.data / 'gateway.db'}?mode=ro"
    with closing(sqlite3.connect(url, uri=True)) as db:
        return {key: rest for key, *rest in db.execute(statement)}


def unmoved(deployment, before):
    """Return the tasks about which nothing has changed, not even a look."""
    return [
        task for task, row in rows(deployment, BEGUN).items() if before.get(task) == row
    ]


def mixed(begun):
    """Whether some are at the site, some on their way, and the slots are full."""
    statuses = {status for status, *_ in begun.values()}
    return len(begun) == AT_ONCE and {"polling", "submitting"} <= statuses


def create(deployment, number):
    body = io.BytesIO()
    Image.new("RGB", (400, 400), (number * 20, 90, 120)).save(body, "PNG")
    picture = b64encode(body.getvalue()).decode()
    in_page = {
        "prompt": "@1 runs",
        "model": "jimeng-video-seedance-2.0",
        "files": [{"data": picture, "filename": "a.png"}],
    }
    plain = {"prompt": "a fox runs", "model": "jimeng-video-3.0"}
    answer = http.post(
        f"{deployment.url}/api/v1/tasks",
        json={"duration": 5, **(plain if number % 2 else in_page)},
        timeout=30,
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["task_id"]


def supervise(deployment):
    """Start again what has ended by itself, as its supervisor does."""
    for name, process in list(deployment.processes.items()):
        if name != "site" and process.poll() is not None:
            deployment.start(name)


def wait(deployment, seconds, done):
    """Supervise until something is done; return after how long."""
    began = time.monotonic()
    while not done():
        supervise(deployment)
        assert time.monotonic() - began < seconds, rows(deployment, BEGUN)
        time.sleep(0.1)
    return time.monotonic() - began


def test_all_that_was_begun_goes_on_within_35_s(deployment, capsys):
    sessions = http.get(f"{deployment.url}/api/v1/sessions").json()["sessions"]
    place = f"{deployment.url}/api/v1/sessions/{sessions[0]['id']}"
    assert http.patch(place, json={"max_active": AT_ONCE}).status_code == 200
    for number in range(TASKS):
        create(deployment, number)
    wait(deployment, 30, lambda: mixed(rows(deployment, BEGUN)))

    deployment.nats.kill()
    gone = time.monotonic()
    wait(deployment, 90, lambda: time.monotonic() - gone > AWAY_SECONDS)
    before = rows(deployment, BEGUN)
    deployment.nats.start()
    resumed = wait(
        deployment,
        RESUMED_SECONDS,
        lambda: not unmoved(deployment, before),
    )

    stages = sorted(f"{status}/{stage}" for status, stage, *_ in before.values())
    with capsys.disabled():
        print(  # noqa: T201 - the figure is the point
            f"\n{len(before)} tasks ({', '.join(stages)}) went on {resumed:.1f} s after"
        )
    assert len(before) >= AT_ONCE - 1
    ended = "select id, status from tasks"
    wait(
        deployment,
        END_SECONDS,
        lambda: all(
            status == ["succeeded"] for status in rows(deployment, ended).values()
        ),
    )
    ledger = http.get(f"{deployment.site}/_sim/ledger").json()
    charges = [len(job["charges"]) for job in ledger.values() if job["charges"]]
    assert charges == [1] * TASKS
