"""What an answer of the site does to a session: by its code, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.sessions import Credits, SessionChecked
from jimeng.errors import SessionEffect, effect_of
from scheduler.domain import choice, pool
from scheduler.domain.rows import Session
from scheduler.domain.steps import Signal

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 21, 16, 1, tzinfo=UTC)


def session(state="active", **more):
    return Session("s", "mine", state, **more)


def told(code, text="the site's words", model=None):
    return Signal("s", effect_of(code).session, text, model, code)


def apply(session, code, now=NOW, **more):
    return pool.apply(session, told(code, **more), now, 1.0)


def check(outcome="active", **more):
    return SessionChecked(session="s", credential=1, outcome=outcome, **more)


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("1019", "cooling"),
        ("4013", "cooling"),
        ("1021", "cooling"),
        ("-6", "cooling"),
        ("1057", "cooling"),
        ("web_risk_control_message_reject_generation", "cooling"),
        ("1018", "blocked"),
        ("1015", "expired"),
        ("34010105", "expired"),
        ("1006", "exhausted"),
        ("121101", "exhausted"),
        ("1310", "active"),
        ("5001", "active"),
        ("3021", "active"),
        ("4003", "active"),
        ("4010", "active"),
        ("2038", "active"),
        ("1000", "active"),
    ],
)
def test_a_code_leads_to_a_state(code, state):
    busy = session(active=1, max_active=5, credits=Credits(gift=9))
    words = "account_blocked login token risk_control 1018"  # as misleading as can be
    after = apply(busy, code, text=words, model="m")
    assert after.state == state
    if state != "active":
        assert (after.reason, after.code, after.since) == (words, code, NOW)


def test_a_risk_refusal_cools_longer_each_time_and_never_blocks():
    now, state, pauses = NOW, session(), []
    for _ in range(9):
        state = apply(state, "4013", now)
        assert state.state == "cooling"
        pauses.append((state.until - now).total_seconds())
        now = state.until
    assert pauses[:4] == [300, 600, 1200, 2400]
    assert pauses[-1] == pool.COOL_LONGEST_SECONDS


def test_a_pause_is_jittered():
    half = pool.apply(session(), told("1019"), NOW, 0.5)
    assert half.until - NOW == timedelta(seconds=150)


def test_what_a_pause_still_brings_is_no_new_setback():
    cooling = apply(session(), "1019")
    later = apply(cooling, "1019", NOW + timedelta(seconds=9))
    assert (later.until, later.setbacks) == (cooling.until, 1)


def test_an_exhausted_session_whose_probe_is_refused_rests():
    later = NOW + timedelta(hours=1)
    spent = session("exhausted", until=NOW)
    refused = apply(spent, "4013")
    assert (refused.state, refused.setbacks) == ("cooling", 1)
    assert not choice.usable(refused, NOW)
    asleep = session("exhausted", until=later)
    assert apply(asleep, "4013") == replace(asleep, last_error="the site's words")


def test_a_cooled_session_is_proven_by_a_job_sent_after_its_pause():
    cooling = apply(session(), "1019")
    early = pool.accepted(cooling, NOW + timedelta(seconds=9))
    assert (early.state, early.setbacks) == ("cooling", 1)
    after = pool.accepted(cooling, cooling.until)
    assert (after.state, after.setbacks, after.until) == ("active", 0, None)


@pytest.mark.parametrize("state", ["disabled", "draining", "blocked"])
@pytest.mark.parametrize("code", ["1019", "1015", "1006", "1310"])
def test_what_an_operator_decided_stays(state, code):
    after = apply(session(state), code)
    assert (after.state, after.last_error) == (state, "the site's words")
    assert pool.checked(after, check(), NOW).state == state
    assert pool.checked(after, check("expired"), NOW).state == state


def test_an_expired_session_is_not_made_better_by_a_late_refusal():
    assert apply(session("expired"), "1019").state == "expired"
    assert apply(session("exhausted", until=MIDNIGHT), "1019").state == "exhausted"


def test_a_closed_model_closes_only_itself_and_says_why():
    after = apply(session(), "4010", text="confirm it on the site (4010)", model="m")
    again = apply(after, "3021", text="not open (3021)", model="m")
    assert after.state == "active"
    assert [(c.model, c.reason, c.since) for c in after.closed_models] == [
        ("m", "confirm it on the site (4010)", NOW)
    ]
    assert [c.reason for c in again.closed_models] == ["not open (3021)"]


# what the site takes at a time


@pytest.mark.parametrize(
    ("code", "most", "running", "learnt"),
    [
        ("1310", 5, 3, 3),  # three run and a fourth was refused
        ("1310", 2, 1, 1),
        ("1310", 5, 5, 4),  # more are reserved than run: at least one fewer
        ("5001", 5, 2, 2),
        ("1010", 3, 2, 2),
    ],
)
def test_too_many_at_once_is_learnt(code, most, running, learnt):
    after = apply(
        session(max_active=most, active=running, credits=Credits(vip=9)), code
    )
    assert (after.state, after.learnt, choice.limit(after)) == (
        "active",
        learnt,
        learnt,
    )


def test_refusals_of_many_at_once_end_at_what_was_taken():
    state = session(max_active=5)
    for left in (4, 3, 2):
        state = apply(replace(state, active=left), "1310")
    assert state.learnt == 2


def test_where_not_even_one_is_taken_it_rests_a_little():
    after = apply(session(max_active=2, active=0), "1310")
    assert (after.state, after.learnt) == ("cooling", 1)
    assert after.until - NOW == timedelta(seconds=pool.REST_SECONDS)


def test_5001_without_credits_is_no_matter_of_concurrency():
    after = apply(session(active=1, credits=Credits()), "5001")
    assert (after.state, after.learnt, after.until) == ("exhausted", None, MIDNIGHT)


def test_what_was_learnt_is_raised_slowly_and_never_above_what_is_allowed():
    state = session(max_active=3, active=1, learnt=1)
    limits = []
    for _ in range(2 * pool.RAISE_AFTER):
        state = pool.accepted(replace(state, active=state.learnt or 3), NOW)
        limits.append(choice.limit(state))
    assert limits == [1] * 4 + [2] * 5 + [3]
    assert state.learnt is None
    assert pool.accepted(replace(state, active=3), NOW) == replace(state, active=3)


def test_a_job_below_the_limit_teaches_nothing():
    below = session(max_active=5, learnt=3, active=2)
    assert pool.accepted(below, NOW) == below
    failed = replace(below, active=3, streak=4)
    assert apply(failed, "1310").streak == 0


# checks


@pytest.mark.parametrize(
    ("before", "outcome", "credit", "after"),
    [
        ("unchecked", "active", 9, "active"),
        ("expired", "active", 9, "active"),
        ("active", "active", 9, "active"),
        ("active", "expired", None, "expired"),
        ("active", "blocked", None, "blocked"),
        ("active", "wrong_region", None, "expired"),
        ("active", "unreachable", None, "active"),
        ("unchecked", "unreachable", None, "unchecked"),
        ("cooling", "active", 9, "cooling"),  # a valid login is no end of a risk
        ("cooling", "expired", None, "expired"),
    ],
)
def test_a_check_leads_to_a_state(before, outcome, credit, after):
    left = Credits(gift=credit) if credit is not None else None
    event = check(outcome, credits=left, detail="why")
    found = pool.checked(session(before, until=MIDNIGHT), event, NOW)
    assert found.state == after
    assert found.checked_at == (None if outcome == "unreachable" else NOW)


@pytest.mark.parametrize(
    ("code", "credit", "now", "state"),
    [
        ("1006", 0, NOW, "exhausted"),
        ("1006", 60, NOW, "active"),  # somebody bought some
        ("1006", 0, MIDNIGHT, "exhausted"),
        ("1006", 60, MIDNIGHT, "active"),
        ("121101", 60, NOW, "exhausted"),  # credits do not lift a daily limit
        ("121101", 60, MIDNIGHT, "active"),
        ("121101", 0, MIDNIGHT, "active"),
    ],
)
def test_a_check_ends_exhaustion_when_it_is_over(code, credit, now, state):
    exhausted = apply(session(), code)
    assert exhausted.until == MIDNIGHT
    found = pool.checked(exhausted, check(credits=Credits(gift=credit)), now)
    assert found.state == state
    if state == "exhausted":
        assert found.until > now


def test_a_session_found_in_another_region_says_what_to_do():
    remedy = "add it as us-<sessionid>"
    event = check("wrong_region", detail="not logged in", remedy=remedy)
    found = pool.checked(session("unchecked"), event, NOW)
    assert (found.state, found.reason) == ("expired", remedy)
    assert found.last_error == "not logged in"


@pytest.mark.parametrize(
    ("mine", "event", "unsettled", "force", "why"),
    [
        ("7", check(upstream_uid="7"), 3, False, None),
        ("7", check(upstream_uid="8"), 0, False, "another account"),
        ("7", check(upstream_uid="8"), 3, True, None),
        (None, check(), 0, False, None),
        (None, check(), 2, False, "2 tasks"),
        ("7", check(), 1, False, "1 tasks"),
        ("7", check(), 1, True, None),
        ("7", check("expired"), 0, True, "no longer valid"),
        ("7", check("wrong_region", remedy="add it as us-x"), 0, True, "us-x"),
    ],
)
def test_a_new_credential_takes_the_place_of_the_same_accounts(
    mine, event, unsettled, force, why
):
    said = pool.unfit(
        session(upstream_uid=mine), event, unsettled=unsettled, force=force
    )
    assert said == why if why is None else why in said


def test_every_effect_on_a_session_is_decided():
    for effect in SessionEffect:
        after = pool.apply(
            session(active=1), Signal("s", effect, "x", "m", ""), NOW, 1.0
        )
        assert (after != session(active=1, last_error="x")) == (
            effect is not SessionEffect.NONE
        ), effect
