"""`make chaos`: let a storm pass over the gateway, and judge from outside what is left.

Exit status: 0, everything held; 1, an invariant is broken; 2, the storm could not be.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx

from chaos import breach, evidence, faults, figures, invariants, load, story
from chaos.cluster import Cluster, database
from chaos.invariants import Broken
from chaos.times import Times
from command_support import run_in_folder, say
from contracts.values import TERMINAL

SECONDS_A_KILL, SECONDS_A_TASK, SHORTEST = 25.0, 8.0, 20.0
PROGRESS_SECONDS = 5.0
BACK_SECONDS = 120.0
# Quiet is given up when nothing has moved for so long. Constants of the services that
# no speed divides come into it, as a redelivery after 30 s.
STILL_SECONDS = 60.0
HELD_SECONDS = 20.0  # ... where nothing is left but what waits for a person


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("chaos", description=__doc__)
    parser.add_argument("--tasks", type=int, default=60)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7, help="replays load and schedule")
    parser.add_argument(
        "--speed", type=float, default=10, help="divides all times; 1 is real time"
    )
    parser.add_argument("--seconds", type=float, help="how long it lasts")
    parser.add_argument("--only", default="", help="kinds of faults, comma-separated")
    parser.add_argument("--standby", action="store_true", help="two schedulers")
    parser.add_argument(
        "--first", action="store_true", help="end at a first breach that nothing mends"
    )
    parser.add_argument("--out", type=Path, help="folder for the stories")
    parser.add_argument("--record", type=Path, help="append the figures to this file")
    parser.add_argument("--plan", action="store_true", help="print the schedule only")
    return parser.parse_args()


async def quiet(cluster: Cluster, longest: float) -> bool:
    """Wait until all tasks have ended, no attempt is open and the site rests."""
    began = moved = said = time.monotonic()
    before = ""
    assert cluster.site
    while time.monotonic() - began < longest:
        tasks = database(cluster, "select status, stage from tasks")
        left = [t for t in tasks if t["status"] not in TERMINAL]
        attempts = "select count(*) n from attempts where state != 'ended'"
        open_ = database(cluster, attempts)[0]["n"]
        accounts = (await cluster.site.get("/_sim/accounts")).json()
        running = sum(account["running"] for account in accounts)
        waiting = await _commands(cluster)
        if not left and not open_ and not running and not waiting:
            return True
        stages = Counter(f"{t['status']}/{t['stage']}" for t in left)
        now = f"{len(left)} tasks, {open_} attempts, {running} jobs, {waiting} commands"
        now += "".join(f", {count} {name}" for name, count in stages.most_common())
        if now != before:
            moved, before = time.monotonic(), now
        if time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            say(f"  {said - began:5.0f} s  left: {now}")
        held = all(t["stage"] == "held" for t in left) and not running
        patience = HELD_SECONDS if held and len(left) == open_ else STILL_SECONDS
        if time.monotonic() - moved > patience:
            say(f"  nothing moves for {patience:g} s")
            return False
        await asyncio.sleep(1)
    return False


async def _commands(cluster: Cluster) -> int:
    """Count what is still to be done; a poll is not: it may wait for long."""
    assert cluster.client
    stream = cluster.client.jetstream()
    info = await stream.stream_info("CMD", subjects_filter=">")
    subjects = info.state.subjects or {}
    return sum(not subject.startswith("cmd.poller.") for subject in subjects)


async def progress(cluster: Cluster, storm: faults.Storm, sent: load.Load) -> None:
    """Print now and then how far it is."""
    began = time.monotonic()
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        stats = "no answer"
        with suppress(httpx.HTTPError, ValueError):
            answer = await cluster.api.get("/api/v1/stats", timeout=2)
            found = json.loads(answer.text)
            stats = " ".join(f"{k} {v}" for k, v in found.items() if v)[:120]
        say(
            f"  {time.monotonic() - began:5.0f} s  accepted "
            f"{len(sent.answers.accepted)}, {storm.done.total()} faults; {stats}"
        )


async def run(options: argparse.Namespace, folder: Path) -> int:
    """Let one storm pass; return the exit status."""
    began = time.monotonic()
    times = Times(options.speed)
    shortest = SECONDS_A_KILL * options.kills, SECONDS_A_TASK * options.tasks
    seconds = options.seconds or max(SHORTEST, times.of(max(shortest)))
    cluster = Cluster(folder, times, standby=options.standby)
    names = list(cluster.planned)
    events = faults.plan(options.seed, options.kills, seconds, times, names)
    only = set(filter(None, options.only.split(",")))
    events = [e for e in events if not only or e.kind in only]
    say(
        f"storm of {seconds:.0f} s, seed {options.seed}: {options.tasks} tasks, "
        f"{len(events)} faults, SPEED {options.speed:g}: {times.environment}; "
        f"effects up to {faults.LATE_SECONDS:g} s late and then as long invisible"
    )
    if times.unknown:
        say(f"settings that no service knows yet: {', '.join(times.unknown)}")
    if options.plan:
        say("\n".join(map(str, events)))
        return 0
    if not any(event.kind == "clock" for event in events):
        cluster.clock_library = None
    async with cluster:
        storm = faults.Storm(cluster, events)
        for text in storm.skipped:
            say(f"skipped: {text}")
        sent = load.Load(cluster.api, load.plan(options.seed, options.tasks, seconds))
        try:
            world, broken = await outcome(cluster, storm, sent, first=options.first)
        except Exception:  # not Ctrl-C
            say(f"outputs: {kept(cluster, options.out)}")
            raise
        took = round(time.monotonic() - began)
        found = figures.figures(cluster, world, storm, broken)
        if broken:
            tell(broken, world, storm, kept(cluster, options.out))
        tell_apart(cluster, world)
        if options.record:
            told = {"seed": options.seed, "speed": options.speed, "seconds": took}
            told |= {"standby": options.standby, "only": options.only}
            figures.record(options.record, told, found)
        say(f"seed {options.seed}: {figures.line(found)}, seconds {took}")
        return 1 if broken else 0


def tell_apart(cluster: Cluster, world: evidence.World) -> None:
    """Say what is no breach, and yet somebody may want to know."""
    for task, why in figures.failed_unasked(world).items():
        say(f"failed unasked: {task} {why[:200]}")
    for name in cluster.services:
        if exits := cluster.units[name].own_exits:
            say(f"{name} ended by itself: {exits}")


async def outcome(
    cluster: Cluster, storm: faults.Storm, sent: load.Load, *, first: bool
) -> tuple[evidence.World, list[Broken]]:
    """Return what is left when all is quiet, or at a first breach, and the breaches."""
    whole = asyncio.create_task(_to_the_end(cluster, storm, sent))
    early = asyncio.create_task(breach.first(cluster, sent.answers.accepted))
    try:
        waited = {whole, early} if first else {whole}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if whole.done():
            return whole.result()
        world, broken = early.result()
        return world, [broken]
    finally:
        whole.cancel()
        early.cancel()
        await asyncio.gather(whole, early, return_exceptions=True)


async def _to_the_end(
    cluster: Cluster, storm: faults.Storm, sent: load.Load
) -> tuple[evidence.World, list[Broken]]:
    began = time.monotonic()
    broken = await endure(cluster, storm, sent)
    say(f"calm after {time.monotonic() - began:.0f} s")
    await quiet(cluster, longest=max(300.0, cluster.times.of(1200)))
    world = await evidence.gather(cluster, sent.answers)
    return world, broken + invariants.judge(world)


async def endure(
    cluster: Cluster, storm: faults.Storm, sent: load.Load
) -> list[Broken]:
    """Let storm and load pass, and everything come back."""
    broken = []
    showing = asyncio.create_task(progress(cluster, storm, sent))
    loading = asyncio.create_task(sent.run())
    try:
        try:
            await storm.run()
        finally:
            await storm.calm()
        await asyncio.wait({loading}, timeout=BACK_SECONDS)
        if not loading.done():
            waiting = len(sent.wishes) - len(sent.answers.accepted)
            text = f"after {BACK_SECONDS:g} s of calm {waiting} creates get no answer"
            broken.append(Broken("BACK", text))
            loading.cancel()
        else:
            loading.result()
        await cluster.wait_ready(BACK_SECONDS)
    except RuntimeError as error:
        broken.append(Broken("BACK", str(error)))
    finally:
        showing.cancel()
        loading.cancel()
    return broken


def kept(cluster: Cluster, out: Path | None) -> Path:
    """Copy the outputs to where they stay, and return that folder."""
    folder = out or Path(tempfile.mkdtemp(prefix="chaos-broken-"))
    shutil.copytree(cluster.outputs, folder / "output", dirs_exist_ok=True)
    return folder


def tell(
    broken: list[Broken], world: evidence.World, storm: faults.Storm, folder: Path
) -> None:
    """Write the stories, and name what is broken."""
    for path in story.write(folder / "stories", world, storm, broken):
        say(f"story: {path}")
    for each in broken:
        say(f"BROKEN {each}")


def main() -> int:
    """Run a storm; Ctrl-C and SIGTERM end it cleanly."""
    options = arguments()
    return run_in_folder("chaos-", lambda folder: run(options, folder))


if __name__ == "__main__":
    sys.exit(main())
