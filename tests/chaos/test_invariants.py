"""Each checker finds nothing in a sound world, and its own breach in a broken one."""

from base64 import b64encode

import pytest

from chaos.evidence import World, files_below, find_secrets
from chaos.invariants import charges, judge, orphans

FILM = "f" * 64


def event(revision, status, stage=None, *, what=None, task="t1"):
    return {
        "subject": f"evt.task.{task}.scheduler.{what or status}",
        "what": what or status,
        "revision": revision,
        "status": status,
        "stage": stage,
        "attempt": 1,
    }


@pytest.fixture
def world():
    """One task that succeeded, as everything should be."""
    row = {"status": "succeeded", "stage": None, "revision": 3}
    return World(
        accepted={"t1": ""},
        rows={"t1": row},
        events={
            "t1": [
                event(0, "queued", "waiting"),
                {"subject": "evt.task.t1.signer.submitted", "attempt": 1},
                event(1, "polling", "upstream_queue"),
                event(2, "polling", "generating", what="progressed"),
                event(3, "succeeded"),
            ]
        },
        attempts=[{"task": "t1", "n": 1, "submit_id": "s1", "state": "ended"}],
        results=[{"task": "t1", "index": 0, "key": "t1/result-0.mp4", "sha256": FILM}],
        references={"t1/reference-1"},
        files={
            "t1/result-0.mp4": FILM,
            "t1/poster-0.jpg": "b",
            "t1/reference-1": "a",
        },
        served={"t1": FILM},
        ledger={"s1": {"charges": [{}], "refunds": []}},
        accounts=[{"uid": "u", "peak": 2, "running": 0}],
        active={"a1": 0},
    )


def found(world):
    return {(each.invariant, each.task) for each in judge(world)}


def test_a_sound_world_is_sound(world):
    assert judge(world) == []


def test_a_task_that_was_accepted_and_is_gone_is_lost(world):
    world.accepted["t2"] = ""
    assert found(world) == {("I1", "t2")}


def test_a_task_that_has_not_ended_is_found(world):
    world.events["t1"].pop()
    world.rows["t1"] |= {"status": "polling", "stage": "generating", "revision": 2}
    assert ("I1", "t1") in found(world)


def test_a_task_that_ended_twice_is_found(world):
    world.events["t1"].append(event(4, "failed"))
    world.rows["t1"] |= {"status": "failed", "revision": 4}
    texts = [b.text for b in judge(world) if b.invariant == "I1"]
    assert texts == ["ended 2 times: ['succeeded', 'failed']"]


def test_a_row_that_is_not_its_last_event_is_found(world):
    world.rows["t1"]["revision"] = 4
    assert found(world) == {("I1", "t1")}


def test_a_task_that_was_refused_and_exists_is_a_ghost(world):
    world.refused.add("t1")
    assert found(world) == {("I1", "t1")}


def test_a_cancel_that_was_promised_holds(world):
    world.cancelled.add("t1")
    assert found(world) == {("I1", "t1")}


def test_a_submit_charged_twice_is_found_also_when_given_back(world):
    world.ledger["s1"] = {"charges": [{}, {}], "refunds": [{}]}
    assert found(world) == {("I2", "t1")}


def test_two_attempts_that_were_both_paid_are_found(world):
    world.attempts.append({"task": "t1", "n": 2, "submit_id": "s2", "state": "ended"})
    world.ledger["s2"] = {"charges": [{}], "refunds": []}
    assert charges(world, "t1") == 2
    assert found(world) == {("I2", "t1")}
    world.ledger["s2"]["refunds"] = [{}]
    assert judge(world) == []


def test_a_success_nobody_paid_for_is_found(world):
    world.ledger.clear()
    assert found(world) == {("I2", "t1")}


def test_a_charge_without_a_task_is_found(world):
    world.ledger["s9"] = {"charges": [{}], "refunds": []}
    assert found(world) == {("I3", None)}
    world.ledger["s9"] = {"charges": [], "refunds": []}
    assert judge(world) == []


def test_a_charge_of_a_task_that_is_gone_is_found(world):
    world.attempts.append({"task": "t9", "n": 1, "submit_id": "s9", "state": "ended"})
    world.ledger["s9"] = {"charges": [{}], "refunds": []}
    assert found(world) == {("I3", "t9")}


def test_an_open_attempt_is_a_leaked_slot(world):
    world.attempts[0]["state"] = "known"
    assert found(world) == {("I4", "t1")}


@pytest.mark.parametrize(
    "broken",
    [
        {"active": {"a1": 1}},
        {"accounts": [{"uid": "u", "peak": 3, "running": 0}]},
        {"accounts": [{"uid": "u", "peak": 1, "running": 1}]},
    ],
)
def test_a_count_that_is_wrong_is_found(world, broken):
    for name, value in broken.items():
        setattr(world, name, value)
    assert found(world) == {("I4", None)}


@pytest.mark.parametrize(
    "key", ["t1/other.mp4", "t1/poster-1.jpg", "t1/.result-0.part", "t1/.result-0.tag"]
)
def test_a_file_without_a_row_is_found(world, key):
    world.files[key] = "x"
    assert found(world) == {("I5", "t1")}


def test_files_of_an_unanswered_create_are_counted_and_no_breach(world):
    world.files["t7/reference-1"] = "x"
    assert judge(world) == []
    assert orphans(world) == ["t7/reference-1"]


def test_an_unfinished_file_of_an_unanswered_create_is_found(world):
    world.files["t7/.reference-1.part"] = "x"
    assert found(world) == {("I5", "t7")}


def test_one_whose_writer_was_killed_is_only_swept_later(world):
    world.files["t7/.reference-1.part"] = "x"
    world.remains = {"t7/.reference-1.part"}
    assert found(world) == set()


@pytest.mark.parametrize("digest", [None, "e" * 64])
def test_a_row_without_its_file_is_found(world, digest):
    del world.files["t1/result-0.mp4"]
    if digest:
        world.files["t1/result-0.mp4"] = digest
    assert ("I5", "t1") in found(world)


def test_a_reference_that_is_gone_is_found(world):
    del world.files["t1/reference-1"]
    assert found(world) == {("I5", "t1")}


def test_a_film_that_is_not_served_is_found(world):
    world.served["t1"] = "HTTP 404"
    assert found(world) == {("I5", "t1")}


@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_missing_revision_is_found(world, place):
    del world.events["t1"][place]
    assert ("I6", "t1") in found(world)


def test_a_doubled_revision_is_found(world):
    world.events["t1"].insert(2, world.events["t1"][2])
    assert ("I6", "t1") in found(world)


def test_revisions_out_of_order_are_found(world):
    events = world.events["t1"]
    events[2], events[3] = events[3], events[2]
    assert ("I6", "t1") in found(world)


def test_a_change_of_status_told_as_progress_is_found(world):
    world.events["t1"][2]["what"] = "progressed"
    assert found(world) == {("I6", "t1")}


def test_anything_after_the_end_is_found(world):
    world.events["t1"].append(event(4, "succeeded", what="progressed"))
    world.rows["t1"]["revision"] = 4
    assert ("I6", "t1") in found(world)


def test_a_leak_is_found(world):
    world.leaks.append("session 1 in signer.log")
    assert found(world) == {("I7", None)}


@pytest.mark.parametrize("stage", ["unknown", "held"])
def test_what_stays_unknown_is_found(world, stage):
    world.rows["t1"]["stage"] = stage
    assert found(world) == {("I10", "t1")}


SECRET = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "abcd"])
def test_a_secret_is_found_in_the_open_and_in_base64(before):
    text = f"{before}{SECRET} and more"
    places = [("open", text.encode()), ("coded", b64encode(text.encode()))]
    leaks = find_secrets({"it": SECRET}, places)
    assert set(leaks) == {"it in open", "it in coded"}


def test_what_is_masked_is_no_leak():
    assert find_secrets({"it": SECRET}, [("masked", b"0123...cdef")]) == []


def test_files_are_read_with_what_is_hidden(tmp_path):
    (tmp_path / "t1").mkdir()
    (tmp_path / "t1" / ".result.part").write_bytes(b"x")
    assert list(files_below(tmp_path)) == ["t1/.result.part"]
