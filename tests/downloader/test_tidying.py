"""What the downloader takes out of the store, and what it leaves."""

import os
import time

import pytest

from blobs import open_store
from contracts.tasks import DeleteFiles, DeleteResults
from contracts.workers import AskOrphans, Orphans
from downloader.app import create_app
from downloader.settings import Settings
from downloader.tidying import tidy
from workers_support import read_settings, running

HOUR = 3600


@pytest.fixture
def store(tmp_path):
    return open_store(f"file:{tmp_path / 'data' / 'blobs'}")


def put(store, name, hours):
    """Put a file into the store that was written so long ago."""
    task, _, file = name.partition("/")
    path = store.folder / task / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    for each in (path, path.parent):
        os.utime(each, (time.time() - hours * HOUR,) * 2)


async def test_old_files_of_no_task_go_and_all_others_stay(nats, make_bus, store):
    await nats.provision()
    asked = []
    scheduler = make_bus("scheduler")

    @scheduler.answer(AskOrphans)
    async def answer(request: AskOrphans):
        asked.extend(request.tasks)
        return Orphans(tasks=("none-old",))

    await scheduler.start()
    put(store, "none-old/reference-1", 25)
    put(store, "task-old/result-0.mp4", 25)
    put(store, "none-young/reference-1", 23)
    put(store, "uploading/reference-1", 25)
    put(store, "uploading/.reference-2.ab.part", 0.5)
    put(store, "killed/.reference-1.ab.part", 2)
    await tidy(scheduler, store)

    assert sorted(asked) == ["none-old", "task-old"]
    left = sorted(p.name for p in store.folder.iterdir())
    assert left == ["none-young", "task-old", "uploading"]
    assert (store.folder / "uploading" / ".reference-2.ab.part").exists()


async def test_files_are_deleted_as_told_also_twice(
    nats, scheduler, store, tmp_path, until
):
    await store.put("t1/result-0.mp4", _once(b"film"))
    await store.put("t2/result-0.mp4", _once(b"film"))
    async with running(create_app(read_settings(Settings, nats, tmp_path))):
        for number in range(2):
            await scheduler.bus.send(DeleteFiles(task="t1"), f"{number}")
            await until(lambda: _none_left(scheduler))
    assert not (store.folder / "t1").exists()
    assert await store.exists("t2/result-0.mp4")


async def test_results_are_deleted_and_what_was_given_stays(
    nats, scheduler, store, until, tmp_path
):
    kept = ["t1/reference-1.png", "t2/result-0.png"]
    for key in ["t1/result-0.png", "t1/result-11.mp4", "t1/poster-11.jpg", *kept]:
        await store.put(key, _once(b"x"))
    async with running(create_app(read_settings(Settings, nats, tmp_path))):
        for number in range(2):
            await scheduler.bus.send(DeleteResults(task="t1"), f"{number}")
            await until(lambda: _none_left(scheduler))
    assert [k for task in ("t1", "t2") for k in await store.keys(task)] == kept


async def _once(data):
    yield data


async def _none_left(scheduler):
    return await scheduler.left() == 0
