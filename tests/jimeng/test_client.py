import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from jimeng import (
    Account,
    BadAnswer,
    Finished,
    Jimeng,
    NoAnswer,
    Refused,
    Running,
    SessionEffect,
    Unknown,
    Unreachable,
    Upstream,
    draft,
    fit,
)
from jimeng.signing import sign

SESSION = "0123456789abcdef0123456789abcdef"
CREDITS = "/commerce/v1/benefits/user_credit"
PASSPORT = "/passport/account/info/v2"
HISTORY = "/mweb/v1/get_history_by_ids"
GENERATE = "/mweb/v1/aigc_draft/generate"
BEST = "/mweb/v1/get_local_item_list"
CREDIT = {"credit": {"vip_credit": 0, "gift_credit": "57", "purchase_credit": 3}}


@pytest.fixture
def submission(account):
    return draft(
        fit(prompt="a cat 猫", model="jimeng-video-3.0"),
        [],
        submit_id="s1",
        account=account,
        now=datetime.now(UTC),
        ids=lambda: str(uuid4()),
    )


async def test_credits_are_added_up(site, client, ok):
    site.on(CREDITS, ok(CREDIT))
    found = await client.credits()
    assert (found.gift, found.purchase, found.vip) == (57, 3, 0)
    assert found.total == 60


async def test_credits_are_asked_without_a_query_and_with_a_valid_sign(
    site, client, account, ok
):
    site.on(CREDITS, ok(CREDIT))
    await client.credits()
    (seen,) = site.seen
    assert seen.target == CREDITS
    assert seen.method == "POST"
    assert seen.headers["sign"] == sign(CREDITS, int(seen.headers["device-time"]))
    assert seen.headers["cookie"] == account.cookie_header()
    assert seen.headers["origin"] == site.origin
    assert seen.json() == {}


async def test_credits_may_come_as_a_string_in_a_string(site, client, say):
    site.on(CREDITS, say({"ret": 0, "response": json.dumps(CREDIT)}))
    assert (await client.credits()).total == 60


async def test_credits_that_are_not_there_are_not_taken_for_none(site, client, ok):
    site.on(CREDITS, ok({}))
    with pytest.raises(BadAnswer):
        await client.credits()


async def test_a_refused_read_tells_its_effect(site, client, no):
    site.on(CREDITS, no("1015", "login error"))
    with pytest.raises(Refused) as caught:
        await client.credits()
    assert caught.value.effect.session is SessionEffect.EXPIRE
    assert caught.value.text == "login error"


async def test_a_read_refused_by_an_unknown_code_changes_nothing(site, client, no):
    site.on(CREDITS, no("31337"))
    with pytest.raises(Refused) as caught:
        await client.credits()
    assert caught.value.effect.session is SessionEffect.NONE


@pytest.mark.parametrize("body", [b"<html>x</html>", b"[]", b"", b'{"data":{}}'])
async def test_a_read_that_is_not_the_site_s_answer_shows_its_beginning(
    site, client, say, body
):
    content = body.replace(b"x", (f"sessionid={SESSION} " + "y" * 1000).encode())
    site.on(CREDITS, say(content, status=502))
    with pytest.raises(BadAnswer) as caught:
        await client.credits()
    assert caught.value.status == 502
    assert len(caught.value.excerpt) <= 500
    assert SESSION not in str(caught.value)


async def test_a_live_login_is_known_by_its_user_id(site, client, say):
    site.on(PASSPORT, say({"message": "success", "data": {"user_id": 7, "app_id": 1}}))
    live = await client.live()
    assert live.alive
    assert live.user_id == "7"
    (seen,) = site.seen
    assert seen.query == {"account_sdk_source": "web"}
    assert seen.body == b""


@pytest.mark.parametrize(
    "body",
    [
        {"message": "error", "data": {"error_code": 1, "description": "expired"}},
        {"message": "success", "data": {}},
        {"message": "success", "data": {"user_id": 0}},
        {"ret": "1015", "errmsg": "login error"},
        {"ret": 34010105},
    ],
)
async def test_a_dead_login_is_not_alive(site, client, say, body):
    site.on(PASSPORT, say(body))
    assert not (await client.live()).alive


async def test_a_risk_refusal_of_the_live_check_is_no_dead_login(site, client, no):
    site.on(PASSPORT, no("1019", "shark not pass"))
    with pytest.raises(Refused):
        await client.live()


@pytest.mark.parametrize("body", [b"<html>404</html>", b"{}"])
async def test_a_broken_live_check_is_no_dead_login(site, client, say, body):
    site.on(PASSPORT, say(body, status=404))
    with pytest.raises(BadAnswer):
        await client.live()


async def test_outside_china_credits_tell_whether_a_login_lives(site, ok, no):
    account = Account.parse(f"hk-{SESSION}")
    async with Jimeng(account, Upstream(site.origin)) as client:
        site.on(CREDITS, ok(CREDIT))
        assert (await client.live()).alive
        site.on(CREDITS, no("1015"))
        assert not (await client.live()).alive
        site.on(CREDITS, no("1019"))
        with pytest.raises(Refused):
            await client.live()
    assert {seen.path for seen in site.seen} == {CREDITS}


async def test_history_asks_for_all_by_one_call(site, client, ok):
    item = {"common_attr": {"id": "9"}, "video": {"url": "https://127.0.0.1:1/a"}}
    node = {"status": 50, "item_list": [item]}
    site.on(HISTORY, ok({"a": node, "b": {"status": 42}}))
    nodes = await client.history(["a", "b", "c", "a"])
    (seen,) = site.seen
    assert seen.json() == {"submit_ids": ["a", "b", "c"]}
    assert seen.headers["x-platform"] == "pc"
    assert seen.query["webId"] == client.account.web_id
    assert set(nodes) == {"a", "b"}
    assert isinstance(nodes["b"].outcome, Running)
    assert isinstance(nodes["a"].outcome, Finished)
    assert nodes["a"].outcome.items[0].links[0].url == "http://127.0.0.1:1/a"


@pytest.mark.parametrize("data", [None, [], "", 0])
async def test_an_answer_without_history_does_not_mean_that_all_are_absent(
    site, client, ok, data
):
    site.on(HISTORY, ok(data))
    with pytest.raises(BadAnswer):
        await client.history(["a"])


async def test_success_in_an_http_error_is_no_good_answer(site, client, say):
    site.on(HISTORY, say({"ret": "0", "data": {}}, status=502))
    with pytest.raises(BadAnswer):
        await client.history(["a"])
    site.on(HISTORY, say({"ret": "0", "data": {}}))
    assert await client.history(["a"]) == {}


async def test_a_long_history_is_read_whole(site, client, ok):
    ids = [f"{n:036}" for n in range(200)]
    node = {"status": 20, "history_group_key": "long prompt " * 150}
    site.on(HISTORY, ok(dict.fromkeys(ids, node)))
    assert set(await client.history(ids)) == set(ids)


async def test_history_of_nothing_asks_nothing(site, client):
    assert await client.history([]) == {}
    assert site.seen == []


async def test_a_better_link_is_asked_by_item_id(site, client, ok):
    other = {"item_id": "8", "video": {"url": "https://h/other"}}
    wanted = {"item_id": "9", "video": {"url": "https://h/best"}}
    site.on(BEST, ok({"local_item_list": [other, wanted]}))
    assert await client.best_url("9") == "http://h/best"
    assert site.seen[0].json()["item_id_list"] == ["9"]
    assert site.seen[0].json()["is_for_video_download"] is True


async def test_a_better_link_is_never_fatal(site, client, ok, no, say):
    replies = [ok({}), ok(None), ok({"item_list": [1]}), no("1019"), say(b"x")]
    for reply in [*replies, say(cut=True)]:
        site.on(BEST, reply)
        assert await client.best_url("9") is None
    assert len(site.of(BEST)) == 6


async def test_a_submit_is_sent_as_it_was_drafted(site, client, submission, ok):
    site.on(GENERATE, ok({"aigc_data": {"history_record_id": "77", "status": 20}}))
    accepted = await client.submit(submission)
    (seen,) = site.seen
    assert accepted.history_id == "77"
    assert seen.body.decode() == submission.body
    assert seen.query == submission.query
    assert seen.headers["referer"] == f"{site.origin}/ai-tool/generate?type=video"
    assert seen.headers["sign"] == sign(GENERATE, int(seen.headers["device-time"]))


async def test_the_gate_is_asked_once_the_connection_stands(
    site, client, submission, ok
):
    asked = []
    site.on(GENERATE, ok({"aigc_data": {"history_record_id": "77"}}))
    await client.submit(submission, gate=lambda: asked.append(len(site.seen)))
    assert asked == [0]


async def test_a_gate_that_raises_stops_the_submit(site, client, submission, ok):
    class PermitExpired(Exception):  # noqa: N818
        pass

    def gate():
        raise PermitExpired

    site.on(GENERATE, ok({}))
    site.on(CREDITS, ok(CREDIT))
    with pytest.raises(PermitExpired):
        await client.submit(submission, gate=gate)
    await client.credits()
    assert [seen.path for seen in site.seen] == [CREDITS]


async def test_a_gate_may_raise_any_error_and_it_comes_through(
    client, submission, site
):
    def gate():
        raise TimeoutError("the permit")

    with pytest.raises(TimeoutError, match="the permit"):
        await client.submit(submission, gate=gate)
    assert site.seen == []


async def test_a_submit_cut_after_it_left_is_unknown_and_is_sent_once(
    site, client, submission, say
):
    site.on(GENERATE, say(cut=True))
    with pytest.raises(Unknown):
        await client.submit(submission)
    assert len(site.seen) == 1


async def test_a_submit_that_is_not_answered_in_time_is_unknown(
    site, client, submission, say
):
    site.on(GENERATE, say(silent=True))
    with pytest.raises(Unknown):
        await client.submit(submission, within=0.2)
    assert len(site.seen) == 1


async def test_a_submit_that_finds_nobody_was_not_sent(account, submission, unused):
    gate_asked = []
    async with Jimeng(account, Upstream(unused)) as client:
        with pytest.raises(Unreachable):
            await client.submit(submission, gate=lambda: gate_asked.append(1))
    assert gate_asked == []


async def test_a_refused_submit_is_a_certain_no(site, client, submission, no):
    site.on(GENERATE, no("1310", data={"fail_code": "exceed_model_parallel_max"}))
    with pytest.raises(Refused) as caught:
        await client.submit(submission)
    assert caught.value.effect.session is SessionEffect.LOWER


async def test_a_server_error_of_a_submit_is_unknown(site, client, submission, say):
    site.on(GENERATE, say(b"<html>", status=502))
    with pytest.raises(Unknown):
        await client.submit(submission)


async def test_a_read_that_is_cut_can_be_asked_again(site, client, say):
    site.on(CREDITS, say(cut=True))
    with pytest.raises(NoAnswer):
        await client.credits()


async def test_a_read_that_finds_nobody_was_not_sent(account, unused):
    async with Jimeng(account, Upstream(unused)) as client:
        with pytest.raises(Unreachable) as caught:
            await client.credits()
    assert SESSION not in str(caught.value)


async def test_cookies_of_answers_are_not_kept(site, client, ok, say):
    class Cookie:
        status = 200

        def raw(self):
            head, _, body = ok(CREDIT).raw().partition(b"\r\n")
            return head + b"\r\nSet-Cookie: sessionid=other; Path=/\r\n" + body

        cut = silent = False

    site.on(CREDITS, Cookie())
    site.on("/video.mp4", say(b"bytes"))
    await client.credits()
    await client.credits()
    async with client.stream(f"{site.origin}/video.mp4") as response:
        await response.aread()
    assert "other" not in site.seen[1].headers["cookie"]
    assert "cookie" not in site.seen[2].headers


async def test_a_result_is_streamed_with_the_caller_s_range(site, client, say):
    site.on("/video.mp4", say(b"bytes", status=206))
    wanted = {"Range": "bytes=5-"}
    async with client.stream(f"{site.origin}/video.mp4", headers=wanted) as response:
        assert response.status_code == 206
        assert await response.aread() == b"bytes"
    assert site.seen[0].headers["range"] == "bytes=5-"
