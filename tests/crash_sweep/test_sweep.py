"""How a sweep chooses where to kill, and how it keeps services running."""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from crash_sweep.__main__ import Result, chosen, points, summary, unmet
from crash_sweep.lane import Point

RECORD = """\
scheduler\t1\tbefore\tcommit\t
scheduler\t1\tafter\tcommit\t
scheduler\t2\tbefore\tack\tevt.task.01a1fe3f-815c-74b9-9802-73a31c0fcc3c.signer.submitted
scheduler\t2\tafter\tack\tevt.task.01a1fe3f-815c-74b9-9802-73a31c0fcc3c.signer.submitted
"""


@pytest.fixture
def found(tmp_path: Path):
    log = tmp_path / "record"
    log.write_text(RECORD)
    return points("scheduler", log)


def test_each_recorded_boundary_has_two_sides_named_without_ids(found):
    assert [p.kill for p in found] == [
        "scheduler:1:before",
        "scheduler:1:after",
        "scheduler:2:before",
        "scheduler:2:after",
    ]
    assert found[2].name == "ack evt.task.*.signer.submitted"


def test_a_service_without_boundaries_has_no_points(tmp_path):
    assert points("signer", tmp_path / "none") == []


def test_the_seeds_of_an_every_take_each_point_once():
    every = [
        Point(fresh=False, service="poller", number=n, side="before")
        for n in range(100)
    ]
    taken = [chosen(every, 7, seed, "") for seed in range(7)]
    assert sorted(p for part in taken for p in part) == every


def test_a_service_or_a_single_point_can_be_asked_for(found):
    assert chosen(found, 1, 1, "scheduler") == found
    assert chosen(found, 1, 1, "scheduler:2:after") == found[3:]
    assert chosen(found, 1, 1, "poller") == []


def test_the_summary_counts_and_names_what_failed(found):
    results = [Result(p, 2.0, [], "commit") for p in found[:2]]
    results.append(Result(found[2], 2.0, ["I1 ended twice"], "ack"))
    results.append(Result(found[3], 2.0, [], ""))
    told = summary(results, len(found))
    assert "scheduler: commit (2 kills)" in told
    assert "not come to: scheduler:2:after" in told
    assert "FAILED scheduler:2:before (ack evt.task.*.signer.submitted)" in told
    last = told.splitlines()[-1]
    assert last.startswith("2 of 4 before and after held, of 4 at 2 boundaries")


def test_a_name_and_side_that_no_kill_met_is_tried_again(found):
    results = [Result(p, 2.0, [], "commit") for p in found]
    assert unmet(found, results) == found[2:]
    results += [Result(found[2], 2.0, [], found[2].name)]
    assert unmet(found, results) == found[3:]


@pytest.fixture
async def nursery(tmp_path: Path):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crash_sweep.nursery", tmp_path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert json.loads(await process.stdout.readline()) == {"event": "ready"}
    yield process
    process.stdin.close()
    await process.wait()


def children(pid: int) -> list[int]:
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in below.split()]


async def test_the_nursery_restarts_what_dies_and_leaves_nothing(nursery, until):
    # Nobody listens there: it waits for NATS until it is killed.
    environment = {"NATS_URL": "nats://127.0.0.1:1", "PATH": os.environ["PATH"]}
    order = {"do": "start", "service": "poller", "environment": environment}
    nursery.stdin.write(json.dumps(order).encode() + b"\n")
    told = json.loads(await nursery.stdout.readline())
    assert told == {"service": "poller", "event": "start"}
    (first,) = children(nursery.pid)
    os.kill(first, signal.SIGKILL)
    told = json.loads(await nursery.stdout.readline())
    assert told == {"service": "poller", "event": "died"}
    (second,) = await until(lambda: children(nursery.pid))
    assert second != first
    nursery.stdin.close()
    assert await nursery.wait() == 0
    with suppress(ProcessLookupError):
        os.kill(second, 0)
        pytest.fail("a service has survived its nursery")
