"""Credits, the live check and the other small reads."""

import json

import pytest

CREDIT = "/commerce/v1/benefits/user_credit"


async def test_credits_come_twice_once_as_a_string(visitor):
    answer = await visitor.post(CREDIT, query={})
    assert answer["data"]["credit"]["gift_credit"] == 10_000
    assert json.loads(answer["response"]) == answer["data"]
    assert answer["ret"] == "0"
    assert answer["sign"]


async def test_an_unknown_session_has_no_credits(visitor):
    answer = await visitor.post(CREDIT, query={}, headers={"Cookie": "sessionid=x"})
    assert answer["ret"] == "1015"


async def test_the_daily_gift_comes_once(visitor):
    path = "/commerce/v1/benefits/credit_receive"
    quotas = [(await visitor.post(path, query={}))["data"] for _ in range(2)]
    assert [one["receive_quota"] for one in quotas] == [66, 0]
    assert visitor.account.credits.total == 10_066


async def test_the_credit_history_names_the_charge_of_each_submit(visitor, kit):
    body = kit.body_of()
    await visitor.submit(body)
    answer = await visitor.post(f"{CREDIT}_history", {"count": 20}, query={})
    records = answer["data"]["records"]
    assert [(one["submit_id"], one["amount"]) for one in records] == [
        (body["submit_id"], 10)
    ]


async def live(visitor, cookie, **headers):
    path = "/passport/account/info/v2?account_sdk_source=web"
    return await visitor.http.post(path, headers={"Cookie": cookie} | headers)


async def test_the_live_check_tells_who_is_logged_in(visitor):
    good = (await live(visitor, f"sessionid={visitor.session}")).json()
    bad = (await live(visitor, "sessionid=x")).json()
    assert str(good["data"]["user_id"]) == visitor.account.uid
    assert (bad["message"], "ret" in bad) == ("error", False)


async def test_abroad_there_is_no_live_check(visitor):
    visitor.change(region="us")
    answer = await live(visitor, f"sessionid={visitor.session}")
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("region", "place", "ret"),
    [
        ("cn", "cn", "0"),
        ("cn", "us", "1015"),
        ("cn", "hk", "1015"),
        ("us", "cn", "1015"),
        ("us", "us", "0"),
        ("us", "sg", "1015"),
        ("jp", "cn", "1015"),
        ("jp", "us", "1015"),
        ("jp", "hk", "0"),
    ],
)
async def test_a_host_knows_the_accounts_of_its_own_regions(
    visitor, region, place, ret
):
    visitor.change(region=region)
    answer = await visitor.post(CREDIT, query={}, headers={"Loc": place})
    assert answer["ret"] == ret


async def test_the_live_check_in_china_knows_no_account_from_abroad(visitor):
    visitor.change(region="us")
    answer = await live(visitor, f"sessionid={visitor.session}", Loc="cn")
    assert (answer.status_code, answer.json()["message"]) == (200, "error")


@pytest.mark.parametrize("cookie", ["sessionid=x", None])
async def test_a_host_abroad_has_no_live_check_for_anybody(visitor, cookie):
    cookie = cookie or f"sessionid={visitor.session}"
    answer = await live(visitor, cookie, Loc="us")
    assert (answer.status_code, answer.text[:6]) == (404, "<html>")


async def test_the_model_list_names_what_the_region_has(visitor):
    path = "/mweb/v1/video_generate/get_common_config"
    models = (await visitor.post(path))["data"]["model_list"]
    keys = [one["model_req_key"] for one in models]
    assert "dreamina_seedance_40" in keys
    assert "dreamina_sora2_generate_video" not in keys
