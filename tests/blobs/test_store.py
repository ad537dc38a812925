"""Blobs: whole or not at all, found by key, and nothing outside the folder."""

import asyncio
import errno
import os
import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blobs import (
    BusyError,
    InvalidKeyError,
    MissingError,
    StorageFullError,
    TooLargeError,
    check_key,
    open_store,
)
from blobs.part import Part

KEY = "0190/result-0.mp4"


@pytest.fixture
def store(tmp_path):
    return open_store(f"file:{tmp_path / 'blobs'}")


async def chunks(*parts):
    for part in parts:
        yield part


def names(store):
    folder = store.path(KEY).parent
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


@contextmanager
def room_for(size):
    """Let no file of this process grow beyond a size, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_what_was_put_is_read_back_with_its_size_and_hash(store):
    written = await store.put(KEY, chunks(b"ab", b"", b"cde"))
    assert (written.size, written.sha256) == (5, sha256(b"abcde").hexdigest())
    assert b"".join([c async for c in store.read(KEY)]) == b"abcde"
    assert await store.measure(KEY) == written
    assert await store.size(KEY) == 5


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [(0, None, b"abcdef"), (2, 4, b"cd"), (4, 99, b"ef"), (6, None, b""), (3, 3, b"")],
)
async def test_a_range_is_read(store, start, end, wanted):
    await store.put(KEY, chunks(b"abcdef"))
    assert b"".join([c async for c in store.read(KEY, start, end)]) == wanted


async def test_a_large_blob_is_read_in_chunks(store):
    await store.put(KEY, chunks(*[b"x" * 100_000] * 10))
    sizes = [len(c) async for c in store.read(KEY)]
    assert sum(sizes) == 1_000_000
    assert max(sizes) < 300_000


async def test_a_put_that_breaks_off_leaves_nothing(store):
    async def breaking():
        yield b"x" * 400_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.put(KEY, breaking())
    assert names(store) == []


async def test_a_put_that_breaks_off_keeps_what_was_stored_before(store):
    async def breaking():
        yield b"new" * 200_000
        raise ConnectionResetError

    await store.put(KEY, chunks(b"old"))
    with pytest.raises(ConnectionResetError):
        await store.put(KEY, breaking())
    assert b"".join([c async for c in store.read(KEY)]) == b"old"
    assert names(store) == ["result-0.mp4"]


async def test_a_cancelled_put_leaves_nothing(store):
    begun, never = asyncio.Event(), asyncio.Event()

    async def waiting():
        yield b"x" * 400_000
        begun.set()
        await never.wait()

    put = asyncio.create_task(store.put(KEY, waiting()))
    await begun.wait()
    put.cancel()
    with pytest.raises(asyncio.CancelledError):
        await put
    assert names(store) == []


async def whole(reading):
    return b"".join([chunk async for chunk in reading])


def files_open(folder):
    """Count the descriptors of this process that are files in a folder."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found += folder in each.readlink().parents
    return found


async def test_a_read_cancelled_as_it_ends_closes_its_file(store, until):
    await store.put(KEY, chunks(b"abc"))
    released = threading.Event()
    pool = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(pool)
    reading = store.read(KEY, 0, 3)
    assert await anext(reading) == b"abc"
    pool.submit(released.wait)
    await until(pool._work_queue.empty)  # the thread is busy
    try:
        ending = asyncio.create_task(whole(reading))
        await until(pool._work_queue.qsize)  # and wanted
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
    finally:
        released.set()
    await until(lambda: not files_open(store.path(KEY).parent))


async def test_a_read_cancelled_as_it_begins_closes_its_file(store, until):
    path = store.path(KEY)
    path.parent.mkdir()
    os.mkfifo(path)  # is opened for reading only once somebody writes
    writer = -1
    beginning = asyncio.create_task(whole(store.read(KEY)))

    def opened():
        nonlocal writer
        with suppress(OSError):
            writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        return writer >= 0

    await until(opened)
    beginning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    os.close(writer)
    await until(lambda: not files_open(path.parent))


async def test_a_full_disk_leaves_nothing_and_says_so(store):
    with room_for(300_000), pytest.raises(StorageFullError) as caught:
        await store.put(KEY, chunks(b"x" * 250_000, b"x" * 250_000))
    assert caught.value.__cause__.errno == errno.EFBIG
    assert names(store) == []


async def test_too_many_bytes_are_refused_and_leave_nothing(store):
    with pytest.raises(TooLargeError):
        await store.put(KEY, chunks(b"abc", b"d"), limit=3)
    assert names(store) == []
    assert (await store.put(KEY, chunks(b"abc"), limit=3)).size == 3


async def test_missing_blobs_are_told_by_their_key(store):
    with pytest.raises(MissingError, match=KEY):
        await store.size(KEY)
    with pytest.raises(MissingError, match=KEY):
        await anext(store.read(KEY))
    assert not await store.exists(KEY)


async def test_deleting_takes_one_blob_or_all_of_a_task(store):
    for key in ("0190/a", "0190/b", "0191/a"):
        await store.put(key, chunks(b"x"))
    assert await store.keys("0190") == ["0190/a", "0190/b"]
    await store.delete("0190/a")
    assert await store.keys("0190") == ["0190/b"]
    await store.delete("0190")
    await store.delete("0190")
    assert await store.keys("0190") == []
    assert await store.exists("0191/a")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a",
        "/a",
        "a/",
        "a/.",
        "a/..",
        "../a",
        "a/../b",
        "a/b/c",
        "a/b..c",
        ".a/b",
        "a/.b",
        "/etc/passwd",
        "a/b\n",
        "a/b\x00",
        "a\\b/c",
        "a/é",
        "a" * 65 + "/b",
        "a/" + "b" * 129,
    ],
)
def test_a_key_that_could_lead_elsewhere_is_refused(store, key):
    with pytest.raises(InvalidKeyError):
        store.path(key)


@given(st.text(max_size=40) | st.from_regex(r"[a./\\~]{1,12}", fullmatch=True))
def test_no_key_leads_out_of_the_folder(key):
    try:
        task, name = check_key(key)
    except InvalidKeyError:
        return
    assert f"{task}/{name}" == key
    assert not {".", "..", ""} & {task, name}
    assert not set("/\\\0\n") & set(task + name)


@pytest.mark.parametrize("prefix", ["", "..", ".", "/", "../x", "a/../b"])
async def test_nothing_outside_is_ever_deleted(store, prefix):
    with pytest.raises(InvalidKeyError):
        await store.delete(prefix)


@pytest.mark.parametrize("url", ["s3:bucket", "/blobs", "file:", "", "http://x/y"])
def test_only_file_stores_are_opened(url):
    with pytest.raises(ValueError, match="file:<folder>"):
        open_store(url)


async def test_a_draft_goes_on_where_it_stopped(store):
    async with store.draft("0190/result-0") as draft:
        await draft.restart("etag-1")
        await draft.write(b"abc")
    async with store.draft("0190/result-0") as draft:
        assert (draft.size, draft.tag) == (3, "etag-1")
        await draft.write(b"def")
        written = await draft.commit(KEY)
    assert written == await store.measure(KEY)
    assert b"".join([c async for c in store.read(KEY)]) == b"abcdef"
    assert names(store) == ["result-0.mp4"]


async def test_a_draft_is_no_blob(store):
    async with store.draft("0190/result-0") as draft:
        await draft.restart("etag-1")
        await draft.write(b"abc")
    assert await store.keys("0190") == []


async def test_a_draft_of_unknown_bytes_begins_anew(store):
    async with store.draft("0190/result-0") as draft:
        await draft.restart("")
        await draft.write(b"abc")
    async with store.draft("0190/result-0") as draft:
        assert (draft.size, draft.tag) == (0, "")
        await draft.write(b"xy")
        assert (await draft.commit(KEY)).size == 2


async def test_a_draft_from_before_the_machine_restarted_begins_anew(
    store, tmp_path, monkeypatch
):
    async with store.draft("0190/result-0") as draft:
        await draft.restart("etag-1")
        await draft.write(b"abc")
    boot = tmp_path / "boot_id"
    boot.write_text("another start\n")
    monkeypatch.setattr("blobs.part._BOOT_ID", boot)
    async with store.draft("0190/result-0") as draft:
        assert draft.size == 0


async def test_two_writers_never_share_a_draft(store):
    async with store.draft("0190/result-0"):
        with pytest.raises(BusyError):
            async with store.draft("0190/result-0"):
                pass
    async with store.draft("0190/result-0"):
        pass


async def test_a_draft_that_was_stored_meanwhile_is_not_written_to(store):
    late = Part(store.path("0190/result-0").with_name(".result-0.draft"))
    async with store.draft("0190/result-0") as draft:
        await draft.restart("etag-1")
        await draft.write(b"abc")
        with pytest.raises(BusyError):
            late.resume()
        await draft.commit(KEY)
    assert b"".join([c async for c in store.read(KEY)]) == b"abc"


async def test_a_discarded_draft_leaves_nothing(store):
    async with store.draft("0190/result-0") as draft:
        await draft.restart("etag-1")
        await draft.write(b"abc")
        await draft.discard()
    assert names(store) == []


async def test_a_draft_keeps_what_fitted_when_the_disk_is_full(store):
    async with store.draft("0190/result-0") as draft:
        await draft.restart("etag-1")
        await draft.write(b"x" * 1000)
        with room_for(1500), pytest.raises(StorageFullError):
            await draft.write(b"x" * 1000)
    async with store.draft("0190/result-0") as draft:
        assert draft.size >= 1000
        await draft.write(b"x" * (2000 - draft.size))
        assert (await draft.commit(KEY)).sha256 == sha256(b"x" * 2000).hexdigest()


async def test_what_a_killed_put_left_is_swept_once_it_is_old(store):
    async with store.draft("0191/result-0") as draft:
        await draft.restart("etag-1")
    await store.put(KEY, chunks(b"abc"))
    folder = store.path(KEY).parent
    for name, age in (("old", 4000), ("young", 3000)):
        part = folder.parent / f"019{age // 1000}" / f".reference-1.{name}.part"
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(b"half")
        os.utime(part, (time.time() - age,) * 2)
    beside = folder / ".reference-2.0.part"
    beside.write_bytes(b"half")
    os.utime(beside, (0, 0))

    assert await store.sweep(3600) == 2
    left = sorted(p.name for p in folder.parent.rglob("*") if p.is_file())
    assert ".reference-1.young.part" in left
    assert not {".reference-1.old.part", beside.name} & set(left)
    assert not (folder.parent / "0194").exists()
    assert await store.exists(KEY)
    async with store.draft("0191/result-0") as draft:
        assert draft.tag == "etag-1"
    assert await store.sweep(3600) == 0


async def test_the_loop_runs_on_while_the_disk_works(store):
    turns = 0

    async def turning():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(turning())
    await store.put(KEY, chunks(*[b"x" * 300_000] * 20))
    other.cancel()
    assert turns > 20
