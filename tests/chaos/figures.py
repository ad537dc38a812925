"""What a storm comes to in figures: the last line, and a record for the documents."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from chaos.cluster import Cluster
from chaos.evidence import World
from chaos.faults import Storm
from chaos.invariants import Broken, charges, orphans
from contracts.values import TERMINAL

OTHERS = ("net", "site", "disk", "clock", "full", "again")
UNKNOWN = re.compile(r"\.signer\.(unknown|died)$")

Figure = int | Mapping[str, int] | Mapping[str, list[float]]
"""A count, counts by kind, or seconds by what had to recover."""


def figures(
    cluster: Cluster, world: World, storm: Storm, broken: Sequence[Broken]
) -> dict[str, Figure]:
    """Count what happened, and what is left of it."""
    statuses = Counter(row["status"] for row in world.rows.values())
    units = {name: cluster.units[name] for name in ("nats", *cluster.services)}
    return {
        "tasks": len(world.accepted),
        "kills": _kinds(storm, "kill"),
        "stops": _kinds(storm, "stop"),
        "others": _kinds(storm, *OTHERS),
        "succeeded": statuses["succeeded"],
        "failed": statuses["failed"],
        "of them unasked": len(failed_unasked(world)),
        "cancelled": statuses["cancelled"],
        "charges": sum(charges(world, task) for task in world.rows),
        "doubles": len({b.task or b.text for b in broken if _is_double(b)}),
        "lost": len(world.accepted.keys() - world.rows.keys()),
        "unended": sum(row["status"] not in TERMINAL for row in world.rows.values()),
        "held": sum(row["stage"] == "held" for row in world.rows.values()),
        "leaked slots": sum(a["state"] != "ended" for a in world.attempts),
        "orphan files": sum(_is_orphan(b) for b in broken),
        "files of unanswered creates": len(orphans(world)),
        "through unknown": len(_unknown(world)),
        "resends": sum(max(0, a["sends"] - 1) for a in world.attempts),
        "stale refused": world.stale,
        "dead letters": world.letters,
        "own exits": sum(len(cluster.units[n].own_exits) for n in cluster.services),
        "recovery": {n: sorted(u.recovered) for n, u in units.items() if u.recovered},
        "take-over": {"the lease": sorted(storm.takeovers)} if storm.takeovers else {},
        "broken": len(broken),
    }


def line(found: Mapping[str, Figure]) -> str:
    """Return figures as one line."""
    return ", ".join(f"{name} {_told(figure)}" for name, figure in found.items())


def record(path: Path, run: Mapping[str, Any], found: Mapping[str, Figure]) -> None:
    """Append a storm to a file of JSON lines, from which documents are made."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"run": run, "figures": found}) + "\n")


def failed_unasked(world: World) -> dict[str, str]:
    """Return why tasks failed that the site was not told to fail."""
    return {
        task: f"{row['error_kind']}: {row['error_message']}"
        for task, row in world.rows.items()
        if row["status"] == "failed" and world.accepted.get(task) != "fail"
    }


def p99(times: Sequence[float]) -> float:
    """Return what one in a hundred exceeds."""
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.99))]


def _told(figure: Figure) -> str:
    if isinstance(figure, int):
        return str(figure)
    each = []
    total = 0
    for name, value in sorted(figure.items()):
        if isinstance(value, int):
            total += value
            each.append(f"{name} {value}")
        else:
            each.append(f"{name} {median(value):.1f}/{p99(value):.1f} s")
    return f"{total or ''} ({' '.join(each)})".strip() if each else "0"


def _is_orphan(broken: Broken) -> bool:
    return broken.invariant == "I5" and "missing" not in broken.text


def _is_double(broken: Broken) -> bool:
    return broken.invariant == "I2" and "succeeded with 0" not in broken.text


def _unknown(world: World) -> set[tuple[str, int]]:
    return {
        (task, event["attempt"])
        for task, events in world.events.items()
        for event in events
        if UNKNOWN.search(event["subject"]) or event.get("stage") in {"unknown", "held"}
    }


def _kinds(storm: Storm, *kinds: str) -> dict[str, int]:
    found: Counter[str] = Counter()
    for name, count in storm.done.items():
        kind, _, target = name.partition(" ")
        if kind in kinds:
            found[target if len(kinds) == 1 else kind] += count
    return dict(found)
