"""Who goes next."""

from datetime import UTC, datetime, timedelta

from contracts.sessions import ClosedModel
from jimeng import find_model
from scheduler.domain.dispatch import Waiting, dispatch, rank
from scheduler.domain.rows import Session

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
MODEL = find_model("jimeng-video-3.0")


def waiting(name, priority=5, age=0, owner=None, model=MODEL):
    at = NOW - timedelta(seconds=age)
    return Waiting(name, owner, rank(priority, at), at, model, "waiting")


def session(name, state="active", **more):
    return Session(name, name, state, **more)


def plan(tasks, sessions, room=99, running=None, limits=None):
    return dispatch(tasks, sessions, running or {}, room, NOW, limits=limits)


def pairs(*args, **more):
    return plan(*args, **more).pairs


def test_the_least_recently_used_session_goes_first():
    old = session("old", last_used_at=NOW - timedelta(hours=1))
    new = session("new", last_used_at=NOW)
    assert pairs([waiting("a")], [new, old]) == (("a", "old"),)
    assert pairs([waiting("a")], [new, session("never")]) == (("a", "never"),)


def test_a_full_session_takes_no_more():
    full = session("full", max_active=2, active=2)
    assert pairs([waiting("a")], [full]) == ()
    half = session("half", max_active=2, active=1)
    assert pairs([waiting("a"), waiting("b")], [half]) == (("a", "half"),)


def test_higher_priority_goes_first_then_the_older_task():
    one = session("s", max_active=1)
    tasks = [
        waiting("old", 5, age=9),
        waiting("urgent", 9),
        waiting("older", 5, age=99),
    ]
    assert pairs(tasks, [one]) == (("urgent", "s"),)
    assert pairs([tasks[0], tasks[2]], [one]) == (("older", "s"),)


def test_an_owner_at_its_limit_waits_and_says_so_while_others_go():
    mine = [waiting(n, owner="me", age=9) for n in "abc"]
    theirs = [waiting("d", owner="they"), waiting("e")]
    found = plan(
        [*mine, *theirs],
        [session("s", max_active=9)],
        running={"me": 1},
        limits={"me": 2, "they": 1},
    )
    assert [task for task, _ in found.pairs] == ["d", "e", "a"]
    assert found.stages == (("b", "owner_limit"), ("c", "owner_limit"))
    over = plan(mine, [session("s")], running={"me": 5}, limits={"me": 2})
    assert over.pairs == ()
    assert len(over.stages) == 3


def test_a_task_that_no_session_can_take_says_that_first():
    found = plan([waiting("a", owner="me")], [], running={"me": 1}, limits={"me": 1})
    assert found.stages == (("a", "no_session"),)


def test_the_pool_wide_cap_is_kept():
    assert len(pairs([waiting("a"), waiting("b")], [session("s")], room=1)) == 1


def test_a_session_of_another_region_or_with_the_model_closed_is_not_used():
    asia = waiting("a", model=find_model("jimeng-video-veo3"))
    assert plan([asia], [session("cn")]).stages == (("a", "no_session"),)
    closed = session(
        "s", closed_models=(ClosedModel(model=MODEL.key, reason="3021", since=NOW),)
    )
    assert pairs([waiting("a")], [closed]) == ()


def test_a_cooled_session_comes_back_with_one_task():
    cooled = session("s", "cooling", until=NOW - timedelta(seconds=1))
    assert pairs([waiting("a"), waiting("b")], [cooled]) == (("a", "s"),)
    cooling = session("s", "cooling", until=NOW + timedelta(seconds=1))
    assert pairs([waiting("a")], [cooling]) == ()


def test_owners_share_and_nobody_waits_for_ever():
    many = [waiting(f"a{n}", age=100 - n, owner="a") for n in range(4)]
    few = [waiting(f"b{n}", age=10 - n, owner="b") for n in range(2)]
    four = session("s", max_active=4)
    assert [t for t, _ in pairs([*many, *few], [four])] == ["a0", "b0", "a1", "b1"]
    got = pairs([*many, *few], [four], room=1, running={"a": 1, "b": 0})
    assert got == (("b0", "s"),)
    # a priority is an hour's start: six hours of waiting outweigh four steps
    old = waiting("old", priority=5, age=6 * 3600)
    assert pairs([old, waiting("urgent", 9)], [four], room=1) == (("old", "s"),)


def test_many_who_cannot_go_do_not_hide_one_who_can():
    asia = find_model("jimeng-video-veo3")
    stuck = [waiting(f"x{n}", 9, age=n, model=asia) for n in range(300)]
    assert pairs([*stuck, waiting("a", 0)], [session("s")]) == (("a", "s"),)
