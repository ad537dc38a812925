"""The simulator as a process of its own."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from simulator import DEMO_SESSIONS
from support import http

START = [sys.executable, "-m", "simulator", "--port", "0", "--data"]


@pytest.fixture
def started(tmp_path):
    """A running simulator and its address."""
    arguments = [*START, str(tmp_path), "--scale", "2"]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        line = process.stdout.readline().decode()
        assert line.startswith("simulator ready http://127.0.0.1:")
        yield process, line.split()[-1]
        process.kill()


def children(pid):
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def submit(url, body, kit):
    answer = httpx.post(
        f"{url}/mweb/v1/aigc_draft/generate",
        params=kit.QUERY,
        json=body,
        cookies={"sessionid": DEMO_SESSIONS[0]},
        trust_env=False,
    )
    assert answer.json()["ret"] == "0", answer.text


def test_it_listens_on_loopback_and_stops_within_two_seconds_of_sigterm(
    started, kit, tmp_path
):
    process, url = started
    assert http.get(f"{url}/_sim/settings").json()["scale"] == 2
    wanted = kit.text_input(duration_ms=10_000, resolution="1080p")
    benefit = "basic_video_operation_vgfm_v_three_1080"
    submit(url, kit.body_of(wanted, benefit=benefit), kit)
    deadline = time.monotonic() + 10
    while not (rendering := children(process.pid)) and time.monotonic() < deadline:
        select.select([], [], [], 0.01)
    before = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert time.monotonic() - before < 2
    assert rendering
    assert not any(Path(f"/proc/{child}").exists() for child in rendering)
    lines = (tmp_path / "log").read_text().splitlines()
    assert all(json.loads(line)["level"] == "info" for line in lines)
    assert DEMO_SESSIONS[0] not in "".join(lines)


def test_it_dies_with_its_parent_if_told(tmp_path):
    arguments = [*START, str(tmp_path), "--die-with-parent"]
    script = "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()"
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout.readline().startswith(b"simulator ready")
        (child,) = children(parent.pid)
        parent.kill()
        handle = os.pidfd_open(child)
        assert select.select([handle], [], [], 5)[0]
        os.close(handle)
