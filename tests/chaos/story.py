"""The whole story of a task, for who has to find out why an invariant broke."""

import json
import re
from collections import Counter
from collections.abc import Sequence
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


def write(
    folder: Path, world: World, storm: Storm, broken: Sequence[Broken]
) -> list[Path]:
    """Write one file for each task that broke something, one for the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for task in sorted({each.task for each in broken if each.task}):
        path = folder / f"{task}.txt"
        path.write_text(_story(world, task, [b for b in broken if b.task == task]))
        written.append(path)
    path = folder / "storm.txt"
    happened = [f"{at:.2f}  {text}" for at, text in storm.log]
    others = [str(each) for each in broken if not each.task]
    path.write_text("\n".join([*others, "", "what went wrong, and when", *happened]))
    return [*written, path]


def _story(world: World, task: str, broken: Sequence[Broken]) -> str:
    attempts = world.attempts_of(task)
    submits = {a["submit_id"]: world.ledger.get(a["submit_id"]) for a in attempts}
    files = [key for key in world.files if key.startswith(task)]
    parts = [
        ("broken", [str(each) for each in broken]),
        ("asked of the site", [world.accepted.get(task, "never answered 201")]),
        ("row", [_line(world.rows.get(task))]),
        ("events, in EVT's order", [_line(e) for e in world.events.get(task, [])]),
        ("attempts", [_line(a) for a in attempts]),
        ("ledger", [f"{s}: {_line(entry)}" for s, entry in submits.items()]),
        ("files", files),
    ]
    return "\n".join(
        line for head, lines in parts for line in (f"# {head}", *lines, "")
    )


def _line(found: Any) -> str:
    return json.dumps(found, ensure_ascii=False, default=str)[:4000]


def figures(
    cluster: Cluster, world: World, storm: Storm, broken: Sequence[Broken]
) -> str:
    """Return the figures of a storm, without its length, as one line."""
    statuses = Counter(row["status"] for row in world.rows.values())
    counts = {
        "tasks": len(world.accepted),
        "kills": _kinds(storm, "kill"),
        "stops": _kinds(storm, "stop"),
        "others": _kinds(storm, *OTHERS),
        "succeeded": statuses["succeeded"],
        "failed": f"{statuses['failed']} ({len(failed_unasked(world))} unasked)",
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
        "recovery": _recovery(cluster),
        "broken": len(broken),
    }
    return ", ".join(f"{name} {value}" for name, value in counts.items())


def failed_unasked(world: World) -> dict[str, str]:
    """Return why tasks failed that the site was not told to fail."""
    return {
        task: f"{row['error_kind']}: {row['error_message']}"
        for task, row in world.rows.items()
        if row["status"] == "failed" and world.accepted.get(task) != "fail"
    }


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


def _kinds(storm: Storm, *kinds: str) -> str:
    found: Counter[str] = Counter()
    for name, count in storm.done.items():
        kind, _, target = name.partition(" ")
        if kind in kinds:
            found[target if len(kinds) == 1 else kind] += count
    each = " ".join(f"{name} {count}" for name, count in sorted(found.items()))
    return f"{found.total()} ({each})" if found else "0"


def _recovery(cluster: Cluster) -> str:
    """Median and p99 in seconds from the kill to the next heartbeat, per service."""
    found = []
    for name in ("nats", *cluster.services):
        if times := sorted(cluster.units[name].recovered):
            p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
            found.append(f"{name} {median(times):.1f}/{p99:.1f}")
    return f"({' '.join(found)} s)" if found else "(none)"
