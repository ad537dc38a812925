"""Each mutation still fits the tree, and storms end at what nothing mends."""

import pytest

from chaos.breach import lasting
from chaos.evidence import World
from chaos.mutations import MUTATIONS, ROOT

CHANGES = [change for mutation in MUTATIONS for change in mutation.changes]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.file)
def test_what_a_mutation_replaces_stands_there_once(change):
    text = (ROOT / change.file).read_text()
    assert text.count(change.old) == 1
    compile(text.replace(change.old, change.new), change.file, "exec")


@pytest.mark.parametrize(("charges", "broken"), [(0, set()), (1, set()), (2, {"I2"})])
def test_a_task_under_way_breaks_nothing_until_it_is_paid_twice(charges, broken):
    world = World(
        rows={"t1": {"status": "submitting", "stage": "unknown"}},
        attempts=[{"task": "t1", "submit_id": "s1", "state": "permitted"}],
        ledger={"s1": {"charges": [{}] * charges, "refunds": []}},
    )
    assert {each.invariant for each in lasting(world)} == broken
