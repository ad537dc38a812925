"""How fast one large result is stored, and in how much memory, against curl.

Run by `make bench`. A server of its own sends the same file from memory to both; curl
only writes it, the downloader also takes its sha256, looks whether it is a whole film
and waits for the disk. What the disk takes for the same bytes alone stands beside it.
"""

import asyncio
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import imageio_ffmpeg

MIB = 1024 * 1024
SIZE = 300 * MIB
ROUNDS = 3
AIM = 0.8


def film(folder: Path) -> Path:
    """Make a film of the wanted size: a short one with a long free box at its end."""
    path = folder / "film.mp4"
    source = "testsrc2=s=1280x720:d=2"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-f", "lavfi"]
    subprocess.run([*command, "-i", source, str(path)], check=True)
    shutil.copy(path, folder / "short.mp4")
    with path.open("ab") as file:
        left = SIZE - file.tell()
        file.write(left.to_bytes(4, "big") + b"free")
        for _ in range((left - 8) // MIB):
            file.write(os.urandom(MIB))
        file.write(bytes(SIZE - file.tell()))
    return path


async def serve(folder: Path) -> None:
    """Send files to everybody who asks; say on stdout at which port."""
    loop = asyncio.get_running_loop()

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            asked = await reader.readuntil(b"\r\n\r\n")
            path = folder / asked.split()[1].decode().strip("/")
            size = path.stat().st_size
            told = f'Content-Length: {size}\r\nETag: "1"\r\nConnection: close'
            writer.write(f"HTTP/1.1 200 OK\r\n{told}\r\n\r\n".encode())
            await writer.drain()
            with path.open("rb") as file:
                await loop.sendfile(writer.transport, file)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def store(url: str, folder: Path) -> None:
    """Store what lies there as the downloader does; say how long it took, and peaks."""
    from blobs import open_store
    from contracts.values import Item
    from downloader.domain import Place
    from downloader.fetch import Fetcher
    from downloader.storing import Shelf, Storing
    from jimeng import Account, Jimeng, Upstream

    origin = url.rpartition("/")[0]
    async with Jimeng(Account.parse("0" * 32), Upstream(origin)) as site:
        fetcher = Fetcher(site, lambda _: True, 2 * SIZE)
        shelf = Shelf(open_store(f"file:{folder}"), "/bin/false")  # no poster

        async def renew(_: int, __: Item) -> list[str]:
            return []

        storing = Storing(shelf, fetcher, renew, "video", patient=True)
        # A service at work has loaded all it needs.
        warm = Item(id="0", urls=(f"{origin}/short.mp4",))
        await storing.store(Place("t", 1), warm)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.monotonic()
        await storing.store(Place("t", 0), Item(id="1", urls=(url,)))
        took = time.monotonic() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(took, before / 1024, peak / 1024)


def stored(url: str, folder: Path) -> tuple[float, float, float]:
    """Return MB/s of the downloader, and its memory before and at most."""
    command = [sys.executable, __file__, "store", url, str(folder)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    took, before, peak = map(float, said.split())
    shutil.rmtree(folder)
    return SIZE / took / 1e6, before, peak


def curled(url: str, folder: Path) -> float:
    """Return MB/s of curl."""
    target = folder / "curl.mp4"
    command = ["curl", "-sS", "--noproxy", "*", "-o", str(target), url]
    began = time.monotonic()
    subprocess.run(command, check=True)
    took = time.monotonic() - began
    target.unlink()
    return SIZE / took / 1e6


def written(source: Path, folder: Path) -> float:
    """Return MB/s of the disk: the same bytes written and waited for, by dd."""
    target = folder / "dd.mp4"
    command = ["dd", f"if={source}", f"of={target}", "bs=1M", "conv=fsync"]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    took = time.monotonic() - began
    target.unlink()
    return SIZE / took / 1e6


def bench(folder: Path) -> None:
    """Measure in turns, and print a table."""
    source = film(folder)
    server = subprocess.Popen(
        [sys.executable, __file__, "serve", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}/film.mp4"
        ours, theirs, disk, before, peak = [], [], [], [], []
        for _ in range(ROUNDS):
            if shutil.which("curl"):
                theirs.append(curled(url, folder))
            disk.append(written(source, folder))
            speed, idle, most = stored(url, folder / "store")
            ours.append(speed)
            before.append(idle)
            peak.append(most)
    finally:
        server.kill()
        server.communicate()
    _say(ours, theirs, disk)
    grown = max(p - b for p, b in zip(peak, before, strict=True))
    print(f"{'memory at most, over what it began with':<52}{grown:8.1f} MB   flat")


def _say(ours: list[float], theirs: list[float], disk: list[float]) -> None:
    mine, alone = statistics.median(ours), statistics.median(disk)
    what = f"a result of {SIZE // MIB} MiB stored, verified, synced"
    print(f"{what:<52}{mine:8.0f} MB/s")
    print(f"{'the disk alone (dd conv=fsync, same bytes)':<52}{alone:8.0f} MB/s")
    if not theirs:
        print("curl is not installed: no baseline")
        return
    base = statistics.median(theirs)
    print(f"{'curl from the same server, not verified or synced':<52}{base:8.0f} MB/s")
    print(f"{'ours to curl':<52}{mine / base:8.2f}      aim {AIM}")
    print(
        f"{'ours to the slower of curl and the disk':<52}{mine / min(base, alone):8.2f}"
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", path]:
            asyncio.run(serve(Path(path)))
        case ["store", url, folder]:
            asyncio.run(store(url, Path(folder)))
        case _:
            with tempfile.TemporaryDirectory() as made:
                bench(Path(made))
