"""The pool: secrets go in and never come out, and a check is waited for."""

import logging
from datetime import UTC, datetime

import pytest

from contracts.sessions import ClosedModel
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


async def add(gateway):
    added = await gateway.http.post(SESSIONS, json={"session_id": SECRET})
    return f"{SESSIONS}/{added.json()['session']['id']}"


async def test_a_credential_is_replaced_in_place(gateway, scheduler):
    place = await add(gateway)
    body = {"session_id": "another-one-0000", "force": True}
    done = await gateway.http.put(f"{place}/credential", json=body)

    assert done.status_code == 200, done.text
    assert (done.json()["ok"], done.json()["outcome"]) == (True, "active")
    assert done.json()["session"]["session_id"] == "anot...0000"
    assert (scheduler.asked[-1].id, scheduler.asked[-1].force) == ("s1", True)
    assert "another-one-0000" not in done.text


@pytest.mark.parametrize(
    ("outcome", "why", "answer"),
    [
        ("expired", "the login is no longer valid", (422, "credential_refused")),
        ("active", "it belongs to another account", (409, "other_account")),
    ],
)
async def test_a_credential_that_is_not_taken_leaves_the_present_one(
    gateway, scheduler, outcome, why, answer
):
    place = await add(gateway)
    scheduler.outcome, scheduler.rejected = outcome, why
    body = {"session_id": "another-one-0000"}
    no = await gateway.http.put(f"{place}/credential", json=body)
    read = await gateway.http.get(place)

    assert (no.status_code, no.json()["type"]) == answer
    assert no.json()["detail"] == f"{why}; the present credential stays in place"
    assert read.json()["session"]["session_id"] == "us-0...cdef"


async def test_a_proxy_is_tested_before_it_is_used(gateway, scheduler):
    place = await add(gateway)
    body = {"proxy": "socks5://user:secret@127.0.0.1:1080"}
    done = await gateway.http.put(f"{place}/proxy", json=body)
    assert (done.status_code, done.json()["session"]["has_proxy"]) == (200, True)
    assert "secret" not in done.text

    scheduler.outcome, scheduler.rejected = "expired", "the login is no longer valid"
    no = await gateway.http.put(f"{place}/proxy", json={"proxy": None})
    assert no.status_code == 422
    assert (await gateway.http.get(place)).json()["session"]["has_proxy"]


async def test_many_accounts_are_added_at_once_and_each_is_told(gateway, scheduler):
    body = {"session_ids": [SECRET, "another-one-0000", SECRET], "max_active": 3}
    done = await gateway.http.post(f"{SESSIONS}/batch", json=body)
    told = done.json()

    assert (done.status_code, told["added"]) == (200, 2)
    assert [each["ok"] for each in told["results"]] == [True, True, False]
    assert told["results"][2]["type"] == "duplicate_session"
    assert {s.max_active for s in scheduler.sessions.values()} == {3}
    assert SECRET not in done.text
    assert (await gateway.http.post(f"{SESSIONS}/batch", json={})).status_code == 422


async def test_asking_again_with_the_same_key_is_the_same_wish(gateway, scheduler):
    place = await add(gateway)
    body = {"session_id": "another-one-0000"}
    for key in ("one", "one", "two"):
        headers = {"Idempotency-Key": key}
        await gateway.http.put(f"{place}/credential", json=body, headers=headers)
    await gateway.http.put(f"{place}/credential", json=body)
    first, second, third, fourth = (each.request for each in scheduler.asked)

    assert first == second
    assert len({first, third, fourth}) == 3


async def test_how_an_account_is_used_is_changed(gateway, scheduler):
    place = await add(gateway)
    body = {"max_active": 4, "daily_cap": 20, "models": ["jimeng-video-3.0"]}
    changed = await gateway.http.patch(place, json=body)
    scheduler.set_session("s1", models=("dreamina_ic_generate_video_model_vgfm_3.0",))
    cleared = await gateway.http.patch(place, json={"daily_cap": None, "models": None})

    assert changed.json()["session"]["max_active"] == 4
    assert changed.json()["session"]["daily_cap"] == 20
    assert scheduler.asked[0].weight is None
    assert (scheduler.asked[1].daily_cap, scheduler.asked[1].models) == (0, ())
    assert cleared.json()["enabled"] is True


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"max_active": 0},
        {"daily_cap": -1},
        {"weight": 0},
        {"nope": 1},
        {"models": "x"},
    ],
)
async def test_a_change_that_makes_no_sense_is_refused(gateway, body):
    place = await add(gateway)
    assert (await gateway.http.patch(place, json=body)).status_code == 422


async def test_nothing_given_is_nothing_changed(gateway, scheduler):
    place = await add(gateway)
    same = await gateway.http.patch(place, json={"enabled": None})
    assert same.json()["session"]["state"] == "active"


async def test_an_account_is_drained(gateway):
    place = await add(gateway)
    drained = await gateway.http.post(f"{place}/drain")

    assert drained.json()["enabled"] is False
    assert drained.json()["session"]["state"] == "draining"
    assert (await gateway.http.post(f"{SESSIONS}/nope/drain")).status_code == 404


async def test_a_session_tells_why_a_model_is_closed(gateway, scheduler):
    place = await add(gateway)
    moment = datetime(2026, 11, 21, 9, tzinfo=UTC)
    closed = ClosedModel(
        model="dreamina_seedance_40_pro", reason="confirm it (4010)", since=moment
    )
    scheduler.set_session("s1", closed_models=(closed,), code="1019", since=moment)
    session = (await gateway.http.get(place)).json()["session"]

    assert session["closed_models"] == [
        {
            "model": "jimeng-video-seedance-2.0",
            "reason": "confirm it (4010)",
            "since": "2026-11-21T09:00:00.000Z",
        }
    ]
    assert (session["code"], session["since"]) == ("1019", "2026-11-21T09:00:00.000Z")
