"""`jimeng up` on a small disk of its own that fills up: nothing accepted is lost."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress

import httpx
import pytest

from support import why_no_mounts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),  # a lease is outlived, and waits end
]

SESSION = "51e0de305e55104d0000000000000001"
DISK_MIB = 96
LEAST_MIB = 24
FREED_SECONDS = 30.0
PICTURE = b"\x89PNG\r\n\x1a\n" + b"x" * 100_000


class SmallDisk:
    """A tmpfs that a test fills and frees."""

    def __init__(self, folder):
        self.folder = folder
        self.filler = folder / "filler"

    def fill(self, leave_mib=0):
        """Write until so much is left."""
        with self.filler.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                found = os.statvfs(self.folder)
                room = found.f_bavail * found.f_frsize - leave_mib * 1024**2
                if room <= 0:
                    return
                file.write(b"\0" * min(room, 1024**2))

    def free(self):
        self.filler.unlink()


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if why := why_no_mounts():
        pytest.skip(why)
    options = ["-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    subprocess.run([shutil.which("mount"), *options], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run([shutil.which("umount"), "-l", str(folder)], check=True)


class Gateway:
    """A running `jimeng up` with one account, on the small disk."""

    def __init__(self, process, client, log):
        self.process = process
        self.http = client
        self.log = log

    def create(self, files=None):
        wish = {"model": "jimeng-video-3.0", "prompt": "a fox", "duration": 5}
        if files:
            return self.http.post("/api/v1/tasks", data=wish, files=files)
        return self.http.post("/api/v1/tasks", json=wish)

    def made(self):
        answer = self.create()
        assert answer.status_code == 201, answer.text
        return answer.json()["task_id"]

    def task(self, task):
        return self.http.get(f"/api/v1/tasks/{task}").json()["task"]

    def wait(self, condition, seconds=FREED_SECONDS):
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            with suppress(httpx.HTTPError, KeyError):
                if condition():
                    return
            time.sleep(0.1)
        raise AssertionError(self.log.read_text()[-3000:])

    def all_succeed(self, tasks):
        def done():
            return {self.task(t)["status"] for t in tasks} == {"succeeded"}

        self.wait(done)


def start(*command, output, **environment):
    with output.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=out,
            stderr=out,
            env={**os.environ, **environment},
        )


def line_of(process, output, pattern):
    limit = time.monotonic() + 30
    while time.monotonic() < limit and process.poll() is None:
        if found := re.search(pattern, output.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(output.read_text())


@pytest.fixture
def site(tmp_path):
    data = str(tmp_path / "site")
    command = ("simulator", "--port", "0", "--data", data, "--scale", "0.3")
    process = start(*command, output=tmp_path / "site.out")
    try:
        yield line_of(process, tmp_path / "site.out", r"simulator ready (\S+)")
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def gateway(disk, site, tmp_path):
    log = tmp_path / "gateway.out"
    process = start(
        *("standalone.cli.app", "up", "--port", "0", "--data", str(disk.folder / "d")),
        output=log,
        JIMENG_UPSTREAM=site,
        MIN_FREE_DISK=f"{LEAST_MIB}MiB",
        POLL_MIN_SECS="0.3",
        RECONCILE_SECS="2",
        LOG_FORMAT="json",
    )
    try:
        url = line_of(process, log, r"ready at (\S+)")
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            added = client.post("/api/v1/sessions", json={"session_id": SESSION})
            assert added.status_code == 201, added.text
            yield Gateway(process, client, log)
        process.send_signal(signal.SIGTERM)
        process.wait(15)
    finally:
        process.kill()
        process.wait()


def test_below_min_free_disk_creates_are_refused_and_results_wait(gateway, disk):
    tasks = [gateway.made() for _ in range(2)]
    disk.fill(leave_mib=LEAST_MIB - 8)
    plain = gateway.create()
    with_file = gateway.create(files={"files": ("a.png", PICTURE)})
    gateway.wait(lambda: "results wait for room" in gateway.log.read_text(), 40)
    stand = {gateway.task(t)["status"] for t in tasks}
    ready = gateway.http.get("/readyz").json()
    disk.free()
    gateway.all_succeed(tasks)

    assert [a.status_code for a in (plain, with_file)] == [507, 507]
    assert plain.json()["type"] == with_file.json()["type"] == "storage_full"
    assert stand <= {"polling", "downloading"}
    assert "MIN_FREE_DISK" in ready["notes"][0]
    assert gateway.create().status_code == 201


def test_a_disk_that_is_full_to_the_last_byte_loses_nothing(gateway, disk):
    tasks = [gateway.made() for _ in range(3)]
    gateway.wait(lambda: gateway.task(tasks[0])["status"] == "polling")
    disk.fill()
    answers = [gateway.create(), gateway.create(files={"files": ("a.png", PICTURE)})]
    end = time.monotonic() + 15  # longer than a lease lives
    while time.monotonic() < end:
        disk.fill()
        assert gateway.process.poll() is None, gateway.log.read_text()[-3000:]
        time.sleep(0.2)
    disk.free()
    gateway.all_succeed(tasks)
    last = gateway.made()
    gateway.all_succeed([last])

    assert {a.status_code for a in answers} <= {503, 507}
    with closing(sqlite3.connect(disk.folder / "d" / "gateway.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    left = [p.name for p in (disk.folder / "d" / "blobs").rglob(".*")]
    assert left == []
