"""A blob's writer killed at each of its steps: what is begun again ends clean."""

import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

WRITER = """
import asyncio, sys
from blobs import open_store

KEY, FILM = "t1/result-0.mp4", b"a film"

async def main():
    store = open_store(f"file:{sys.argv[1]}")
    if await store.exists(KEY):  # as the downloader looks first
        return
    async with store.draft(KEY) as draft:
        if draft.tag != "v1":
            await draft.restart("v1")
        await draft.write(FILM[draft.size :])
        await draft.commit(KEY)

asyncio.run(main())
"""
DIED = -9


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_draft_that_is_gone_on_with_after_any_kill_leaves_the_blob_alone(
    tmp_path: Path, side: str
):
    writer = tmp_path / "writer"
    writer.mkdir()
    (writer / "__main__.py").write_text(WRITER)
    for number in count(1):
        folder, log = tmp_path / f"blobs-{number}", tmp_path / f"log-{number}"

        def run(
            folder: Path = folder,
            log: Path = log,
            kill: str = f"writer:{number}:{side}",
        ) -> int:
            environment = {"BOUNDARY_LOG": str(log), "BOUNDARY_KILL": kill}
            command = [sys.executable, "-m", "writer", folder]
            return subprocess.run(
                command, env=environment, cwd=tmp_path, check=False
            ).returncode

        killed = run() == DIED
        assert run() == 0
        left = sorted(path.name for path in (folder / "t1").iterdir())
        where = log.read_text().splitlines()[2 * number - 2 :][:1]
        assert left == ["result-0.mp4"], f"{number} {side}: {where}"
        assert (folder / "t1" / "result-0.mp4").read_bytes() == b"a film"
        if not killed:
            assert number > 5  # tag, bytes, fsync, rename, folder, at the least
            return
