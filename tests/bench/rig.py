"""What the benchmarks stand on: a nats-server, services as processes, figures of both.

On a machine that others use too, times tell little: so each figure comes with a
baseline of the same run, and with the time on a processor that it took.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from support import Nats

TICKS = os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def rig() -> AsyncIterator[tuple[Path, Nats]]:
    """Give a folder and a nats-server with all streams, flushing as in production."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "nats").mkdir()
        server = Nats(folder / "nats")
        server.start()
        try:
            await server.provision()
            yield folder, server
        finally:
            server.kill()


@contextmanager
def service(
    name: str, folder: Path, server: Nats, **settings: object
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service as a process of its own; its lines go to a file in `folder`."""
    environment = {
        "NATS_URL": server.link.url,
        "NATS_USER": str(server.link.user),
        "NATS_PASSWORD": str(server.link.password),
        "DATA_DIR": str(folder / "data"),
        "LOG_FORMAT": "json",
        **{key.upper(): str(value) for key, value in settings.items()},
    }
    with (folder / f"{name}.log").open("ab") as lines:
        process = subprocess.Popen(
            [sys.executable, "-m", name],
            stdout=lines,
            stderr=lines,
            cwd=folder,  # no .env of the working folder
            env={**os.environ, **environment},
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def cpu_seconds(pid: int) -> float:
    """Return the time on a processor that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


def percentile(samples: Sequence[float], share: float) -> float:
    """Return what this share of the samples does not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def middle(samples: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(samples)


def heading(title: str) -> None:
    """Print what is measured, and how busy the machine is with it and all else."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"\n{title}  [{time.strftime('%H:%M')}, load {load}, {os.cpu_count()} cores]")


def row(what: str, value: float, unit: str, ratio: str = "", aim: str = "") -> None:
    """Print one figure."""
    line = f"  {what:<44}{value:10.2f} {unit:<6}{ratio:<26}"
    print(f"{line}{'aim ' + aim if aim else ''}".rstrip(), flush=True)
