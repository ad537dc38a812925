"""`make power-loss`: cut the power again and again; nothing promised may be missing.

Exit status: 0, nothing was lost, and the negative control lost something; 1 otherwise;
2, power cannot be cut here.
"""

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from chaos import evidence, invariants, processes
from command_support import say
from contracts.values import TERMINAL
from power_loss import missing
from power_loss.clients import ask_on
from power_loss.disk import Habits
from power_loss.machine import CAP, CannotStartError, Machine
from power_loss.witness import Witness

CUTS_A_LIFE = 17
# Not "by folder": nats-server syncs no folder, and relies on what file systems do.
DISKS = (Habits("with file"), Habits("at once"), Habits("at once", early=0.5))
CONTROL_CUTS = 3
SHOWN = 40
READY_SECONDS = 90.0
QUIET_SECONDS = 150.0


@dataclass(frozen=True)
class Cut:
    """One cut, decided before: on which disk, and when."""

    number: int
    habits: Habits
    while_starting: bool
    seconds: float
    """After the start was begun, or after it was ready."""

    @property
    def disk(self) -> str:
        """The disk's habits in a word."""
        early = f", {self.habits.early:.0%} of bytes early" * bool(self.habits.early)
        return f"names {self.habits.names}{early}"


@dataclass
class Tally:
    """What came out of some cuts."""

    cuts: int = 0
    while_starting: int = 0
    tasks: int = 0
    events: int = 0
    films: int = 0
    charges: int = 0
    mounts: int = 0
    sound: int = 0
    lost: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"cuts {self.cuts} ({self.while_starting} while starting), acknowledged: "
            f"tasks {self.tasks}, events {self.events}, films {self.films}; charges "
            f"{self.charges}; integrity ok {self.sound}/{self.mounts}; "
            f"lost {len(self.lost)}"
        )


def plan(seed: int, cuts: int) -> list[Cut]:
    """Return the cuts of a run: the same for the same seed."""
    rng = random.Random(f"cuts {seed}")  # noqa: S311 - a schedule
    return [_cut(rng, number) for number in range(cuts)]


def _cut(rng: random.Random, number: int) -> Cut:
    first = number % CUTS_A_LIFE == 0
    starting = first or rng.random() < 0.2
    habits = replace(rng.choice(DISKS), seed=rng.randrange(1 << 30))
    return Cut(
        number=number,
        habits=habits,
        while_starting=starting,
        seconds=rng.uniform(0.1, 2.5) if starting else rng.uniform(0.5, 3.0),
    )


def lives(cuts: list[Cut]) -> Iterator[list[Cut]]:
    """Share the cuts out among data folders, each from its first start on."""
    for begin in range(0, len(cuts), CUTS_A_LIFE):
        yield cuts[begin : begin + CUTS_A_LIFE]


async def live(folder: Path, cuts: list[Cut], tally: Tally, *, weak: bool) -> None:
    """Cut one machine's power as planned, compare each time, then let it finish."""
    async with Machine(folder, weak=weak) as machine:
        witness = Witness(machine)
        rng = random.Random(cuts[0].habits.seed)  # noqa: S311 - a load
        asking = asyncio.create_task(ask_on(machine, witness.promised, rng))
        try:
            for cut in cuts:
                await suffer(machine, witness, cut, tally)
                if asking.done():
                    asking.result()
                if tally.lost and not weak:
                    break
        except CannotStartError as error:
            tally.lost.append(f"it does not start any more: {error}")
        finally:
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
        count(witness, tally)
        if not weak and not tally.lost:
            await finish(machine, witness, tally)


async def suffer(machine: Machine, witness: Witness, cut: Cut, tally: Tally) -> None:
    """Start the machine, compare, let it work, and cut its power."""
    before, began = len(tally.lost), time.monotonic()
    await machine.mount_disk(cut.habits)
    tally.mounts += 1
    if (found := machine.integrity()) != "ok":
        tally.lost.append(f"the database: {found}")
    else:
        tally.sound += 1
    await machine.boot()
    if not cut.while_starting:
        await machine.ready(READY_SECONDS)
        tally.lost += await witness.compare()
    looking = asyncio.create_task(
        asyncio.sleep(cut.seconds) if cut.while_starting else witness.look()
    )
    machine.may_be_asked.set()
    await asyncio.sleep(cut.seconds)
    await machine.cut()
    machine.may_be_asked.clear()
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking
    tally.cuts += 1
    tally.while_starting += cut.while_starting
    when = "starting" if cut.while_starting else "working"
    told = witness.promised
    say(
        f"  cut {cut.number + 1}: {cut.disk}; {cut.seconds:.2f} s {when}; so far "
        f"told of {len(told.answers.accepted)} tasks and {len(told.events)} events "
        f"({time.monotonic() - began:.1f} s)"
        + "".join(f"\n    LOST {line}" for line in tally.lost[before:][:5])
    )


def count(witness: Witness, tally: Tally) -> None:
    """Add what was promised in one life."""
    told = witness.promised
    tally.tasks += len(told.answers.accepted)
    tally.events += len(told.events)
    tally.films += sum(bool(seen.films) for seen in told.tasks.values())


async def finish(machine: Machine, witness: Witness, tally: Tally) -> None:
    """Start a last time, let everything end, and judge the whole."""
    await machine.mount_disk(DISKS[0])
    await machine.boot()
    await machine.ready(READY_SECONDS)
    tally.lost += await witness.compare()
    began = time.monotonic()
    while left := await unended(machine):
        if time.monotonic() - began > QUIET_SECONDS:
            tally.lost.append(f"after {QUIET_SECONDS:g} s of calm: {left}")
            break
        await asyncio.sleep(0.5)
    say(f"  calm after {time.monotonic() - began:.0f} s")
    world = await evidence.gather(machine, witness.promised.answers)
    tally.charges += sum(invariants.charges(world, task) for task in world.rows)
    world.cap = CAP
    broken = invariants.judge(world)
    tally.lost += [str(each) for each in broken if not will_be_swept(each)]
    tally.lost += await witness.compare(all_films=True)


def will_be_swept(broken: invariants.Broken) -> bool:
    """Whether a write left it that nobody was told of; the services remove it later."""
    return "unfinished file" in broken.text and broken.text.endswith(".part")


async def unended(machine: Machine) -> str:
    """Say what is still going on; nothing when all is quiet."""
    ended = ", ".join(f"'{status}'" for status in TERMINAL)
    tasks = f"select id, status, stage from tasks where status not in ({ended})"  # noqa: S608
    left = evidence.database(machine, tasks)
    attempts = "select task, state from attempts where state != 'ended'"
    open_ = evidence.database(machine, attempts)
    assert machine.client
    stream = machine.client.jetstream()
    pattern = "cmd.scheduler.create.>"
    waiting = (await stream.stream_info("CMD", subjects_filter=pattern)).state.subjects
    found = f"tasks {left[:3]}, attempts {open_[:3]}, creates {list(waiting or {})[:3]}"
    return found if left or open_ or waiting else ""


async def run(cuts: list[Cut], folder: Path, name: str, *, weak: bool) -> Tally:
    """Let one machine after the other live through its cuts."""
    tally = Tally()
    for number, each in enumerate(lives(cuts), 1):
        await live(folder / f"{name}-{number}", each, tally, weak=weak)
        if tally.lost:
            break
    return tally


def main() -> int:
    """Cut, and tell; Ctrl-C and SIGTERM end it cleanly."""
    parser = argparse.ArgumentParser("power_loss", description=__doc__)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1, help="replays the schedule")
    parser.add_argument("--only-control", action="store_true")
    options = parser.parse_args()
    if why := missing.why_not():
        say(f"power cannot be cut here: {why}")
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="power-loss-"))
    try:
        status = asyncio.run(judge(options, folder))
    except KeyboardInterrupt:
        say("ended early")
        status = 130
    if status in {0, 130}:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        say(f"outputs: {folder}")
    return status


async def judge(options: argparse.Namespace, folder: Path) -> int:
    """Run the real thing and its control; return the exit status."""
    began = time.monotonic()
    processes.adopt_orphans()
    cuts = plan(options.seed, options.cuts)
    real = Tally()
    if not options.only_control:
        say(f"seed {options.seed}: {len(cuts)} cuts")
        real = await run(cuts, folder, "real", weak=False)
    say("negative control: synchronous=NORMAL, JetStream's default sync_interval")
    tamed = [each for each in cuts if not each.while_starting][:CONTROL_CUTS]
    control = await run(tamed, folder, "control", weak=True)
    say(f"seed {options.seed}: {real}, seconds {time.monotonic() - began:.0f}")
    say(f"control: {control}")
    for line in real.lost[:SHOWN]:
        say(f"LOST {line}")
    if not control.lost:
        say("the control lost nothing: this run proves nothing")
    return 1 if real.lost or not control.lost else 0


if __name__ == "__main__":
    sys.exit(main())
