"""The whole story of a task, for who has to find out why an invariant broke."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaos.evidence import World
from chaos.faults import Storm
from chaos.invariants import Broken


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
