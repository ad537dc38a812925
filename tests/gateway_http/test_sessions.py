"""The pool: secrets go in and never come out, and a check is waited for."""

import logging

import pytest

from gateway_http.parts import Patience

SECRET = "us-0123456789abcdef0123456789abcdef"
SESSIONS = "/api/v1/sessions"
SEED_FIELDS = [
    "id",
    "label",
    "session_id",
    "enabled",
    "healthy",
    "active_tasks",
    "total_tasks",
    "success_count",
    "fail_count",
    "last_used_at",
    "last_error",
    "created_at",
    "updated_at",
]


async def test_an_added_account_is_checked_and_listed_masked(gateway, caplog):
    caplog.set_level(logging.DEBUG)
    added = await gateway.http.post(
        SESSIONS, json={"session_id": SECRET, "label": "mine", "max_active": 3}
    )
    listed = await gateway.http.get(SESSIONS)

    assert added.status_code == 201, added.text
    body = added.json()
    assert (body["ok"], body["outcome"]) == (True, "active")
    assert body["session"]["state"] == "active"
    assert body["session"]["credits"] == {
        "gift": 60,
        "purchase": 0,
        "vip": 100,
        "total": 160,
    }
    (session,) = listed.json()["sessions"]
    assert list(session)[:13] == SEED_FIELDS
    assert (session["session_id"], session["max_active"]) == ("us-0...cdef", 3)
    assert (session["enabled"], session["healthy"]) == (True, True)
    for text in (added.text, listed.text, caplog.text):
        assert SECRET[3:] not in text


async def test_the_same_account_twice_is_409(gateway, scheduler):
    first = {"credential": SECRET}
    assert (await gateway.http.post(SESSIONS, json=first)).status_code == 201
    again = await gateway.http.post(SESSIONS, json=first)
    scheduler.duplicate_of = "s1"
    other = await gateway.http.post(SESSIONS, json={"credential": "another-one-0000"})

    assert (again.status_code, again.json()["type"]) == (409, "duplicate_session")
    assert (other.status_code, other.json()["session"]) == (409, "s1")


@pytest.mark.parametrize(
    ("outcome", "words"),
    [("expired", "expired"), ("wrong_region", "region"), ("blocked", "blocked")],
)
async def test_a_check_tells_what_is_wrong(gateway, scheduler, outcome, words):
    scheduler.outcome = outcome
    added = await gateway.http.post(SESSIONS, json={"session_id": SECRET})
    tested = await gateway.http.post(f"{SESSIONS}/s1/test")

    assert (added.status_code, tested.status_code) == (201, 200)
    for answer in (added.json(), tested.json()):
        assert answer["ok"] is False
        assert answer["outcome"] == outcome
        assert words in answer["message"]
    assert added.json()["session"]["healthy"] is False


async def test_a_check_that_knows_a_remedy_tells_it(gateway, scheduler):
    scheduler.outcome, scheduler.remedy = "wrong_region", "add it as us-<sessionid>"
    added = await gateway.http.post(SESSIONS, json={"session_id": SECRET[3:]})

    assert added.json()["message"] == scheduler.remedy


async def test_a_check_that_takes_too_long_is_202_unchecked(
    scheduler, all_beat, run_gateway
):
    await all_beat()
    scheduler.outcome = None
    async with run_gateway(Patience(check=0.05)) as gateway:
        added = await gateway.http.post(SESSIONS, json={"session_id": SECRET})
        tested = await gateway.http.post(f"{SESSIONS}/s1/test")

    assert (added.status_code, tested.status_code) == (202, 202)
    assert added.json()["session"]["state"] == "unchecked"
    assert "not checked yet" in tested.json()["message"]


async def test_an_account_is_switched_and_removed(gateway, scheduler):
    await gateway.http.post(SESSIONS, json={"session_id": SECRET})
    off = await gateway.http.patch(f"{SESSIONS}/s1", json={"enabled": False})
    on = await gateway.http.patch(f"{SESSIONS}/s1", json={"enabled": True})
    scheduler.set_session("s1", active=2)
    busy = await gateway.http.delete(f"{SESSIONS}/s1")
    scheduler.set_session("s1", active=0)
    gone = await gateway.http.delete(f"{SESSIONS}/s1")

    assert (off.json()["ok"], off.json()["enabled"]) == (True, False)
    assert off.json()["session"]["state"] == "disabled"
    assert on.json()["enabled"] is True
    assert (busy.status_code, busy.json()["type"]) == (409, "session_busy")
    assert (gone.status_code, gone.json()) == (200, {"ok": True})


async def test_an_unknown_account_is_404(gateway):
    for method, path, body in [
        ("POST", "/none/test", None),
        ("PATCH", "/none", {"enabled": True}),
        ("DELETE", "/none", None),
    ]:
        answer = await gateway.http.request(method, SESSIONS + path, json=body)
        assert (answer.status_code, answer.json()["type"]) == (404, "not_found")


BAD = [
    ({}, 422, ""),
    ({"session_id": "a", "credential": "b"}, 422, ""),
    ({"session_id": ""}, 422, "session_id"),
    ({"session_id": SECRET * 200}, 422, "session_id"),
    ({"session_id": [SECRET]}, 422, "session_id"),
    ({"session_id": SECRET, "max_active": 0}, 422, "max_active"),
    ({"session_id": SECRET, "label": "x" * 101}, 422, "label"),
    ({"session_id": SECRET, "cookie_jar": SECRET}, 422, "cookie_jar"),
]


async def test_a_bad_account_is_refused_without_repeating_it(gateway, scheduler):
    for body, status, field in BAD:
        answer = await gateway.http.post(SESSIONS, json=body)
        assert answer.status_code == status, answer.text
        assert answer.json()["errors"][0]["field"] == field
        assert SECRET not in answer.text
    broken = await gateway.http.post(
        SESSIONS,
        content=f'{{"session_id": "{SECRET}"',
        headers={"content-type": "application/json"},
    )
    assert broken.status_code == 400
    assert SECRET not in broken.text
    assert scheduler.sessions == {}
