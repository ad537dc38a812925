"""Session tokens as bearers: COMPAT_BEARER_SESSIONS."""

import logging

import pytest

from contracts.sessions import Credits
from gateway_http.lending import tokens_of

PATH = "/v1/videos/generations"
FOX = {"prompt": "a fox", "model": "jimeng-video-3.0"}
TOKEN = "51e0de305e55104d00000000000000aa"
OTHER = "us-51e0de305e55104d00000000000000bb"
SOON = {"prefer": "wait=1"}


def bearer(text=TOKEN):
    return SOON | {"authorization": f"Bearer {text}"}


@pytest.fixture
async def lending(scheduler, all_beat, run_gateway):
    await all_beat()
    async with run_gateway(compat_bearer_sessions=True) as running:
        yield running


async def test_a_task_runs_on_the_account_of_its_bearer(
    lending, scheduler, until, caplog
):
    caplog.set_level(logging.DEBUG)
    answer = await lending.http.post(PATH, json=FOX, headers=bearer())
    assert answer.status_code == 202, answer.text
    await until(lambda: scheduler.created)

    [made] = scheduler.created
    [session] = scheduler.sessions.values()
    assert (made.owner, session.lent) == (f"lent:{session.id}", True)
    assert made.terms.deadline
    assert TOKEN not in answer.text + made.body().decode() + caplog.text


async def test_the_same_token_is_one_account_and_one_key_one_task(
    lending, scheduler, until
):
    headers = bearer() | {"idempotency-key": "one"}
    first = await lending.http.post(PATH, json=FOX, headers=headers)
    again = await lending.http.post(PATH, json=FOX, headers=headers)
    headers = bearer(OTHER) | {"idempotency-key": "one"}
    other = await lending.http.post(PATH, json=FOX, headers=headers)
    await until(lambda: len({each.owner for each in scheduler.created}) == 2)

    tasks = [each.json()["task"]["id"] for each in (first, again, other)]
    assert tasks[0] == tasks[1] != tasks[2]
    assert len(scheduler.sessions) == 2


async def test_a_token_that_is_signed_out_is_refused_before_anything_is_made(
    lending, scheduler
):
    scheduler.outcome = "expired"
    answer = await lending.http.post(PATH, json=FOX, headers=bearer())

    assert (answer.status_code, answer.json()["code"]) == (200, -2002), answer.text
    assert answer.json()["type"] == "token_refused"
    assert scheduler.created == []
    assert TOKEN not in answer.text


async def test_tokens_are_taken_where_the_family_has_routes_and_nowhere_else(
    lending, scheduler, until
):
    answer = await lending.http.post("/api/v1/tasks", json=FOX, headers=bearer())
    assert answer.status_code == 201
    await until(lambda: scheduler.created)
    assert scheduler.created[0].owner is None
    assert scheduler.added == []


async def test_without_the_setting_a_bearer_is_ignored(gateway, scheduler, until):
    answer = await gateway.http.post(PATH, json=FOX, headers=bearer())
    assert answer.status_code == 202
    await until(lambda: scheduler.created)
    assert scheduler.created[0].owner is None
    assert scheduler.sessions == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (TOKEN, [TOKEN]),
        (f"{TOKEN},{OTHER}", [TOKEN, OTHER]),
        (f"{TOKEN}, {OTHER}", [TOKEN, OTHER]),
        ("", []),
        ("gw_" + "0" * 64, []),
        ("sk-test", []),
        (f"{TOKEN},", []),
        (f"http://127.0.0.1:1@{TOKEN}", []),
        (f"socks5://inside.example:1080@{TOKEN}", []),
        ("a" * 600, []),
        (",".join([TOKEN] * 21), []),
    ],
)
def test_what_is_no_session_token_is_none(text, found):
    assert tokens_of(text) == found


async def test_points_and_checks_of_tokens_that_are_brought(lending, scheduler):
    answer = await lending.http.post("/token/points", headers=bearer())
    for session in scheduler.sessions:
        scheduler.set_session(session, state="active", credits=Credits(gift=9))
    answer = await lending.http.post("/token/points", headers=bearer())
    [told] = answer.json()
    assert told["points"]["totalCredit"] == 9
    assert TOKEN not in answer.text

    check = {"token": OTHER}
    assert (await lending.http.post("/token/check", json=check)).json() == {
        "live": True
    }
    scheduler.outcome = "expired"
    check = {"token": OTHER.replace("bb", "cc")}
    assert (await lending.http.post("/token/check", json=check)).json() == {
        "live": False
    }
    several = {"token": f"{TOKEN},{OTHER}"}
    answer = await lending.http.post("/token/check", json=several)
    assert answer.json()["code"] == -2000


async def test_with_sign_in_a_token_lets_in_to_these_routes_alone(open_door):
    async with open_door(compat_bearer_sessions=True) as door:
        client = door.client(TOKEN)
        refused = await client.post(PATH, json=FOX)
        assert refused.json()["type"] == "token_refused"  # nobody answers the check
        for path in ("/api/v1/tasks", "/api/v1/sessions", "/v1/models"):
            assert (await client.get(path)).status_code == 401
        for text in ("sk-test", "gw_" + "0" * 64):
            answer = await door.client(text).post(PATH, json=FOX)
            assert answer.status_code == 401
        key, _ = await door.key()
        assert (await key.post(PATH, json=FOX)).status_code == 202
