"""What each fact means: the path, its accidents, and that late facts change nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts import tasks as said
from contracts.errors import ErrorCode
from contracts.values import Belonging, FileRef, Item, Job, ResultRef, Terms
from jimeng.errors import SessionEffect
from scheduler.domain.life import advance
from scheduler.domain.rows import Attempt, Task
from scheduler.domain.steps import (
    Adopted,
    CancelAsked,
    Due,
    Limits,
    PermitAsked,
    Reserved,
    ResolveAsked,
    Step,
)
from scheduler.domain.verbs import adopting

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LIMITS = Limits(max_poll=timedelta(hours=24), settle_rounds=3)
IMAGE = FileRef(
    key="t/0", name="a.png", kind="image", mime="image/png", size=1, sha256=""
)
ITEM = Item(id="i", urls=("http://127.0.0.1/v.mp4",))
RESULT = ResultRef(index=0, key="t/r", mime="video/mp4", size=1, sha256="0")
ONE = {"task": "t", "attempt": 1}


def job(**changes):
    fields = {
        "model": "jimeng-video-3.0",
        "prompt": "a fox",
        "duration": 5,
        "ratio": "16:9",
    }
    return Job(**(fields | changes))


def task(**changes):
    return Task("t", Belonging(), job(), NOW, **changes)


def attempt(**changes):
    return Attempt("t", 1, "s", "submit", NOW, **changes)


def run(*events, start=None, attempt_=None, limits=LIMITS, now=NOW):
    step = Step(start or task(), attempt_)
    for event in events:
        step = advance(step.task, step.attempt, event, now, limits)
    return step


def then(step, *events):
    for event in events:
        step = advance(step.task, step.attempt, event, NOW, LIMITS)
    return step


def settled(step):
    """As many absent answers as settle it."""
    first = step.attempt.since_round + 1
    rounds = range(first, first + LIMITS.settle_rounds)
    return then(step, *(said.Absent(**ONE, n=n) for n in rounds))


RESERVED = Reserved(attempt())
PERMIT = PermitAsked(1, 1, "nonce", "hash")
SUBMITTED = said.Submitted(**ONE, n=1, upstream_id="7897")
UNKNOWN = said.Unknown(**ONE, n=1, detail="reset")
PROGRESSED = said.Progressed(**ONE, n=1, stage="generating", queue_position=4)
GENERATED = said.Generated(**ONE, n=2, items=(ITEM,))
STORED = said.Stored(**ONE, results=(RESULT,))
ABSENT = [said.Absent(**ONE, n=n) for n in range(1, 9)]


def test_a_task_goes_from_queue_to_result_in_order():
    seen = []
    step = Step(task(), None)
    for event in (RESERVED, PERMIT, SUBMITTED, PROGRESSED, GENERATED, STORED):
        step = advance(step.task, step.attempt, event, NOW, LIMITS)
        seen.append((step.task.status, step.task.stage, step.attempt.state))
    assert seen == [
        ("submitting", "preparing", "reserved"),
        ("submitting", "sending", "permitted"),
        ("polling", "upstream_queue", "known"),
        ("polling", "generating", "known"),
        ("downloading", "storing", "ended"),
        ("succeeded", None, "ended"),
    ]
    assert step.task.results == (RESULT,)
    assert step.attempt.charged is True


def test_references_are_uploaded_before_the_submit():
    start = replace(task(), job=job(files=(IMAGE,)))
    step = run(RESERVED, start=start)
    assert isinstance(step.commands[0], said.UploadReferences)
    assert step.commands[0].job == step.task.job
    step = advance(
        step.task,
        step.attempt,
        said.Uploaded(**ONE, materials=({"uri": "u"},)),
        NOW,
        LIMITS,
    )
    assert isinstance(step.commands[0], said.SubmitPlain)
    assert step.commands[0].materials == ({"uri": "u"},)


def test_a_seedance_model_is_submitted_in_the_page_and_others_plainly():
    page = replace(task(), job=job(model="jimeng-video-seedance-2.0", duration=4))
    assert isinstance(run(RESERVED, start=page).commands[0], said.SubmitInPage)
    assert isinstance(run(RESERVED).commands[0], said.SubmitPlain)


def test_polling_begins_with_the_permit_not_with_the_answer():
    assert run(RESERVED, PERMIT).commands == (said.PollSession(session="s"),)


def test_the_poller_may_see_the_job_before_the_signer_says_so():
    step = run(RESERVED, PERMIT, GENERATED, SUBMITTED)
    assert step.task.status == "downloading"


def test_an_unknown_submit_is_followed_when_it_shows_up():
    step = run(RESERVED, PERMIT, UNKNOWN)
    assert step.task.stage == "unknown"
    assert (
        run(RESERVED, PERMIT, UNKNOWN, ABSENT[0], PROGRESSED).task.status == "polling"
    )


def test_an_unknown_submit_that_stays_absent_is_sent_once_more_as_the_same():
    before = run(RESERVED, PERMIT, UNKNOWN, *ABSENT[:2])
    assert before.commands == ()
    step = then(before, ABSENT[2])
    assert (step.task.stage, step.attempt.state) == ("preparing", "permitted")
    (submit,) = step.commands
    assert (submit.send, submit.submit_id) == (2, "submit")
    again = then(step, PermitAsked(1, 2, "other", "hash"))
    assert (again.task.stage, again.attempt.sends) == ("sending", 2)


def test_absent_answers_count_anew_from_each_permit():
    step = run(RESERVED, PERMIT, *ABSENT[:3])
    asked = replace(step.attempt, round=5)  # the poller asked for the fifth time
    step = Step(step.task, asked)
    step = then(step, ABSENT[4], PermitAsked(1, 2, "other", "hash"))
    assert step.attempt.absent == 0
    for late in ABSENT[:5]:  # asked before the second send
        assert then(step, late).attempt.absent == 0
    assert then(step, ABSENT[5]).attempt.absent == 1


def test_no_more_than_max_sends_then_held():
    step = run(RESERVED, PERMIT)
    for send in (2, 3):
        step = settled(step)
        step = then(step, PermitAsked(1, send, "nonce", "hash"))
        assert step.attempt.sends == send
    step = settled(step)
    assert (step.task.stage, step.attempt.sends) == ("held", 3)
    assert settled(step).task.stage == "held"
    assert then(step, PROGRESSED).task.status == "polling"


def test_the_policy_hold_sends_nothing_by_itself():
    limits = replace(LIMITS, on_unknown="hold")
    step = run(RESERVED, PERMIT, *ABSENT[:3], limits=limits)
    assert (step.task.stage, step.attempt.allowed) == ("held", 1)


def test_a_hold_is_ended_by_an_operator():
    limits = replace(LIMITS, on_unknown="hold")
    held = run(RESERVED, PERMIT, *ABSENT[:3], limits=limits)
    resent = then(held, ResolveAsked("resend"))
    assert resent.commands[0].send == 2
    given_up = then(held, ResolveAsked("fail"))
    assert given_up.task.error_code is ErrorCode.SUBMIT_UNKNOWN
    assert (given_up.attempt.state, given_up.attempt.charged) == ("ended", None)
    running = run(RESERVED, PERMIT)
    assert then(running, ResolveAsked("fail")).task == running.task


def test_what_shows_up_while_a_resend_waits_is_followed_and_not_sent_again():
    step = run(RESERVED, PERMIT, *ABSENT[:3], PROGRESSED)
    assert (step.task.status, step.attempt.state) == ("polling", "known")
    late = then(step, PermitAsked(1, 2, "other", "hash"))
    assert (late.task, late.attempt) == (step.task, step.attempt)


def test_an_older_sends_refusal_is_no_news_of_the_newest():
    refused = said.Refused(**ONE, n=1, upstream_code="1019", detail="no")
    step = run(RESERVED, PERMIT, *ABSENT[:3], PermitAsked(1, 2, "other", "hash"))
    assert then(step, refused).attempt == step.attempt
    newest = refused.model_copy(update={"n": 2})
    assert then(step, newest).attempt.state == "ended"


def test_no_permit_on_a_session_that_takes_no_work():
    wish = replace(PERMIT, usable=False)
    step = run(RESERVED, wish)
    assert (step.task.status, step.attempt.charged) == ("queued", False)
    resend = run(RESERVED, PERMIT, *ABSENT[:3])
    step = then(resend, PermitAsked(1, 2, "other", "hash", usable=False))
    assert (step.task.stage, step.attempt.state) == ("unknown", "permitted")
    assert (step.attempt.sends, step.attempt.allowed) == (1, 1)


def test_a_cancelled_submit_is_never_sent_again_and_its_slot_comes_back():
    step = run(RESERVED, PERMIT, UNKNOWN, CancelAsked(), *ABSENT[:3])
    assert step.commands == ()
    assert (step.attempt.state, step.attempt.charged) == ("ended", None)
    waiting = run(RESERVED, PERMIT, *ABSENT[:3], CancelAsked())
    late = then(waiting, PermitAsked(1, 2, "other", "hash"))
    assert late.attempt == waiting.attempt
    assert settled(waiting).attempt.state == "ended"


def test_a_step_is_issued_again_when_its_time_is_over():
    step = run(RESERVED)
    assert step.task.due_at == NOW + LIMITS.submit
    later = NOW + timedelta(minutes=5)
    again = advance(step.task, step.attempt, Due(), later, LIMITS)
    assert again.commands == step.commands
    assert again.task.due_at == later + LIMITS.submit
    permitted = then(step, PERMIT)
    assert permitted.task.due_at is None
    assert then(permitted, Due()).commands == permitted.commands[1:]
    storing = then(permitted, GENERATED)
    assert storing.task.due_at == NOW + LIMITS.store
    (store,) = then(storing, Due()).commands
    assert store.items == (ITEM,)
    assert then(storing, STORED).task.due_at is None


def test_a_task_fails_at_its_own_deadline_wherever_it_waits():
    deadline = NOW + timedelta(seconds=30)
    start = task(terms=Terms(deadline=deadline), due_at=deadline)
    for events, state in (
        ((), None),
        ((RESERVED,), "ended"),
        ((RESERVED, PERMIT), "permitted"),
        ((RESERVED, PERMIT, SUBMITTED), "known"),
    ):
        step = run(*events, start=start)
        assert step.task.due_at == deadline
        early = advance(step.task, step.attempt, Due(), NOW, LIMITS)
        assert early.task.status == step.task.status
        late = advance(step.task, step.attempt, Due(), deadline, LIMITS)
        assert late.task.error_code is ErrorCode.DEADLINE_EXCEEDED
        assert (late.attempt.state if late.attempt else None) == state
    storing = run(RESERVED, PERMIT, GENERATED, start=start)
    step = advance(storing.task, storing.attempt, Due(), deadline, LIMITS)
    assert step.task.status == "downloading"


def test_a_failed_generation_is_bought_again_only_where_the_task_says_so():
    failed = said.GenerationFailed(**ONE, upstream_code="2002", detail="x")
    assert run(RESERVED, PERMIT, failed).task.status == "failed"
    start = task(terms=Terms(buy_again=1))
    step = run(RESERVED, PERMIT, failed, start=start)
    assert (step.task.status, step.task.terms.buy_again) == ("queued", 0)
    banned = failed.model_copy(update={"upstream_code": "2041"})
    assert run(RESERVED, PERMIT, banned, start=start).task.status == "failed"


@pytest.mark.parametrize(
    ("event", "status", "commands"),
    [
        (GENERATED, "downloading", 1),
        (PROGRESSED, "polling", 0),
        (
            said.GenerationFailed(**ONE, upstream_code="2041", detail="x"),
            "queued",
            0,
        ),
    ],
)
def test_a_retry_takes_over_what_its_forerunner_has_at_the_site(
    event, status, commands
):
    paid = attempt(state="ended", sends=2, allowed=2, charged=True, permitted_at=NOW)
    begun = run(Adopted(adopting(task(), paid, NOW)))
    assert begun.commands == (said.PollSession(session="s"),)
    assert (begun.task.status, begun.task.stage) == ("submitting", "unknown")
    step = then(begun, event)
    assert step.task.status == status
    assert len(step.commands) == commands
    if status == "downloading":  # the charge is the forerunner's
        assert step.attempt.charged is False


def test_a_retry_of_what_the_site_has_shown_never_takes_it_for_absent():
    seen = attempt(
        state="ended", sends=1, permitted_at=NOW, upstream_id="7", reason="taken over"
    )
    begun = run(Adopted(adopting(task(), seen, NOW)))
    assert (begun.task.status, begun.attempt.state) == ("polling", "known")
    step = settled(begun)
    assert (step.task.status, step.commands) == ("polling", ())
    assert then(step, GENERATED).task.status == "downloading"


def test_a_retry_whose_forerunner_sent_nothing_that_arrived_buys_anew():
    unsent = attempt(state="ended", sends=1, charged=None, permitted_at=NOW)
    step = settled(run(Adopted(adopting(task(), unsent, NOW))))
    assert (step.task.status, step.attempt.state) == ("queued", "ended")
    assert step.commands == ()


@pytest.mark.parametrize(
    ("code", "status", "effect"),
    [
        ("1019", "queued", SessionEffect.COOL),
        ("1015", "queued", SessionEffect.EXPIRE),
        ("1310", "queued", SessionEffect.LOWER),
        ("1006", "queued", SessionEffect.EXHAUST),
        ("1018", "queued", SessionEffect.BLOCK),
        ("4010", "queued", SessionEffect.CLOSE_MODEL),
        ("2038", "failed", None),
    ],
)
def test_a_refusal_goes_by_its_code(code, status, effect):
    refused = said.Refused(**ONE, n=1, upstream_code=code, detail="no")
    step = run(RESERVED, PERMIT, refused)
    assert step.task.status == status
    assert (step.signal.effect if step.signal else None) == effect
    assert (step.attempt.state, step.attempt.charged) == ("ended", False)


def test_a_job_that_cannot_be_sent_at_all_fails_before_the_permit():
    refused = said.Refused(**ONE, n=1, code=ErrorCode.INVALID_REQUEST, detail="ratio")
    assert run(RESERVED, refused).task.error_code is ErrorCode.INVALID_REQUEST


def test_a_content_refusal_tells_the_sites_code_and_text():
    refused = said.Refused(**ONE, n=1, upstream_code="2038", detail="平台规则")
    failed = run(RESERVED, PERMIT, refused).task
    assert failed.error_code is ErrorCode.CONTENT_REFUSED
    assert failed.error_code.kind == "content_risk"
    assert (failed.upstream_code, failed.error_message) == ("2038", "平台规则 (2038)")


def test_a_task_is_not_tried_for_ever():
    last = attempt(state="permitted", permitted_at=NOW)
    last = replace(last, n=8)
    start = task(status="submitting", attempt=8)
    full = said.Refused(task="t", attempt=8, n=1, upstream_code="1310", detail="")
    assert run(full, start=start, attempt_=last).task.status == "queued"
    refused = said.Refused(task="t", attempt=8, n=1, upstream_code="3020", detail="x")
    step = run(refused, start=start, attempt_=last)
    assert step.task.error_code is ErrorCode.ATTEMPTS_EXHAUSTED


def test_nothing_sent_because_the_site_was_away_is_tried_again_later():
    refused = said.Refused(
        **ONE, n=1, code=ErrorCode.SITE_UNREACHABLE, detail="refused"
    )
    step = run(RESERVED, PERMIT, refused)
    assert step.task.status == "queued"
    assert step.task.not_before > NOW


def test_a_bad_reference_fails_the_whole_task():
    start = replace(task(), job=job(files=(IMAGE,)))
    failed = said.UploadFailed(
        **ONE, code=ErrorCode.REFERENCE_INVALID, detail="not an image"
    )
    step = run(RESERVED, failed, start=start)
    assert step.task.status == "failed"
    assert step.task.error_code is ErrorCode.REFERENCE_INVALID


def test_cancel_before_the_permit_wins_outright():
    step = run(RESERVED, CancelAsked())
    assert (step.task.status, step.attempt.state) == ("cancelled", "ended")
    assert step.attempt.charged is False
    assert run(RESERVED, CancelAsked(), PERMIT).attempt.permitted_at is None


def test_cancel_after_the_permit_follows_the_attempt_to_its_end():
    step = run(RESERVED, PERMIT, CancelAsked())
    assert (step.task.status, step.attempt.state) == ("cancelled", "permitted")
    step = advance(step.task, step.attempt, GENERATED, NOW, LIMITS)
    assert step.commands == ()
    assert (step.attempt.state, step.attempt.charged) == ("ended", True)


def test_what_is_stored_for_an_ended_task_is_thrown_away():
    storing = run(RESERVED, PERMIT, GENERATED)
    late = then(storing, CancelAsked(), STORED)
    assert late.task.status == "cancelled"
    assert late.commands == (said.DeleteFiles(task="t", keys=(RESULT.key,)),)
    assert run(RESERVED, PERMIT, GENERATED, STORED, STORED).commands == ()


@pytest.mark.parametrize(
    "no",
    [
        said.StoreFailed(**ONE, detail="the second of two is gone"),
        said.Died(**ONE, n=1, service="downloader", reason="deadline"),
    ],
)
def test_what_is_stored_of_a_part_is_thrown_away(no):
    discard = (said.DeleteResults(task="t"),)
    storing = run(RESERVED, PERMIT, GENERATED)
    assert then(storing, no).task.status == "failed"
    assert then(storing, no).commands == discard
    late = then(storing, CancelAsked(), no)
    assert (late.task.status, late.commands) == ("cancelled", discard)


def test_cancel_of_a_held_task_gives_its_slot_back():
    limits = replace(LIMITS, on_unknown="hold")
    held = run(RESERVED, PERMIT, UNKNOWN, *ABSENT[:3], limits=limits)
    step = then(held, CancelAsked())
    assert (step.task.status, step.attempt.state) == ("cancelled", "ended")
    assert step.attempt.charged is None


def test_only_a_good_answer_after_the_deadline_times_a_task_out():
    late = NOW + timedelta(hours=25)
    start = run(RESERVED, PERMIT, SUBMITTED)
    step = advance(start.task, start.attempt, PROGRESSED, late, LIMITS)
    assert step.task.error_code is ErrorCode.POLL_TIMEOUT
    assert step.attempt.state == "ended"
    assert run(
        GENERATED, start=start.task, attempt_=start.attempt, now=late
    ).task.status == ("downloading")


def test_a_step_that_died_before_the_permit_is_queued_again():
    died = said.Died(**ONE, n=1, service="signer", reason="deadline")
    assert run(RESERVED, died).task.status == "queued"
    assert run(RESERVED, PERMIT, died).task.stage == "unknown"


def test_facts_of_a_superseded_attempt_change_nothing():
    start = run(RESERVED, PERMIT, SUBMITTED)
    for fact in (GENERATED, PROGRESSED, STORED, UNKNOWN):
        other = fact.model_copy(update={"attempt": 2})
        step = advance(start.task, start.attempt, other, NOW, LIMITS)
        assert (step.task, step.attempt) == (start.task, start.attempt)
