"""What a task waits for, in words for people."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.sessions import ClosedModel
from contracts.values import Belonging, Job
from jimeng import find_model
from scheduler.domain.rows import Session, Task
from scheduler.domain.waiting import waiting_for

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
JOB = Job(model="jimeng-video-3.0", prompt="a fox", duration=5, ratio="16:9")
TASK = Task("t", Belonging(), JOB, NOW)
CLOSED = ClosedModel(model=find_model(JOB.model).key, reason="4010", since=NOW)


def session(state="active", **more):
    return Session("s", "mine", state, **more)


@pytest.mark.parametrize(
    ("sessions", "words"),
    [
        ([], "there is no account in the pool"),
        ([session()], None),
        ([session(active=2)], None),  # its turn will come
        ([session("expired", reason="no login")], "mine: expired: no login"),
        ([session("expired"), session()], None),
        (
            [session("cooling", until=NOW + timedelta(minutes=5), reason="risk")],
            "mine: cooling until 2026-11-21 04:05 UTC: risk",
        ),
        ([session("disabled", reason="by an operator")], "mine: disabled: by an"),
        ([session(region="us")], None),
        ([session(models=("other",))], "mine: it is not to be used for"),
        (
            [session(closed_models=(CLOSED,))],
            "mine: 4010",
        ),
        ([session(daily_cap=3, today=3)], "mine: its 3 jobs of today are done"),
        ([session("expired")] * 7, "and 2 more"),
    ],
)
def test_what_a_queued_task_waits_for(sessions, words):
    found = waiting_for(TASK, sessions, NOW)
    assert found is None if words is None else words in found


@pytest.mark.parametrize("status", ["submitting", "polling"])
@pytest.mark.parametrize("state", ["expired", "blocked"])
def test_a_task_on_a_lost_session_says_so(status, state):
    task = replace(TASK, status=status, session="s")
    lost = session(state, reason="the site's words")
    assert waiting_for(task, [lost], NOW) == f"mine: {state}: the site's words"
    assert waiting_for(task, [session("cooling")], NOW) is None
    assert waiting_for(replace(task, status="succeeded"), [lost], NOW) is None
