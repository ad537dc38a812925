"""A client is shown each change once, however snapshot, replay and live overlap."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway_http.live import newer
from gateway_http.live.newer import Newer


@dataclass(frozen=True)
class Happening:
    sequence: int
    task: str | None
    revision: int | None


@st.composite
def logs(draw):
    """Draw a log: tasks go on step by step, and some steps are told again later."""
    steps = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=40))
    found, last = [], dict.fromkeys("abc", 0)
    sequence = 0
    for task in steps:
        sequence += draw(st.integers(1, 3))  # others' messages lie between
        again = last[task] and draw(st.integers(0, 5)) == 0
        if not again:
            last[task] += 1
        revision = draw(st.integers(1, last[task])) if again else last[task]
        found.append(Happening(sequence, task, revision))
    return found


def state_after(log, sequence):
    """Return the newest revision of each task up to a place."""
    found = {}
    for each in log:
        if each.sequence <= sequence:
            found[each.task] = max(found.get(each.task, 0), each.revision)
    return found


def shown(reader, happenings):
    return [each for each in happenings if reader.passes(each)]


@given(logs(), st.data())
def test_snapshot_replay_and_live_make_each_change_once(log, data):
    end = log[-1].sequence
    place = data.draw(st.integers(0, end), label="position when it began")
    ahead = data.draw(st.integers(place, end), label="what the snapshot knew")
    joined = data.draw(st.integers(place, end), label="where it joined")
    overlap = data.draw(st.integers(0, joined), label="from where live reaches back")
    snapshot = state_after(log, ahead)
    reader = Newer(place, snapshot)
    replayed = [e for e in log if place < e.sequence <= joined]
    live = [e for e in log if e.sequence > overlap]

    found = shown(reader, replayed) + shown(reader, live)

    ids = [each.sequence for each in found]
    assert ids == sorted(set(ids))
    for task in "abc":
        known = snapshot.get(task, 0)
        wanted = list(range(known + 1, state_after(log, end).get(task, 0) + 1))
        assert [e.revision for e in found if e.task == task] == wanted


@given(logs(), st.data())
def test_who_breaks_off_and_comes_again_misses_nothing(log, data):
    end = log[-1].sequence
    mine = [each for each in log if each.task == "a"]
    reader, found, last = Newer(0, {"a": 0}), [], 0
    while last < end:
        until = data.draw(st.integers(last + 1, end), label="where it breaks off")
        new = shown(reader, [e for e in mine if last < e.sequence <= until])
        found += new
        if new:  # it comes again with the last id, which says what it was shown
            reader = Newer(new[-1].sequence, {"a": new[-1].revision})
        last = until
    revisions = [each.revision for each in found]
    assert revisions == list(range(1, state_after(log, end).get("a", 0) + 1))


def test_what_has_no_revision_goes_by_its_place():
    reader = Newer(5)
    accounts = [Happening(n, None, None) for n in (4, 5, 6, 6, 7)]
    assert [each.sequence for each in shown(reader, accounts)] == [6, 7]


def test_only_the_tasks_that_changed_last_are_remembered():
    reader = Newer()
    for n in range(1, newer.MOST_TASKS + 10):
        assert reader.passes(Happening(n, f"t{n}", 1))
    assert len(reader._revisions) == newer.MOST_TASKS
