"""What each ending of a send is told as."""

import itertools
from datetime import UTC, datetime

import pytest

import jimeng
from contracts.errors import ErrorCode
from contracts.tasks import Refused, SubmitInPage, Submitted, Unknown
from contracts.values import FileRef, Job
from signer import domain

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ACCOUNT = jimeng.Account.parse("0123456789abcdef0123456789abcdef")


def command(**more):
    job = {"model": "seedance-2.0", "prompt": "a cat", "duration": 5, "ratio": "16:9"}
    given = {"job": Job(**(job | more.pop("job", {})))} | more
    return SubmitInPage(
        task="t1", attempt=2, session="s1", send=3, submit_id="i1", **given
    )


def submission(command):
    ids = map(str, itertools.count())
    return domain.submission_of(command, ACCOUNT, NOW, lambda: next(ids))


def outcome(ending):
    event = domain.outcome(command(), ending)
    assert (event.task, event.attempt, event.n) == ("t1", 2, 3)
    return event


def test_a_taken_submit_is_told_with_the_sites_id_and_answer():
    text = (
        '{"ret":"0","data":{"aigc_data":{"history_record_id":"77","submit_id":"i1",'
        '"status":20}}}'
    )
    said = outcome(jimeng.read_submit(200, text))
    assert isinstance(said, Submitted)
    assert (said.upstream_id, said.answer) == ("77", text)


def test_a_refusal_keeps_the_sites_code_text_and_answer():
    effect = jimeng.effect_of("1006")
    said = outcome(jimeng.Refused("1006", "no credits", effect, "{}"))
    assert isinstance(said, Refused)
    assert (said.code, said.upstream_code) == (None, "1006")
    assert (said.detail, said.answer) == ("no credits", "{}")


def test_a_refusal_without_words_gets_those_of_its_code():
    effect = jimeng.effect_of("1006")
    assert outcome(jimeng.Refused("1006", "", effect, "{}")).detail == effect.text


@pytest.mark.parametrize("error", [jimeng.Unreachable, domain.NotSentError])
def test_what_certainly_did_not_leave_is_a_refusal_without_a_code_of_the_site(error):
    said = outcome(error("nothing was sent"))
    assert isinstance(said, Refused)
    assert said.code is ErrorCode.SITE_UNREACHABLE
    assert said.upstream_code is None


def test_a_job_that_is_none_is_refused_as_such():
    said = outcome(jimeng.InvalidJob("ratio", "none"))
    assert (type(said), said.code) == (Refused, ErrorCode.INVALID_REQUEST)


@pytest.mark.parametrize(
    "ending",
    [jimeng.Unknown("HTTP 502", answer="<html>"), jimeng.NoAnswer("reset")],
)
def test_everything_else_is_unknown(ending):
    assert isinstance(outcome(ending), Unknown)


def test_an_unknown_code_travels_with_the_unknown():
    said = outcome(jimeng.Unknown("unknown code", code="4711", answer="{}"))
    assert (said.upstream_code, said.answer) == ("4711", "{}")


def test_one_command_makes_one_body_and_one_hash():
    one, two = submission(command()), submission(command())
    assert domain.body_hash(one) == domain.body_hash(two)
    assert '"submit_id":"i1"' in one.body


def test_the_uploaded_references_stand_in_the_draft():
    file = FileRef(
        key="k", name="a.png", kind="image", mime="image/png", size=1, sha256="00"
    )
    uploaded = jimeng.Uploaded(kind="image", uri="tos-cn-i/abc", width=64, height=48)
    wanted = command(job={"files": (file,)}, materials=(uploaded.model_dump(),))
    assert "tos-cn-i/abc" in submission(wanted).body


def test_a_fetched_reference_stands_in_the_draft_as_what_it_is():
    file = FileRef(
        key="k", name="a", kind="image", mime="", size=0, sha256="", url="https://a"
    )
    picture = jimeng.Uploaded(kind="image", uri="tos-cn-i/abc", width=64, height=48)
    film = jimeng.Uploaded(kind="video", vid="v0", width=64, height=48, duration_ms=4)
    for material in (picture, film):
        wanted = command(
            job={"files": (file,), "model": "jimeng-video-seedance-2.0"},
            materials=(material.model_dump(),),
        )
        assert (material.uri or material.vid) in submission(wanted).body


def test_references_that_were_not_uploaded_are_never_left_out():
    file = FileRef(
        key="k", name="a", kind="image", mime="", size=0, sha256="", url="https://a"
    )
    with pytest.raises(jimeng.InvalidJob):
        submission(command(job={"files": (file,)}, materials=()))


def test_a_job_the_model_does_not_allow_is_no_submission():
    with pytest.raises(jimeng.InvalidJob, match="duration"):
        submission(command(job={"duration": 99}))
