"""`/v1/models` and `/token/…`: the rest of the Jimeng family's routes."""

import pytest

from contracts.sessions import Credits
from jimeng import MODELS

SECRET = "51e0de305e55104d0000000000000001"


async def test_every_name_of_every_model_is_listed(gateway):
    body = (await gateway.http.get("/v1/models")).json()
    videos = (await gateway.http.get("/v1/models?type=video")).json()["data"]
    one = (await gateway.http.get("/v1/models/seedance-2.0")).json()

    assert body["object"] == "list"
    assert {each["id"] for each in body["data"]} == set(MODELS)
    assert {each["object"] for each in body["data"]} == {"model"}
    assert {each["id"] for each in videos} < set(MODELS)
    assert one["description"].startswith("the same as jimeng-video-seedance-2.0")
    assert (await gateway.http.get("/v1/models/gpt-5")).status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        *("jimeng", "jimeng-5.0", "jimeng-4.0", "jimeng-2.0-pro", "jimeng-xl-pro"),
        *("jimeng-video-3.5-pro", "jimeng-video-3.0", "jimeng-video-2.0-pro"),
        *("jimeng-video-seedance-2.0", "seedance-2.0", "seedance-2.0-pro"),
        *("jimeng-video-seedance-2.0-fast", "seedance-2.0-fast", "seedance-1-lite"),
    ],
)
def test_the_names_that_clients_of_the_family_send_are_known(name):
    assert name in MODELS


@pytest.fixture
async def session(gateway, scheduler):
    """Give the id of an account in the pool, which has points."""
    answer = await gateway.http.post("/api/v1/sessions", json={"session_id": SECRET})
    session = answer.json()["session"]["id"]
    scheduler.set_session(session, credits=Credits(gift=57, purchase=3))
    return session


async def test_points_of_the_pool_name_nobodys_credential(gateway, session):
    answer = await gateway.http.post("/token/points")

    [told] = answer.json()
    assert told["points"] == {
        "giftCredit": 57,
        "purchaseCredit": 3,
        "vipCredit": 0,
        "totalCredit": 60,
    }
    assert told["token"].startswith(SECRET[:4])
    assert SECRET not in answer.text


async def test_an_account_of_the_pool_is_asked_for_by_its_token_or_id(
    gateway, scheduler, session
):
    for token in (SECRET, session):
        checks = scheduler.checks
        answer = await gateway.http.post("/token/check", json={"token": token})
        assert (answer.status_code, answer.json()) == (200, {"live": True})
        assert scheduler.checks == checks + 1
    scheduler.outcome = "expired"
    answer = await gateway.http.post("/token/check", json={"token": SECRET})
    assert answer.json() == {"live": False}


@pytest.mark.parametrize(
    "token", ["us-" + SECRET, "0" * 32, "a b", "socks5://h:1", SECRET[:8]]
)
async def test_a_token_of_nobody_in_the_pool_is_refused_and_not_repeated(
    gateway, session, token
):
    answer = await gateway.http.post("/token/check", json={"token": token})

    assert (answer.status_code, answer.json()["code"]) == (200, -2000)
    assert token not in answer.text
