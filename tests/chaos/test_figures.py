import json

import reliability
from chaos.figures import line, record

FIGURES = {
    "tasks": 500,
    "kills": {"signer": 3, "nats": 2},
    "stops": {},
    "others": {"net": 4},
    "charges": 450,
    "through unknown": 60,
    "resends": 9,
    "stale refused": 70,
    "doubles": 0,
    "lost": 0,
    "held": 1,
    "leaked slots": 0,
    "orphan files": 0,
    "recovery": {"nats": [0.1, 0.2, 0.9]},
    "take-over": {"the lease": [1.1, 1.4, 2.0]},
    "broken": 0,
}


def test_a_line_has_totals_and_what_they_are_made_of():
    assert line(FIGURES).startswith("tasks 500, kills 5 (nats 2 signer 3), stops 0, ")
    assert "recovery (nats 0.2/0.9 s)" in line(FIGURES)


def test_records_become_a_table_and_bounds(tmp_path):
    run = {"seed": 7, "speed": 10.0, "seconds": 600}
    for _ in range(2):
        record(tmp_path / "storms.jsonl", run, FIGURES)
    storms = (tmp_path / "storms.jsonl").read_text().splitlines()

    lines = reliability.section([json.loads(storm) for storm in storms])

    row = "| 7 | 10 | 500 | 5 | 0 | 4 | 60 | 9 | 70 | 0 | 0 | 1 | 0 | 0 | 0 | 600 |"
    assert lines.count(row) == 2
    none = "none in 1,000, so fewer than 3 in 1,000 at 95 %"
    assert f"- an accepted task is lost: {none}" in lines
    assert "- an unknown submit stays held: 2 times in 120" in lines
    assert "| nats | 6 | 0.2 s | 0.9 s |" in lines
    assert "| the lease of 1 s taken over | 6 | 1.4 s | 2.0 s |" in lines
