"""Each status, state of the attempt and happening: an outcome that keeps the rules."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import life_samples as life
from contracts import tasks as said
from life_lines import NOTHING, lines
from scheduler.domain.life import TABLE
from scheduler.domain.steps import Due, ResolveAsked, Step
from scheduler.domain.verbs import awaited

ROOT = Path(__file__).parents[2]
PAIRS = [(status, state) for status in life.STATUSES for state in life.STATES]
EVENTS = [event for events in life.happenings().values() for event in events]
LIVING = {"queued", "submitting", "polling"}


def outcomes(status, state, events=tuple(EVENTS)):
    """What each event does to each variant of a situation, also when it comes twice."""
    for row in life.rows(status, state):
        for event in events:
            step = life.run(row, event)
            yield row, event, Step(*row.value), step
            again = life.Case("", (step.task, step.attempt))
            yield again, event, Step(step.task, step.attempt), life.run(again, event)


def untimed(task):
    return replace(task, due_at=None)


def test_there_is_a_sample_of_everything_that_can_happen():
    assert set(life.happenings()) == life.kinds()
    assert all(type(e.value) is k for k, es in life.happenings().items() for e in es)
    assert set(TABLE) <= set(PAIRS)
    assert len(PAIRS) == 35


def test_each_line_of_the_table_does_something_in_some_variant():
    for place, decisions in TABLE.items():
        told = {line.event: set() for line in lines(*place)}
        for line in lines(*place):
            told[line.event].add(line.outcome)
        for kind in decisions:
            assert told[kind.__name__] != {NOTHING}, (place, kind)


@pytest.mark.parametrize(("status", "state"), PAIRS)
def test_what_stands_in_no_table_changes_nothing(status, state):
    for row, event, before, step in outcomes(status, state):
        where = before.task.status, before.attempt.state if before.attempt else None
        if type(event.value) not in TABLE.get(where, {}):
            assert step == before, (row, event)


@pytest.mark.parametrize(("status", "state"), PAIRS)
def test_what_is_about_another_attempt_changes_nothing(status, state):
    others = [life.Case("", life.superseded(event.value)) for event in EVENTS]
    others = [event for event in others if event.value]
    assert others
    for row, event, before, step in outcomes(status, state, others):
        assert step == before, (row, event)


@pytest.mark.parametrize(("status", "state"), PAIRS)
def test_an_end_is_an_end(status, state):
    for row, event, before, step in outcomes(status, state):
        if before.task.ended:
            assert untimed(step.task) == untimed(before.task), (row, event)
            kinds = {type(command) for command in step.commands}
            assert kinds <= {said.DeleteFiles, said.DeleteResults}, (row, event)
        same = before.attempt and before.attempt.n == step.attempt.n
        if same and before.attempt.state == "ended":
            assert step.attempt == before.attempt, (row, event)


@pytest.mark.parametrize(("status", "state"), PAIRS)
def test_nothing_is_sent_but_what_is_reserved_or_settled(status, state):
    for row, event, before, step in outcomes(status, state):
        if not any(isinstance(command, said.Submit) for command in step.commands):
            continue
        after = step.attempt
        assert step.task.status == "submitting", (row, event)
        assert after.sends < after.allowed, (row, event)
        if after.state == "reserved":
            assert (after.sends, after.allowed) == (0, 1), (row, event)
            continue
        was = before.attempt
        settled = was.absent + 1 >= life.LIMITS.settle_rounds
        decided = before.task.stage == "held" and isinstance(event.value, ResolveAsked)
        wanted = was.sends < was.allowed and isinstance(event.value, Due)
        assert after.state == "permitted", (row, event)
        assert settled or decided or wanted, (row, event)
        assert not after.adopted, (row, event)


@pytest.mark.parametrize(("status", "state"), PAIRS)
def test_it_is_looked_at_again_where_something_is_awaited_or_a_deadline_set(
    status, state
):
    for row, event, _, step in outcomes(status, state):
        task = step.task
        deadline = task.terms.deadline if task.status in LIVING else None
        waits = awaited(task, step.attempt)
        assert (task.due_at is not None) == bool(waits or deadline), (row, event)
        if deadline:
            assert task.due_at <= deadline, (row, event)


@pytest.mark.parametrize(("status", "state"), sorted(TABLE, key=str))
def test_looking_again_at_what_is_late_puts_the_next_look_into_the_future(
    status, state
):
    for row in life.rows(status, state):
        step = life.run(row, life.Case("", Due()))
        assert step.task.due_at is None or step.task.due_at > life.NOW, row


def test_an_account_that_was_seen_at_work_is_not_freed_by_a_late_no():
    for status in ("polling", "cancelled", "failed"):
        for row in life.rows(status, "known"):
            for event in life.happenings()[said.Refused]:
                assert life.run(row, event).attempt == row.value[1]


def test_the_document_is_current():
    made = subprocess.run(
        [sys.executable, ROOT / "deploy" / "tools" / "life_of_a_task.py"],
        check=True,
        capture_output=True,
        text=True,
    )
    kept = (ROOT / "docs" / "life-of-a-task.md").read_text()
    assert made.stdout == kept, "the decisions changed: `make life`"
