"""How often a command was begun, and for how many commands that is known."""

from downloader.runs import KEPT, Runs


def test_a_run_that_could_do_nothing_does_not_count():
    runs = Runs()
    assert [runs.begun("t1-1"), runs.begun("t1-1")] == [1, 2]
    runs.uncounted("t1-1")
    assert runs.begun("t1-1") == 2
    runs.ended("t1-1")
    runs.ended("t1-1")
    assert runs.begun("t1-1") == 1


def test_only_the_commands_begun_last_are_known():
    runs = Runs()
    for n in range(3 * KEPT):
        runs.begun(f"t{n}-1")
        assert runs.begun("again") == n + 1
    runs.uncounted("t0-1")
    runs.ended("t1-1")
    assert len(runs._begun) == KEPT
