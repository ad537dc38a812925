"""`make fuzz`: ask the API what its document allows, and what it does not.

Schemathesis makes the requests, and holds each answer against the document: no 5xx, no
status, header, type or body that is not in it. First as an admin, then with a key.
Exit status: 0, nothing was found; 1, something was, or too little was asked.
"""

import argparse
import asyncio
import re
import sys
import tempfile
from pathlib import Path

from command_support import say
from fuzz.place import Place, running

CONFIG = Path(__file__).with_name("schemathesis.toml")
OPERATIONS = 60
PHASES = "examples,coverage,fuzzing,stateful"
_CASES = re.compile(r"Test cases:\n\s+(\d+) generated")


async def main() -> int:
    """Ask as each caller, and say what came of it."""
    options = _options()
    cases, found = 0, False
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as place:
            for name, key in (("an admin", place.admin), ("a key", place.key)):
                say(f"as {name}:")
                status, told = await asked(
                    place,
                    key,
                    seed=options.seed,
                    phases=PHASES,
                    each=max(1, options.cases // 2 // OPERATIONS),
                )
                say(told)
                cases += count(told)
                found = found or bool(status)
    say(f"{cases} cases, {'something' if found else 'nothing'} found")
    return int(found or cases < options.cases)


async def asked(
    place: Place, key: str, *, seed: int, phases: str, each: int
) -> tuple[int, str]:
    """Run schemathesis; return its status, and what it says."""
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG]
    command += ["run", f"{place.url}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {key}", "--no-color"]
    command += ["--phases", phases, "--seed", seed, "--max-examples", each]
    command += ["--generation-database", "none", "--request-timeout", 60]
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=place.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    return process.returncode or 0, told.decode()


def count(told: str) -> int:
    """Return how many requests were made."""
    found = _CASES.search(told)
    return int(found[1]) if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=5000, help="at least so many")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
