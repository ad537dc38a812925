"""What each fact means: the path, its accidents, and that late facts change nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import tasks as said
from contracts.errors import ErrorCode
from contracts.tasks import Belonging, FileRef, Item, Job, ResultRef
from jimeng.errors import SessionEffect
from scheduler.domain.life import advance
from scheduler.domain.rows import Attempt, Task
from scheduler.domain.steps import (
    CancelAsked,
    Limits,
    PermitAsked,
    Reserved,
    Step,
)
from scheduler.domain.verbs import MAX_ATTEMPTS

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


def test_an_unknown_submit_that_stays_absent_is_held_and_never_sent_again():
    step = run(RESERVED, PERMIT, UNKNOWN, *ABSENT[:3])
    assert (step.task.status, step.task.stage) == ("submitting", "held")
    assert step.attempt.state == "permitted"
    later = advance(step.task, step.attempt, ABSENT[3], NOW, LIMITS)
    assert later.commands == ()
    assert later.task.stage == "held"


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
    refused = said.Refused(**ONE, code=ErrorCode.INVALID_REQUEST, detail="ratio")
    assert run(RESERVED, refused).task.error_code is ErrorCode.INVALID_REQUEST


def test_a_content_refusal_tells_the_sites_code_and_text():
    refused = said.Refused(**ONE, n=1, upstream_code="2038", detail="平台规则")
    failed = run(RESERVED, PERMIT, refused).task
    assert failed.error_code is ErrorCode.CONTENT_REFUSED
    assert failed.error_code.kind == "content_risk"
    assert (failed.upstream_code, failed.error_message) == ("2038", "平台规则 (2038)")


def test_a_task_is_not_tried_for_ever():
    last = attempt(state="permitted", permitted_at=NOW)
    last = replace(last, n=MAX_ATTEMPTS)
    start = task(status="submitting", attempt=MAX_ATTEMPTS)
    full = said.Refused(task="t", attempt=MAX_ATTEMPTS, upstream_code="1310", detail="")
    assert run(full, start=start, attempt_=last).task.status == "queued"
    refused = said.Refused(
        task="t", attempt=MAX_ATTEMPTS, upstream_code="3020", detail="x"
    )
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


def test_cancel_of_a_held_task_gives_its_slot_back():
    step = run(RESERVED, PERMIT, UNKNOWN, *ABSENT[:3], CancelAsked())
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
    died = said.Died(**ONE, service="signer", reason="deadline")
    assert run(RESERVED, died).task.status == "queued"
    assert run(RESERVED, PERMIT, died).task.stage == "unknown"


def test_facts_of_a_superseded_attempt_change_nothing():
    start = run(RESERVED, PERMIT, SUBMITTED)
    for fact in (GENERATED, PROGRESSED, STORED, UNKNOWN):
        other = fact.model_copy(update={"attempt": 2})
        step = advance(start.task, start.attempt, other, NOW, LIMITS)
        assert (step.task, step.attempt) == (start.task, start.attempt)


EVENTS = [
    RESERVED,
    PERMIT,
    SUBMITTED,
    UNKNOWN,
    PROGRESSED,
    GENERATED,
    STORED,
    CancelAsked(),
    *ABSENT,
    said.Uploaded(**ONE, materials=()),
    said.UploadFailed(**ONE, detail="x", code=ErrorCode.REFERENCE_INVALID),
    said.Refused(**ONE, n=1, upstream_code="1019", detail="x"),
    said.Refused(**ONE, n=1, upstream_code="2038", detail="x"),
    said.GenerationFailed(**ONE, upstream_code="2041", detail="x"),
    said.StoreFailed(**ONE, detail="x"),
    said.Died(**ONE, service="signer", reason="x"),
    said.Died(**ONE, service="downloader", reason="x"),
]


@given(st.lists(st.sampled_from(EVENTS), max_size=14))
def test_whatever_the_order_an_end_is_written_once_and_a_slot_freed_once(events):
    step = Step(task(), None)
    sends = 0
    for event in events:
        if event is RESERVED and step.task.status != "queued":
            continue  # the store reserves for queued tasks only
        before = step
        step = advance(step.task, step.attempt, event, NOW, LIMITS)
        if before.task.ended:
            assert step.task == before.task
            assert not any(isinstance(c, said.Submit) for c in step.commands)
        if before.attempt and before.attempt.state == "ended" and event is not RESERVED:
            assert step.attempt == before.attempt
        if step.attempt and step.attempt.permitted_at is None:
            assert step.attempt.state in {"reserved", "ended"}
        sends += sum(isinstance(c, said.Submit) for c in step.commands)
    assert sends <= sum(e is RESERVED for e in events)
