"""When a delivery is tried again, and when no more."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.webhooks import Delivered, DeliveryFailed
from scheduler.domain.delivering import PATIENCE, Delivery, after, anew

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DELIVERY = Delivery(
    id="msg_1", occasion="task.failed", receiver="task", cause="task:t", created_at=NOW
)
PAUSES = tuple(timedelta(seconds=s) for s in (5, 300, 1800))


def fact(kind, n, **more):
    return kind(scope="task", about="t", delivery="msg_1", n=n, **more)


def no(n, **more):
    return fact(DeliveryFailed, n, error="it answered 500", **more)


def test_a_yes_ends_it():
    found = after(DELIVERY, fact(Delivered, 1), NOW, PAUSES, 0)
    assert (found.status, found.due_at, found.delivered_at) == ("delivered", None, NOW)


def test_each_no_waits_longer_until_the_last():
    found, waited = DELIVERY, []
    while found.status == "pending":
        found = after(found, no(found.n), NOW, PAUSES, 0)
        waited.append(found.due_at and found.due_at - NOW)
    assert waited == [*PAUSES, None]
    assert (found.status, found.n, found.error) == ("failed", 4, "it answered 500")


def test_the_pauses_are_jittered():
    found = after(DELIVERY, no(1), NOW, PAUSES, 0.2)
    assert found.due_at == NOW + timedelta(seconds=6)


@pytest.mark.parametrize(
    ("asked", "wait"), [(1, 5), (60, 60), (10**9, 24 * 3600), (None, 5)]
)
def test_who_asks_for_more_time_gets_it_up_to_a_day(asked, wait):
    found = after(DELIVERY, no(1, retry_after_seconds=asked), NOW, PAUSES, 0)
    assert found.due_at == NOW + timedelta(seconds=wait)


def test_who_wants_to_hear_no_more_is_told_no_more():
    found = after(DELIVERY, no(1, gone=True), NOW, PAUSES, 0)
    assert (found.status, found.due_at) == ("failed", None)


@pytest.mark.parametrize(
    ("delivery", "late"),
    [
        (replace(DELIVERY, n=2), no(1)),
        (replace(DELIVERY, n=2), fact(Delivered, 1)),
        (replace(DELIVERY, status="delivered"), no(1)),
        (replace(DELIVERY, status="failed"), fact(Delivered, 1)),
    ],
)
def test_a_late_or_doubled_fact_changes_nothing(delivery, late):
    assert after(delivery, late, NOW, PAUSES, 0) == delivery


def test_a_replay_begins_the_pauses_anew_and_goes_on_counting():
    given_up = replace(DELIVERY, status="failed", n=4, error="no")
    found = anew(given_up, NOW)
    assert (found.status, found.n, found.due_at) == ("pending", 5, NOW + PATIENCE)
    found = after(found, no(5), NOW, PAUSES, 0)
    assert found.due_at == NOW + PAUSES[0]
