"""`make crash-sweep`: kill each service at each of its boundaries, before and after.

A first run writes down which boundaries there are: commits, publishes, acks, requests,
bytes to the site, renames. Then each of them is tried: the service is killed there by
SIGKILL, once, and started again; three tasks (in the page with a picture, a plain one,
one cancelled after its permit) must end exactly once, be paid once, and leave nothing.

Exit status: 0, all held; 1, one did not; 2, the sweep could not be; 130, ended early.
"""

import argparse
import asyncio
import io
import re
import shutil
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from timeit import timeit

from PIL import Image

from boundary import boundary
from command_support import run_in_folder, say
from crash_sweep.lane import Lane, Point, watching
from crash_sweep.nursery import SERVICES
from crash_sweep.scenario import Scenario

SIDES = ("before", "after")
_runs = count(1)
ROUNDS = 2  # more, for the names that no kill has met
TRIES = 2  # of a boundary that a run does not come to: polls and beats vary
_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}(-\d+)?|(?=[a-f]*\d)[0-9a-f]{6,}|outbox:\d+"
)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        "crash-sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--every", type=int, default=1, help="take every k-th point")
    parser.add_argument("--seed", type=int, default=1, help="which of each k")
    parser.add_argument("--lanes", type=int, default=2, help="gateways side by side")
    parser.add_argument("--only", default="", help="a service, or scheduler:12:after")
    parser.add_argument("--list", action="store_true", help="print the points only")
    parser.add_argument("--keep", type=Path, help="folder for outputs of failures")
    return parser.parse_args()


@dataclass
class Result:
    """How one run went."""

    point: Point
    seconds: float
    broken: list[str]
    reached: str
    """The boundary it was killed at; empty: the run did not come to it."""
    died_too: list[str] = field(default_factory=list)


class Sweep:
    """All runs over some lanes."""

    def __init__(self, lanes: list[Lane], keep: Path | None) -> None:
        self._lanes = lanes
        self._keep = keep
        self._picture = _picture()
        self.results: list[Result] = []
        self._total = 0
        self._began = time.monotonic()

    async def record(self) -> list[Point]:
        """Return every point of a start on an empty folder, and of the tasks' life."""
        lane = self._lanes[0]
        logs = {s: lane.folder / f"record-fresh-{s}" for s in SERVICES}
        await lane.be_fresh({s: watching(log) for s, log in logs.items()})
        # Only what such a start does beside that of every run.
        fresh = [p for s, log in logs.items() for p in points(s, log, fresh=True)]
        logs = {s: lane.folder / f"record-{s}" for s in SERVICES}
        for service, log in logs.items():
            await lane.start(service, watching(log))
        scenario = Scenario(lane, self._picture)
        broken = await scenario.live()
        found = [p for s, log in logs.items() for p in points(s, log)]
        if broken := broken or await scenario.judge():
            raise RuntimeError(f"without any kill: {broken}")
        return fresh + found

    async def run(self, todo: list[Point]) -> None:
        """Try every point, each on the next free lane."""
        if not self._total:
            self._began = time.monotonic()
        self._total += len(todo)
        queue = todo[::-1]

        async def work(lane: Lane) -> None:
            while queue:
                result = await self._try(lane, queue.pop())
                self.results.append(result)
                self._tell(result)

        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(work(lane))

    async def _try(self, lane: Lane, point: Point) -> Result:
        for _ in range(TRIES):
            result = await self._once(lane, point)
            if result.reached or result.broken:
                break
        if result.broken:
            self._keep_output(lane, point)
            await lane.be_fresh({})
        return result

    async def _once(self, lane: Lane, point: Point) -> Result:
        began = time.monotonic()
        log = _new_log(lane)
        lane.deaths.clear()
        try:
            if point.fresh:
                await lane.be_fresh({point.service: watching(log, point)})
            else:
                await lane.start(point.service, watching(log, point))
            scenario = Scenario(lane, self._picture)
            broken = await scenario.live() or await scenario.judge()
        except Exception as error:  # noqa: BLE001 - this run's failure
            broken = [f"the run broke off: {error!r}"]
        reached = _killed_at(log)
        if reached and point.service in lane.deaths:
            lane.deaths.remove(point.service)
        seconds = time.monotonic() - began
        return Result(point, seconds, broken, reached, list(lane.deaths))

    def _tell(self, result: Result) -> None:
        total, seconds = self._total, time.monotonic() - self._began
        done, failed = len(self.results), sum(bool(r.broken) for r in self.results)
        if result.broken:
            say(f"FAILED {result.point}: killed at {result.reached or 'nothing'}")
            for line in result.broken:
                say(f"       {line[:600]}")
        if result.died_too:
            say(f"       {result.point}: also died: {result.died_too}")
        if done % 10 == 0 or done == total or result.broken:
            left = (total - done) * seconds / done
            say(
                f"  {done} of {total}, {failed} failed, {seconds:.0f} s, "
                f"{left:.0f} s to go; {result.point}: {result.seconds:.1f} s"
            )

    def _keep_output(self, lane: Lane, point: Point) -> None:
        if self._keep:
            target = self._keep / point.kill.replace(":", "-")
            shutil.copytree(lane.output, target, dirs_exist_ok=True)


def points(service: str, log: Path, *, fresh: bool = False) -> list[Point]:
    """Return both sides of every boundary a record names."""
    text = log.read_text() if log.exists() else ""  # one that has none so far
    lines = [line.split("\t") for line in text.splitlines()]
    found = {int(line[1]): name_of(line) for line in lines if line[2] == "before"}
    return [
        Point(fresh, service, number, side, name)
        for number, name in sorted(found.items())
        for side in SIDES
    ]


def _new_log(lane: Lane) -> Path:
    """Return a log of this run alone: who was killed in another must not die again."""
    return lane.folder / f"boundaries-{next(_runs)}"


def _killed_at(log: Path) -> str:
    killed = Path(f"{log}.killed")
    return name_of(killed.read_text().strip().split("\t")) if killed.exists() else ""


def name_of(line: list[str]) -> str:
    """Return a boundary's name without what is of one run only."""
    return " ".join([line[3], *(_ID.sub("*", part) for part in line[4:5])]).strip()


def chosen(points: list[Point], every: int, seed: int, only: str) -> list[Point]:
    """Return every k-th point, another one for another seed; all of what was named."""
    named = [p for p in points if not only or only in {p.service, p.kill}]
    return named[seed % every :: every]


def unmet(todo: list[Point], results: list[Result]) -> list[Point]:
    """Return a point for each name and side at which nobody was killed.

    What a service does at a time is done in no fixed order, so the n-th of a run may be
    another than the n-th of the record.
    """
    met = {(r.point.service, r.reached, r.point.side) for r in results}
    first: dict[tuple[str, str, str], Point] = {}
    for point in todo:
        first.setdefault((point.service, point.name, point.side), point)
    return [point for key, point in first.items() if key not in met]


def _picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 400), (200, 120, 40)).save(out, "PNG")
    return out.getvalue()


def cost() -> str:
    """Return what a boundary costs where nothing is watched."""

    def passage() -> None:
        with boundary("step"):
            pass

    best = min(timeit(passage, number=1000) for _ in range(50)) / 1000
    return f"{best * 1e9:.0f} ns"


def summary(results: list[Result], recorded: int) -> str:
    """Say how all of it went, by name."""
    held = [r for r in results if r.reached and not r.broken]
    failed = [r for r in results if r.broken]
    missed = [r for r in results if not r.reached and not r.broken]
    sides = Counter((r.point.service, r.reached) for r in held)
    lines = [f"  {s}: {name} ({n} kills)" for (s, name), n in sorted(sides.items())]
    lines += [f"not come to: {r.point}" for r in missed]
    lines += [f"FAILED {r.point}: {r.broken[0][:300]}" for r in failed]
    mean = sum(r.seconds for r in results) / max(1, len(results))
    lines.append(
        f"{len(held)} of {len(results)} before and after held, of {recorded} at "
        f"{recorded // 2} boundaries; {len(failed)} failed, {len(missed)} not come "
        f"to; {mean:.1f} s a run"
    )
    return "\n".join(lines)


async def sweep(options: argparse.Namespace, folder: Path) -> int:
    """Record, try, judge; return the exit status."""
    began = time.monotonic()
    say(f"a boundary costs {cost()} in production")
    async with AsyncExitStack() as opened:
        lanes = [Lane(folder / f"lane-{n}") for n in range(options.lanes)]
        await asyncio.gather(*map(opened.enter_async_context, lanes))
        running = Sweep(lanes, options.keep)
        found = await running.record()
        todo = chosen(found, options.every, options.seed, options.only)
        say(
            f"{len(found) // 2} boundaries, {len(todo)} runs, {options.lanes} lanes, "
            f"ready after {time.monotonic() - began:.0f} s"
        )
        if options.list:
            say("\n".join(map(str, todo)))
            return 0
        await running.run(todo)
        for _ in range(ROUNDS if options.every == 1 else 0):
            await running.run(unmet(todo, running.results))
        for point in unmet(todo, running.results) if options.every == 1 else ():
            say(f"nobody was killed {point.side} {point.service}: {point.name}")
        say(summary(running.results, len(found)))
        say(f"{time.monotonic() - began:.0f} s")
        return int(any(r.broken for r in running.results))


def main() -> int:
    """Sweep; Ctrl-C and SIGTERM end it cleanly."""
    options = arguments()
    try:
        return run_in_folder("crash-sweep-", lambda folder: sweep(options, folder))
    except RuntimeError as error:
        say(f"the sweep could not be: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
