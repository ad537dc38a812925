"""Many tasks at once: counted, asked about, done; deletes and models."""

import json
from datetime import timedelta

import pytest

from contracts.message import now
from contracts.requests import ListTasks
from gateway_http import batches


async def test_many_are_counted_and_cancelled_only_after_a_yes(
    jimeng, scheduler, tasks
):
    tasks(3, "queued", "q")
    no = await jimeng("cancel", "--all", "--status", "queued", stdin="n\n")
    assert (no.status, "Cancel 3 tasks?" in no.err) == (1, True)
    assert "nothing was done" in no.err
    assert {t.status for t in scheduler.tasks.values()} == {"queued"}

    yes = await jimeng("cancel", "--all", "--status", "queued", stdin="y\n")
    again = await jimeng("cancel", "--all", "--yes")
    assert (yes.status, yes.out) == (0, "3 of 3 done\n")
    assert (again.status, again.out) == (0, "0 of 0 done\n")


async def test_failed_tasks_are_made_anew_in_as_many_pieces_as_it_takes(
    jimeng, scheduler, tasks, gateway
):
    tasks(batches.PIECE + 1, "failed", "f")
    done = await jimeng("retry", "--all", "--yes", "--json")
    assert done.status == 0, done.err
    assert sum(piece["done"] for piece in json.loads(done.out)) == batches.PIECE + 1
    again = await jimeng("retry", "--all", "--yes")
    assert again.out == "0 of 0 done\n"


async def test_what_was_not_done_is_told_and_fails_the_command(
    jimeng, scheduler, tasks
):
    tasks(2, "queued", "q")
    scheduler.refused["q001"] = 507, "storage-full"
    told = await jimeng("cancel", "--all", "--yes")

    assert (told.status, told.out) == (1, "1 of 2 done, 1 failed\n")
    assert "q001: no" in told.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("cancel",),
        ("cancel", "t1", "--all"),
        ("cancel", "--status", "queued"),
        ("cancel", "t1", "--status", "queued"),
        ("retry", "--all", "--prompt", "x"),
        ("tasks", "--since", "yesterday"),
        ("tasks", "--since", "999999d"),
        ("tasks", "--status", "done"),
    ],
)
async def test_what_is_not_clear_is_not_done(jimeng, scheduler, tasks, arguments):
    tasks(1, "queued", "t")
    told = await jimeng(*arguments)
    assert told.status == 2, told
    assert scheduler.tasks["t000"].status == "queued"


async def test_tasks_are_listed_by_what_they_are(jimeng, scheduler, tasks):
    tasks(2, "failed", "f")
    options = "--kind video --model seedance-2.0 --key 7 --text fox --since 2h --until"
    told = await jimeng(
        *("tasks", "--status", "failed", "--status", "cancelled"),
        *(*options.split(), "2026-11-21T12:00:00+08:00", "--limit", "1"),
    )
    assert told.status == 0, told.err
    [wish] = [r for r in scheduler.asked if isinstance(r, ListTasks)]
    assert wish.statuses == ("failed", "cancelled")
    assert (wish.kind, wish.owner, wish.text, wish.limit) == (
        "video",
        "key:7",
        "fox",
        1,
    )
    assert abs(now() - timedelta(hours=2) - wish.created_from) < timedelta(minutes=5)
    assert wish.created_before.isoformat() == "2026-11-21T04:00:00+00:00"
    assert "The newest 1 of 2" in told.err


async def test_a_delete_asks_first(jimeng, scheduler, tasks):
    tasks(2, "failed", "f")
    no = await jimeng("delete", "f000", stdin="\n")
    assert (no.status, len(scheduler.tasks)) == (1, 2)
    yes = await jimeng("delete", "f000", "f001", "--yes")
    assert (yes.status, yes.out) == (0, "f000 is deleted\nf001 is deleted\n")
    assert scheduler.tasks == {}
    gone = await jimeng("delete", "f000", "-y")
    assert (gone.status, "no such task" in gone.err) == (1, True)


async def test_models_are_listed_with_what_they_can_do(jimeng):
    told = await jimeng("models", "--kind", "video")
    lines = {line.split()[0]: line for line in told.out.splitlines()}
    assert told.status == 0, told.err
    assert "4-15" in lines["jimeng-video-seedance-2.0"]
    assert "needed" in lines["jimeng-video-seedance-2.0"]
    assert "5 10 12" in lines["jimeng-video-3.5-pro"]
    assert "jimeng-5.0" not in lines
    images = json.loads((await jimeng("models", "--kind", "image", "--json")).out)
    assert {each["kind"] for each in images} == {"image"}
