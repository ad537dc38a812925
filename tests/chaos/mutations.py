"""`make mutations`: take out what guards a promise, and see that a storm notices.

Each mutation is made in a copy of the tree, which is stormed by the faults that aim at
what it takes out; then the tree itself is, by the same. Exit status 1: a mutation was
not noticed, or a storm over the tree as it is broke something.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from command_support import say

ROOT = Path(__file__).parents[2]
PARTS = ("libs", "services", "tests")
LONGEST_SECONDS = 900.0
BROKEN = re.compile(r"^BROKEN (\w+)", re.MULTILINE)
FIGURES = re.compile(
    r"^seed \d+: tasks (\d+), kills (\d+).*?, stops (\d+).*? charges (\d+), "
    r"doubles (\d+).*?, broken (\d+)",
    re.MULTILINE,
)
SENDS = "services/scheduler/scheduler/sends.py"
SENDING = "services/scheduler/scheduler/domain/sending.py"
OUTBOX = "services/scheduler/scheduler/store/outbox.py"
LEASE = "services/scheduler/scheduler/lease.py"
SIGNER = "services/signer/signer/handlers.py"


@dataclass(frozen=True)
class Change:
    """Text in a file that is replaced; it stands there once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutation:
    """What is taken out, and the storm that must notice."""

    name: str
    changes: tuple[Change, ...]
    storm: str


YES_TO_ALL = Change(SENDS, "if granted(step, wish):", "if True:")
ASK_NOBODY = Change(
    SENDING,
    'return Step(submitting(task, "unknown"), attempt)\n\n\ndef absent(',
    "return _once_more(task, attempt)\n\n\ndef absent(",
)
MUTATIONS = (
    Mutation(
        "permit: every asker gets a yes",
        (YES_TO_ALL,),
        "--only midsend --tasks 24 --kills 20 --seed 1 --seconds 30",
    ),
    Mutation(
        "permit: every asker gets a yes, each send is another submit",
        (
            YES_TO_ALL,
            Change(
                SIGNER,
                "            command, account, now(), lambda: str(uuid4())",
                "            command.model_copy(update={'submit_id': str(uuid4())}),\n"
                "            account, now(), lambda: str(uuid4())",
            ),
        ),
        "--only midsend --tasks 24 --kills 20 --seed 1 --seconds 30",
    ),
    Mutation(
        "inbox: facts are taken in as often as they come",
        (Change(OUTBOX, "return done.rowcount == 1", "return True"),),
        "--only again --tasks 40 --kills 20 --seed 2 --seconds 40",
    ),
    Mutation(
        "look-up: an unknown submit is sent again unasked",
        (ASK_NOBODY,),
        "--only none --tasks 12 --kills 0 --seed 3 --seconds 10",
    ),
    Mutation(
        "settle: one absent answer is enough",
        (Change(SENDING, "if attempt.absent < limits.settle_rounds:", "if False:"),),
        "--only none --tasks 12 --kills 0 --seed 3 --seconds 10",
    ),
    Mutation(
        "epoch: a deposed scheduler writes on",
        (Change(LEASE, "if not await lease.holds(db, self._epoch):", "if not lease:"),),
        "--only depose --standby --tasks 40 --kills 40 --seed 4 --seconds 30",
    ),
)


@contextmanager
def copied(changes: tuple[Change, ...]) -> Iterator[Path]:
    """Make the changes in a copy of the tree, which lives as long as the block."""
    with tempfile.TemporaryDirectory(prefix="chaos-mutated-") as folder:
        tree = Path(folder)
        for part in PARTS:
            ignored = shutil.ignore_patterns(".*", "node_modules")
            shutil.copytree(ROOT / part, tree / part, ignore=ignored)
        for change in changes:
            path = tree / change.file
            text = path.read_text()
            if text.count(change.old) != 1:
                raise SystemExit(f"{change.file} has not once: {change.old}")
            path.write_text(text.replace(change.old, change.new))
        yield tree


@dataclass(frozen=True)
class Outcome:
    """How a storm ended."""

    broken: dict[str, int]
    figures: str
    seconds: float
    status: int


def storm(tree: Path, arguments: str) -> Outcome:
    """Storm the services of one tree."""
    began = time.monotonic()
    places = [
        tree / "tests",
        *(tree / "libs").iterdir(),
        *(tree / "services").iterdir(),
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))}
    _must_be_from(tree, environment)
    ran = subprocess.run(
        [sys.executable, "-m", "chaos", "--speed", "10", "--first", *arguments.split()],
        env=environment,
        cwd=tree,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    names = BROKEN.findall(ran.stdout)
    found = FIGURES.search(ran.stdout)
    if found is None:
        say(ran.stdout)
    told = "tasks {}, kills {}, stops {}, charges {}, doubles {}, broken {}"
    return Outcome(
        {name: names.count(name) for name in names},
        told.format(*found.groups()) if found else "no verdict",
        time.monotonic() - began,
        ran.returncode,
    )


def _must_be_from(tree: Path, environment: dict[str, str]) -> None:
    """Make sure that the services run from this tree, not from the installed one."""
    code = "import chaos, scheduler, signer; print(scheduler.__file__, signer.__file__)"
    asked = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tree,
        capture_output=True,
        text=True,
        check=True,
    )
    if any(not path.startswith(str(tree)) for path in asked.stdout.split()):
        raise SystemExit(f"runs from elsewhere: {asked.stdout}")


def row(name: str, outcome: Outcome) -> str:
    """Write a line of the table."""
    broken = " ".join(f"{key} x{count}" for key, count in outcome.broken.items())
    told = f"{outcome.figures} | {outcome.seconds:.0f}"
    return f"| {name} | {broken or 'nothing'} | {told} |"


def main() -> int:
    """Run the mutations asked for; return the exit status."""
    parser = argparse.ArgumentParser("mutations", description=__doc__)
    parser.add_argument("--only", default="", help="those whose names begin so")
    parser.add_argument("--no-control", action="store_true", help="mutations alone")
    options = parser.parse_args()
    chosen = [m for m in MUTATIONS if m.name.startswith(options.only)]
    failed = 0
    say("| mutation | broken | storm | seconds |\n|---|---|---|---|")
    for mutation in chosen:
        with copied(mutation.changes) as tree:
            outcome = storm(tree, mutation.storm)
        say(row(mutation.name, outcome))
        failed += not outcome.broken
    storms = [] if options.no_control else dict.fromkeys(m.storm for m in chosen)
    for arguments in storms:
        with copied(()) as tree:
            outcome = storm(tree, arguments)
        say(row(f"none: {arguments}", outcome))
        failed += outcome.status != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
