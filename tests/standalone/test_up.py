"""`jimeng up` as an operator meets it: start, stop, and every way it cannot start."""

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from support import http, why_no_mounts

STOP_SECONDS = 10.0


class Up:
    """A running `jimeng up`, in a process group of its own as in a terminal."""

    def __init__(self, folder, *arguments, wrap=(), **environment):
        self.folder = folder
        self.data = folder / "data"
        self.errors = folder / "stderr"
        self.lines = []
        command = [sys.executable, "-m", "standalone.cli.app", "up", "--port", "0"]
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*wrap, *command, "--data", str(self.data), *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=folder,
                start_new_session=True,
                env={**os.environ, "LOG_FORMAT": "json", **environment},
            )
        self._said = queue.SimpleQueue()
        # To the end: once the pipe is full, whoever writes a line stands still.
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._said.put(line)
        self._said.put("")

    def url(self):
        """Wait for the line that says where it is."""
        while line := self._said.get():
            self.lines.append(line)
            if found := re.search(r"ready at (\S+)", line):
                return found[1]
        raise AssertionError(self.errors.read_text() + "".join(self.lines))

    def begins(self):
        """Wait until it has its data folder, and starts what it runs."""
        limit = time.monotonic() + 10
        while not (self.data / "nats" / "url").exists() and time.monotonic() < limit:
            time.sleep(0.005)

    def interrupt(self):
        """Press Ctrl-C: the whole foreground group gets it."""
        began = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(STOP_SECONDS)
        return time.monotonic() - began

    def left_behind(self):
        """Processes that still have this data folder in their command line."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                line = (entry / "cmdline").read_bytes()
                if str(self.data).encode() in line:
                    found.append(line)
        return found

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()


@pytest.fixture
def start(tmp_path):
    started = []

    def start(*arguments, **options):
        started.append(Up(tmp_path, *arguments, **options))
        return started[-1]

    yield start
    for up in started:
        up.close()


def nobody_left(up):
    limit = time.monotonic() + 5
    while up.left_behind() and time.monotonic() < limit:
        time.sleep(0.02)
    assert up.left_behind() == []


def create(url, prompt="a fox", model="jimeng-video-3.0"):
    answer = http.post(
        f"{url}/api/v1/tasks",
        json={"model": model, "prompt": prompt, "duration": 5},
        timeout=30,
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["task_id"]


def status(url, task_id):
    return http.get(f"{url}/api/v1/tasks/{task_id}").json()["task"]["status"]


@pytest.mark.slow
def test_ctrl_c_in_the_middle_of_work_stops_everything_and_work_goes_on_later(start):
    up = start("--simulate")
    url = up.url()
    assert http.get(f"{url}/readyz").status_code == 200
    ready = http.get(f"{url}/readyz").json()
    model = "jimeng-video-3.0" if ready["notes"] else "jimeng-video-seedance-2.0"
    tasks = [create(url, f"fox {n}", model) for n in range(3)]
    assert up.interrupt() < STOP_SECONDS
    assert up.process.returncode == 0
    nobody_left(up)

    again = start("--simulate")
    url = again.url()
    limit = time.monotonic() + 40
    while time.monotonic() < limit:
        if {status(url, t) for t in tasks} == {"succeeded"}:
            break
        time.sleep(0.1)
    assert {status(url, t) for t in tasks} == {"succeeded"}
    again.interrupt()
    nobody_left(again)


@pytest.mark.slow
def test_systemd_hears_that_it_is_ready_lives_and_stops(start):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        name = f"@jimeng-up-{os.getpid()}"
        systemd.bind("\0" + name[1:])
        systemd.settimeout(30)
        up = start("--simulate", NOTIFY_SOCKET=name, WATCHDOG_USEC="200000")
        assert systemd.recv(100) == b"READY=1"
        assert [systemd.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        up.interrupt()
        while (word := systemd.recv(100)) == b"WATCHDOG=1":
            pass
    assert word == b"STOPPING=1"
    assert up.process.returncode == 0


def test_ctrl_c_while_it_starts_leaves_nothing(start):
    up = start("--simulate")
    up.begins()
    assert up.interrupt() < STOP_SECONDS
    nobody_left(up)


def test_its_children_die_with_it_even_when_it_is_killed(start):
    up = start("--simulate")
    up.url()
    assert len(up.left_behind()) > 1
    up.process.kill()
    up.process.wait()
    nobody_left(up)


def refusal(up):
    """The one line, of a start that ends with status 2."""
    assert up.process.wait(20) == 2
    lines = up.errors.read_text().strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_an_occupied_port_ends_the_start_in_one_line(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal(start("--simulate", "--port", str(port)))
    assert f"PORT {port} is in use" in line
    assert "--port" in line


def test_a_data_folder_that_cannot_be_written_ends_the_start(start, tmp_path):
    (tmp_path / "data").write_text("a file, not a folder")
    line = refusal(start("--simulate"))
    assert "cannot be written" in line
    assert "--data" in line


def test_a_data_folder_of_another_upstream_ends_the_start(start, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "upstream").write_text("the real site\n")
    assert "belongs to the real site, not to simulator" in refusal(start("--simulate"))


def test_a_data_folder_in_use_ends_the_start(start):
    start("--simulate").begins()
    assert "in use by another jimeng" in refusal(start("--simulate"))


def test_a_missing_nats_server_ends_the_start(start):
    line = refusal(start("--simulate", NATS_SERVER_BIN="/no/such/nats-server"))
    assert "NATS_SERVER_BIN" in line


def test_a_chromium_that_is_not_there_ends_the_start(start):
    assert "CHROMIUM_PATH" in refusal(start("--simulate", CHROMIUM_PATH="/no/such"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("SETTLE_SECS", "20"), ("MAX_POLL_DURATION_SECS", "soon"), ("JIMENG_TYPO", "1")],
)
def test_a_wrong_setting_ends_the_start_and_is_named(start, name, value):
    assert name in refusal(start("--simulate", **{name: value}))


def test_an_address_off_loopback_is_refused(start):
    assert "AUTH_ENABLED" in refusal(start("--simulate", HOST="0.0.0.0"))


@pytest.mark.slow
def test_an_upstream_that_does_not_answer_is_one_warning_and_tasks_wait(start):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{closed.getsockname()[1]}"
    up = start(JIMENG_UPSTREAM=origin)
    url = up.url()
    warnings = [line for line in up.lines if '"warning"' in line]
    assert len(warnings) == 1
    assert "does not answer" in warnings[0]
    task_id = create(url)
    assert status(url, task_id) == "queued"
    assert followed(url, task_id) == ["snapshot", "cancelled", "done"]
    up.interrupt()


def followed(url, task_id):
    """Follow a task, cancel it once it is seen, and return what came."""
    names = []
    with http.stream("GET", f"{url}/api/v1/tasks/{task_id}/events") as answer:
        for line in answer.iter_lines():
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
            if line and names == ["snapshot"]:
                http.post(f"{url}/api/v1/tasks/{task_id}/cancel").raise_for_status()
                names.append("")
    return [name for name in names if name]


def test_the_earlier_node_service_is_refused_with_the_reason(start):
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    node = Starlette(routes=[Route("/ping", lambda _: PlainTextResponse("pong"))])
    with serving(node) as origin:
        assert "jimeng-free-api" in refusal(start(JIMENG_UPSTREAM=origin))


class serving:  # noqa: N801 - reads as a verb
    """An ASGI app on loopback, in a thread, while entered."""

    def __init__(self, app):
        import uvicorn

        self.socket = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", lifespan="off")
        self.server = uvicorn.Server(config)
        run = self.server.run
        self.thread = threading.Thread(target=run, args=([self.socket],), daemon=True)

    def __enter__(self):
        self.thread.start()
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __exit__(self, *_):
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()


HIDE = '/usr/bin/mount -t tmpfs none /usr/lib/chromium && exec "$@"'


@pytest.mark.slow
def test_without_a_browser_it_runs_says_so_and_refuses_only_the_page(start, tmp_path):
    if why := why_no_mounts():
        pytest.skip(why)
    up = start(
        "--simulate",
        wrap=["/usr/bin/unshare", "-m", "/bin/sh", "-c", HIDE, "sh"],
        PATH=str(Path(sys.executable).parent),
        HOME=str(tmp_path),
    )
    url = up.url()
    ready = http.get(f"{url}/readyz")
    assert ready.status_code == 200
    assert "no signer has a browser" in ready.json()["notes"][0]
    refused = http.post(
        f"{url}/api/v1/tasks",
        json={"model": "jimeng-video-seedance-2.0", "prompt": "a fox"},
    )
    assert refused.status_code == 503
    assert "browser_missing" in refused.json()["type"]
    assert create(url)
    up.interrupt()
