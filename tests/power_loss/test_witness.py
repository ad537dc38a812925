"""A seed replays the cuts, and each way to take something back is noticed."""

import pytest

from chaos.invariants import Broken
from power_loss.__main__ import CUTS_A_LIFE, lives, plan, will_be_swept
from power_loss.witness import Seen, taken_back

SUCCEEDED = Seen(5, "succeeded", ("f",))


def row(revision=5, status="succeeded", films=("f",)):
    results = [{"sha256": film} for film in films]
    return {"revision": revision, "status": status, "results": results}


def test_a_seed_replays_the_cuts():
    assert plan(1, 50) == plan(1, 50) != plan(2, 50)
    assert plan(1, 50)[:10] == plan(1, 10)


def test_each_life_begins_with_a_cut_of_its_first_start():
    found = list(lives(plan(1, 50)))
    assert [len(each) for each in found] == [CUTS_A_LIFE, CUTS_A_LIFE, 16]
    assert all(each[0].while_starting for each in found)


def test_what_stands_or_has_gone_on_is_not_taken_back():
    assert list(taken_back("t", SUCCEEDED, row())) == []
    assert list(taken_back("t", Seen(3, "polling"), row())) == []


@pytest.mark.parametrize(
    "now",
    [
        None,
        row(revision=4),
        row(revision=6, status="failed"),
        row(films=("other",)),
        row(films=()),
    ],
)
def test_what_is_taken_back_is_noticed(now):
    assert list(taken_back("t", SUCCEEDED, now))


def test_only_what_is_swept_is_excused():
    assert will_be_swept(Broken("I5", "unfinished file t/.a.part", "t"))
    assert not will_be_swept(Broken("I5", "unfinished file t/.a.draft", "t"))
    assert not will_be_swept(Broken("I5", "file t/a belongs to no row", "t"))
