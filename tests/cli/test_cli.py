"""The command line, as a process, against a gateway that serves."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from contracts.errors import ErrorCode
from contracts.message import now
from contracts.sessions import ClosedModel
from contracts.values import ResultRef
from runtime.data import REAL_SITE, DataFolder

SECRET = "0123456789abcdef0123456789abcdef"
FILM = b"a film " * 100_000


@pytest.fixture
def succeed(tmp_path):
    """Give what makes a created task succeed at once."""

    def change(task):
        place = tmp_path / "data" / "blobs" / task.id / "result-0.mp4"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(FILM)
        result = ResultRef(
            index=0,
            key=f"{task.id}/result-0.mp4",
            mime="video/mp4",
            size=len(FILM),
            sha256=sha256(FILM).hexdigest(),
        )
        changed = {"status": "succeeded", "results": (result,), "finished_at": now()}
        return task.model_copy(update=changed)

    return change


def ending(status, **fields):
    """Make what ends a created task otherwise."""
    return lambda task: task.model_copy(update={"status": status, **fields})


async def test_video_makes_a_file_and_prints_its_name(
    jimeng, scheduler, succeed, tmp_path
):
    scheduler.on_create = succeed
    picture = tmp_path / "fox.bmp"
    picture.write_bytes(bmp())
    url = "https://files.example/moon.png"
    options = ["--image", str(picture), "--image", url, "--duration", "5"]

    ended = await jimeng("video", "@1 in the snow", *options, "-o", "out.mp4")

    assert (ended.status, ended.out) == (0, "out.mp4\n"), ended.err
    assert (tmp_path / "out.mp4").read_bytes() == FILM
    job = scheduler.created[0].job
    assert job.duration == 5
    given = [(file.name, file.url) for file in job.files]
    assert given == [("fox.bmp", ""), ("moon.png", url)]
    assert "seedance-2.0, 5 s, 9:16" in ended.err


async def test_how_far_a_video_may_go_is_said_with_it(jimeng, scheduler, succeed):
    scheduler.on_create = succeed
    far = ["--max-attempts", "3", "--buy-again", "1", "-o", "out.mp4"]
    for deadline in ("90m", "2d", "2999-01-31T12:00", "2999-01-31T12:00:00Z"):
        ended = await jimeng("video", "a fox", "--deadline", deadline, *far)
        assert ended.status == 0, ended.err
    found = [task.terms for task in scheduler.created]
    assert {(t.max_attempts, t.buy_again) for t in found} == {(3, 1)}
    soon, later, local, exact = [t.deadline for t in found]
    assert timedelta(minutes=80) < soon - now() <= timedelta(minutes=90)
    assert timedelta(days=1) < later - now() <= timedelta(days=2)
    assert exact == datetime(2999, 1, 31, 12, tzinfo=UTC)
    assert local == datetime(2999, 1, 31, 12).astimezone()


def bmp():
    """Make the smallest picture there is."""
    head = b"BM" + (58).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = (40).to_bytes(4, "little") + (1).to_bytes(4, "little") * 2
    return head + info + b"\1\0\x18\0" + bytes(24) + b"\0\0\xff\0"


async def test_video_as_json_prints_the_task_and_the_file(
    jimeng, scheduler, succeed, tmp_path
):
    scheduler.on_create = succeed

    ended = await jimeng("video", "a fox", "--json")

    told = json.loads(ended.out)
    assert ended.status == 0
    assert told["status"] == "succeeded"
    assert told["file"] == f"{told['id']}.mp4"
    assert (tmp_path / told["file"]).read_bytes() == FILM


async def test_a_failed_video_says_why_and_ends_with_1(jimeng, scheduler, tmp_path):
    scheduler.on_create = ending(
        "failed",
        error_message="the site's moderation \x1b[31mrefused it",
        error_code=ErrorCode.CONTENT_REFUSED,
        error_kind="content_risk",
    )

    ended = await jimeng("video", "a fox", "-o", "out.mp4")

    assert ended.status == 1
    assert "moderation" in ended.err
    assert "(content_refused)" in ended.err
    assert "\x1b" not in ended.err
    assert list(tmp_path.glob("*.mp4*")) == []


async def test_ctrl_c_leaves_the_task_alone_and_says_how_to_follow_it(
    jimeng, scheduler, succeed, tmp_path
):
    ended = await jimeng.interrupted("video", "a fox", after="waiting")

    (task,) = scheduler.tasks.values()
    assert ended.status == 130
    assert f"jimeng task {task.id} --follow --url {jimeng.url}" in ended.err
    assert "Traceback" not in ended.err
    assert scheduler.tasks[task.id].status == "queued"
    scheduler.tasks[task.id] = succeed(task)
    followed = await jimeng("task", task.id, "--follow", "-o", "later.mp4")
    assert (followed.status, (tmp_path / "later.mp4").read_bytes()) == (0, FILM)


async def test_what_is_asked_wrongly_ends_with_2_before_anything_is_bought(
    jimeng, scheduler, tmp_path
):
    wrong = {
        ("video", "a fox", "--duration", "99"): "duration: ",
        ("video", "@1 runs"): "prompt: ",
        ("video", "a fox", "--image", "none.png"): "none.png",
        ("video", "a fox", "--file", "ftp://a/b.png"): "neither a file nor",
        ("video", "a fox", "-o", "none/out.mp4"): "does not exist",
        ("video", "a fox", "-o", "."): "is a folder",
        ("video", "a fox", "--deadline", "soon"): "neither a time nor",
        ("video", "a fox", "--deadline", "2020-01-01T00:00Z"): "in the future",
        ("video", "a fox", "--max-attempts", "0"): "max-attempts",
        ("video", "a fox", "--buy-again", "4"): "buy-again",
        ("video",): "PROMPT",
        ("tasks", "--status", "running"): "running",
        ("viedo",): "Did you mean 'video'",
    }
    endings = await asyncio.gather(*(jimeng(*arguments) for arguments in wrong))

    for ended, words in zip(endings, wrong.values(), strict=True):
        assert ended.status == 2, ended
        assert words in ended.err
        assert "Traceback" not in ended.err
    assert scheduler.created == []


async def test_without_a_gateway_it_says_how_to_start_one(nowhere):
    for arguments in (("tasks",), ("video", "a fox"), ("sessions", "list")):
        ended = await nowhere(*arguments)
        assert ended.status == 2
        text = f"No gateway at {nowhere.url}: start one with `jimeng up`"
        assert text in ended.err


async def test_tasks_are_a_plain_table_and_json(jimeng, scheduler, until):
    empty = await jimeng("tasks")
    scheduler.on_create = ending("cancelled")
    await jimeng("video", "a\tfox " * 20, "--model", "jimeng-video-3.0")

    ended = await jimeng("tasks", "--status", "cancelled", "--limit", "5")
    told = json.loads((await jimeng("tasks", "--json")).out)

    assert empty.out.split() == ["ID", "STATUS", "CREATED", "PROMPT"]
    (line,) = ended.out.splitlines()[1:]
    task = told["tasks"][0]["id"]
    assert re.split(" {2,}", line)[:2] == [task, "cancelled"]
    assert "\t" not in ended.out
    assert line.endswith("…")


async def test_a_task_is_shown_and_cancelled_while_it_can_be(jimeng, scheduler):
    await jimeng.interrupted("video", "a fox", after="waiting")
    (task,) = scheduler.tasks

    shown = await jimeng("task", task)
    cancelled = await jimeng("task", task, "--cancel")
    again = await jimeng("task", task, "--cancel")
    scheduler.change(task, status="succeeded", stage=None)
    ended = await jimeng("task", task, "--cancel")
    unknown = await jimeng("task", "none")

    assert (shown.status, cancelled.status) == (0, 0)
    assert f"Task:     {task}" in shown.out
    assert "cancelled" in cancelled.out
    assert "whether the site charges" in cancelled.err
    assert again.status == 0
    assert (ended.status, unknown.status) == (1, 1)
    assert "the task is succeeded" in ended.err


async def test_sessions_are_added_from_stdin_one_per_line(jimeng, scheduler):
    lines = f"# mine\n\n{SECRET}  first one\nus-{SECRET[::-1]}\n{SECRET} again\n"

    ended = await jimeng("sessions", "add", stdin=lines)
    listed = await jimeng("sessions", "list")

    assert ended.status == 1  # one of three is there already
    assert ended.out.splitlines() == [
        "first one: active, 160 credits",
        "line 4: active, 160 credits",
        "again: this credential is in the pool already",
    ]
    assert [s.label for s in scheduler.sessions.values()] == ["first one", ""]
    assert "active" in listed.out
    for text in (ended.out, ended.err, listed.out):
        assert SECRET not in text


@pytest.mark.parametrize(
    ("outcome", "words"),
    [("expired", "mine: expired: "), ("wrong_region", "mine: wrong region: ")],
)
async def test_an_account_that_does_not_work_is_told(
    jimeng, scheduler, tmp_path, outcome, words
):
    scheduler.outcome = outcome
    (tmp_path / "accounts").write_text(f"{SECRET} mine\n")

    ended = await jimeng("sessions", "add", "--file", "accounts")

    assert ended.status == 1
    assert ended.out.startswith(words)


async def test_an_account_of_another_region_is_told_with_its_prefix(jimeng, scheduler):
    words = "this account lives in region us: add it as us-<sessionid>"
    scheduler.outcome, scheduler.remedy = "wrong_region", words

    ended = await jimeng("sessions", "add", stdin=f"{SECRET} mine\n")

    assert (ended.status, ended.out) == (1, f"mine: wrong region: {words}\n")
    assert SECRET not in ended.out + ended.err


async def test_sessions_are_tested_switched_and_removed(jimeng, scheduler):
    added = await jimeng("sessions", "add", "--json", stdin=SECRET)
    session = json.loads(added.out)[0]["session"]["id"]

    tested = await jimeng("sessions", "test", session)
    disabled = await jimeng("sessions", "disable", session)
    enabled = await jimeng("sessions", "enable", session, "--json")
    removed = await jimeng("sessions", "remove", session)
    gone = await jimeng("sessions", "remove", session)
    nothing = await jimeng("sessions", "add", stdin="\n")

    assert tested.out == f"{session}: active, 160 credits\n"
    assert disabled.out == f"{session}: disabled\n"
    assert json.loads(enabled.out)["enabled"] is True
    assert (removed.status, gone.status, nothing.status) == (0, 1, 2)
    assert scheduler.sessions == {}


async def test_a_credential_is_replaced_from_stdin(jimeng, scheduler):
    await jimeng("sessions", "add", stdin=SECRET)
    done = await jimeng("sessions", "replace", "s1", stdin=f"us-{SECRET[::-1]}\n")
    scheduler.rejected = "it belongs to another account of the site"
    no = await jimeng("sessions", "replace", "s1", stdin=SECRET)
    nothing = await jimeng("sessions", "replace", "s1", stdin="\n")

    assert (done.status, done.out) == (0, "s1: active, 160 credits\n")
    assert (no.status, nothing.status) == (1, 2)
    assert "the present credential stays in place (--force takes it" in no.err
    for text in (done.out, done.err, no.out, no.err):
        assert SECRET not in text
        assert SECRET[::-1] not in text


async def test_how_an_account_is_used_is_set_and_shown(jimeng, scheduler):
    await jimeng("sessions", "add", stdin=f"{SECRET} mine")
    options = ("--max-active", "4", "--daily-cap", "9", "--weight", "3")
    changed = await jimeng("sessions", "set", "s1", *options, "--models", "a, b")
    wish = scheduler.asked[-1]
    nothing = await jimeng("sessions", "set", "s1")
    closed = ClosedModel(model="x", reason="confirm it (4010)", since=now())
    scheduler.set_session(
        "s1", state="cooling", reason="risk (1019)", learnt=1, closed_models=(closed,)
    )
    listed = await jimeng("sessions", "list")
    drained = await jimeng("sessions", "drain", "s1")

    assert (changed.status, changed.out) == (0, "s1: active\n")
    assert (wish.max_active, wish.daily_cap, wish.weight) == (4, 9, 3)
    assert wish.models == ("a", "b")
    assert nothing.status == 2
    words = "risk (1019); the site takes 1 at a time; 0 of 9 jobs today"
    assert f"{words}; only a, b; not x: confirm it (4010)" in listed.out
    assert drained.out == "s1: draining\n"


async def test_the_secret_of_a_stopped_gateway_is_rotated(nowhere, tmp_path):
    data = tmp_path / "kept"
    done = await nowhere("rotate-key", "--data", str(data))
    with DataFolder(data, REAL_SITE, alone=False):  # a service of it runs
        no = await nowhere("rotate-key", "--data", str(data))

    assert done.out == "0 credentials are sealed with the new secret\n"
    assert (no.status, "in use" in no.err) == (2, True)


async def test_a_credential_cannot_be_given_as_an_argument(nowhere):
    ended = await nowhere("sessions", "add", SECRET)

    assert ended.status == 2


async def test_the_help_names_every_command_without_loading_one(nowhere):
    ended = await nowhere("--help")

    for name in (
        "up",
        "video",
        "image",
        "tasks",
        "task",
        "sessions",
        "simulator",
        "nats",
    ):
        assert re.search(rf"^  {name}\b", ended.out, re.MULTILINE)


def test_the_command_line_loads_nothing_heavy():
    code = (
        "import sys, standalone.cli.app as a; a._load('video'); a._load('sessions');"
        "print([m for m in ('faststream', 'nats', 'httpx', 'pydantic', 'rich')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


async def test_the_service_runs_as_a_process_and_stops_at_sigterm(
    nats, scheduler, all_beat, succeed, tmp_path
):
    await all_beat()
    process, url = await start_gateway(nats, tmp_path)
    scheduler.on_create = succeed
    from_process = await run_video(url, tmp_path)
    second = await serve(nats, tmp_path, port=url.rpartition(":")[2])
    _, refused = await second.communicate()
    process.terminate()
    await asyncio.wait_for(process.communicate(), 5)

    assert from_process == (0, FILM)
    assert second.returncode == 2
    assert re.fullmatch(rb"PORT \d+ is in use: [^\n]+\n", refused)
    assert process.returncode == 0


async def start_gateway(nats, folder):
    """Start the service; return it and its URL, once it says that it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await serve(nats, folder, port)
    while b"is ready" not in (line := await process.stdout.readline()):
        assert line, await process.stderr.read()
    return process, f"http://127.0.0.1:{port}"


async def serve(nats, folder, port):
    environment = {
        "PATH": os.environ["PATH"],
        "NATS_URL": nats.link.url,
        "NATS_USER": nats.link.user,
        "NATS_PASSWORD": nats.link.password,
        "DATA_DIR": str(folder / "data"),
        "LOG_FORMAT": "json",
        "PORT": str(port),
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway_http",
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run_video(url, folder):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "standalone.cli.app", "video", "a fox"),
        *("--url", url, "-o", "film.mp4"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
    )
    await process.communicate()
    return process.returncode, (folder / "film.mp4").read_bytes()
