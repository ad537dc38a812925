"""Pieces of a result on their way into a draft, cut off anywhere."""

import asyncio

import pytest

from blobs import open_store
from downloader.fetch import CHUNK_BYTES, UselessError, _Writing

SOURCE = b"".join(n.to_bytes(4, "big") for n in range(6 * CHUNK_BYTES // 4))
PIECE = 64 * 1024


@pytest.mark.parametrize("turns", range(0, 200, 9))
async def test_what_a_cut_off_write_left_is_a_beginning_of_the_whole(tmp_path, turns):
    store = open_store(f"file:{tmp_path}")

    async def take(draft):
        async with _Writing(draft, len(SOURCE)) as writing:
            for place in range(0, len(SOURCE), PIECE):
                await asyncio.sleep(0)  # as when pieces come from the network
                await writing.add(SOURCE[place : place + PIECE])

    async with store.draft("t/result-0") as draft:
        await draft.restart('"1"')
        taking = asyncio.create_task(take(draft))
        for _ in range(turns):
            await asyncio.sleep(0)
        taking.cancel()
        await asyncio.wait({taking})
        assert draft.path.read_bytes() == SOURCE[: draft.size]

    async with store.draft("t/result-0") as draft:  # as another process does
        kept = draft.size
        async with _Writing(draft, len(SOURCE)) as writing:
            await writing.add(SOURCE[kept:])
        await draft.commit("t/result-0.mp4")
    assert store.path("t/result-0.mp4").read_bytes() == SOURCE


async def test_more_than_the_limit_is_not_written(tmp_path):
    store = open_store(f"file:{tmp_path}")
    async with store.draft("t/result-0") as draft:
        await draft.restart('"1"')
        writing = _Writing(draft, PIECE)
        await writing.add(SOURCE[:PIECE])
        with pytest.raises(UselessError, match="DOWNLOAD_MAX_BYTES"):
            await writing.add(b"x")
        await writing.__aexit__()
        assert draft.size == PIECE
