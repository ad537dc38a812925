"""Write what storms came to into docs/reliability.md, from the records they left.

`make chaos CHAOS="--record docs/storms.jsonl"` appends a record; `make reliability`
puts all of them, and what follows from their sum, between the marks in the document.
"""

import json
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median
from typing import Any

LEASE_SECONDS = 10.0  # at SPEED 1
RECORDS = Path("docs/storms.jsonl")
DOCUMENT = Path("docs/reliability.md")
BEGIN, END = "<!-- storms: made by `make reliability` -->", "<!-- /storms -->"
ZEROES = (
    ("lost", "tasks", "an accepted task is lost"),
    ("doubles", "charges", "a charge is a second one"),
    ("held", "through unknown", "an unknown submit stays held"),
    ("leaked slots", "tasks", "a task leaks its slot"),
    ("orphan files", "tasks", "a task leaves a file without a row"),
)
COUNTS = ("through unknown", "resends", "stale refused", *(name for name, *_ in ZEROES))


def main() -> None:
    """Replace what stands between the marks."""
    storms = [json.loads(line) for line in RECORDS.read_text().splitlines()]
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    text = "\n".join([BEGIN, "", *section(storms), "", END])
    DOCUMENT.write_text(f"{before}{text}{after}")


def section(storms: list[dict[str, Any]]) -> list[str]:
    """Return the lines about some storms, each a record of `make chaos`."""
    heads = ("seed", "SPEED", "tasks", "kills", "stops", "other faults", *COUNTS)
    lines = [_row([*heads, "broken", "s"]), _row(["---"] * (len(heads) + 2))]
    for storm in storms:
        run, found = storm["run"], storm["figures"]
        totals = [sum(found[name].values()) for name in ("kills", "stops", "others")]
        counts = [found[name] for name in (*COUNTS, "broken")]
        head = [run["seed"], f"{run['speed']:g}", found["tasks"], *totals]
        lines.append(_row([*head, *counts, run["seconds"]]))
    return [*lines, "", *bounds(storms), "", *recovery(storms)]


def bounds(storms: list[dict[str, Any]]) -> list[str]:
    """Say how seldom each failure is at least, where there was none."""
    sums: Counter[str] = Counter()
    for storm in storms:
        found = storm["figures"].items()
        sums.update({name: n for name, n in found if isinstance(n, int)})
    lines = ["All of them together:", ""]
    for name, among, text in ZEROES:
        tries, failures = sums[among], sums[name]
        none = f"none in {tries:,}, so fewer than 3 in {tries:,} at 95 %"
        told = f"{failures} times in {tries:,}" if failures else none
        lines.append(f"- {text}: {told}")
    return lines


def recovery(storms: list[dict[str, Any]]) -> list[str]:
    """Say how soon after its death each service was back, and a lease taken."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    for storm in storms:
        for name, seconds in storm["figures"]["recovery"].items():
            times[name] += seconds
        for name, seconds in storm["figures"]["take-over"].items():
            lease = LEASE_SECONDS / storm["run"]["speed"]
            times[f"{name} of {lease:g} s taken over"] += seconds
    lines = [_row(["recovery", "deaths", "median", "p99"]), _row(["---"] * 4)]
    for name, seconds in sorted(times.items()):
        seconds.sort()
        p99 = seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]
        each = [name, len(seconds), f"{median(seconds):.1f} s", f"{p99:.1f} s"]
        lines.append(_row(each))
    return lines


def _row(cells: list[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
