"""Faults on demand: each does to a client what the real site has done to someone."""

import asyncio

import httpx
import pytest


async def switch_on(visitor, kind, fault, **fields):
    told = {"kind": kind, "fault": fault, "times": 1} | fields
    answer = await visitor.http.post("/_sim/faults", json=told)
    assert answer.status_code == 200, answer.text


async def ledger(visitor, body):
    answer = await visitor.http.get("/_sim/ledger")
    return answer.json().get(body["submit_id"])


@pytest.mark.parametrize(("fault", "status"), [("html_502", 502), ("html_404", 404)])
async def test_an_html_page_comes_once_instead_of_an_answer(visitor, fault, status):
    await switch_on(visitor, "credits", fault)
    path = "/commerce/v1/benefits/user_credit"
    answer = await visitor.http.post(path, headers=visitor.cookies)
    assert answer.status_code == status
    assert "<html>" in answer.text
    assert (await visitor.post(path, query={}))["ret"] == "0"


async def test_a_ret_comes_instead_of_an_answer(visitor):
    await switch_on(visitor, "upload_token", "ret", ret="1015")
    answer = await visitor.post("/mweb/v1/get_upload_token", {"scene": 2})
    assert (answer["ret"], answer["errmsg"]) == ("1015", "login error")


async def test_a_reset_before_the_submit_has_no_effect(visitor, kit):
    await switch_on(visitor, "submit", "reset")
    body = kit.body_of()
    with pytest.raises(httpx.TransportError):
        await visitor.submit(body)
    assert await ledger(visitor, body) is None


async def test_a_lost_answer_leaves_a_job_that_the_submit_id_finds(visitor, kit):
    await switch_on(visitor, "submit", "lose_response")
    body = kit.body_of()
    with pytest.raises(httpx.TransportError):
        await visitor.submit(body)
    visitor.world.advance(2)
    assert (await visitor.poll(body["submit_id"]))["status"] == 20
    assert (await ledger(visitor, body))["received"] == 1


async def test_a_late_effect_comes_after_the_connection_is_gone(visitor, kit):
    await switch_on(visitor, "submit", "late_effect", seconds=0.05)
    body = kit.body_of()
    with pytest.raises(httpx.TransportError):
        await visitor.submit(body)
    await visitor.http.get("/_sim/wait?event=late_effect&count=1")
    (note,) = (await visitor.http.get("/_sim/requests?kind=submit")).json()
    (charge,) = (await ledger(visitor, body))["charges"]
    assert charge["at"] - note["at"] >= 0.05


async def test_a_job_may_stay_invisible_for_longer(visitor, kit):
    await switch_on(visitor, "submit", "invisible", seconds=100)
    body = kit.body_of()
    await visitor.submit(body)
    visitor.world.advance(50)
    assert await visitor.poll(body["submit_id"]) is None
    visitor.world.advance(60)
    assert await visitor.poll(body["submit_id"])


async def test_the_poll_may_leave_out_a_job_that_exists(visitor, kit):
    body = kit.body_of()
    await visitor.submit(body)
    visitor.world.advance(3)
    await switch_on(visitor, "history", "absent")
    assert await visitor.poll(body["submit_id"]) is None
    assert await visitor.poll(body["submit_id"])


async def test_one_duplicate_may_be_charged_twice(visitor, kit):
    await switch_on(visitor, "submit", "charge_twice", times=2)
    body = kit.body_of()
    await visitor.submit(body)
    await visitor.submit(body)
    assert len((await ledger(visitor, body))["charges"]) == 2


async def test_a_fault_may_concern_one_account_or_one_prompt_only(visitor, other, kit):
    await switch_on(visitor, "submit", "ret", ret="1310", account=other.account.uid)
    assert (await visitor.submit())["ret"] == "0"
    assert (await other.submit())["ret"] == "1310"
    await switch_on(visitor, "submit", "ret", ret="1310", prompt="unlucky")
    assert (await visitor.submit())["ret"] == "0"
    unlucky = kit.body_of(kit.text_input("an unlucky cat"))
    assert (await visitor.submit(unlucky))["ret"] == "1310"


async def test_a_prompt_may_ask_for_a_lost_answer_once(visitor, kit):
    body = kit.body_of(kit.text_input("[[lost]] a cat"))
    with pytest.raises(httpx.TransportError):
        await visitor.submit(body)
    assert (await visitor.submit(body))["ret"] == "0"
    entry = await ledger(visitor, body)
    assert (entry["received"], len(entry["charges"])) == (2, 1)


async def test_a_truncated_answer_breaks_in_the_middle(visitor):
    await switch_on(visitor, "history", "truncated")
    with pytest.raises(httpx.RemoteProtocolError):
        await visitor.poll("x")


async def test_a_download_may_be_truncated_corrupt_or_expired(studio, kit):
    node = await studio.finished(kit.body_of(ratio="1:1"))
    origin = node["item_list"][0]["video"]["transcoded_video"]["origin"]
    await switch_on(studio, "download", "truncated")
    with pytest.raises(httpx.RemoteProtocolError):
        await studio.http.get(origin["video_url"])
    await switch_on(studio, "download", "corrupt")
    corrupt = await studio.http.get(origin["video_url"])
    assert len(corrupt.content) == origin["size"]
    assert corrupt.content[4:8] != b"ftyp"
    await switch_on(studio, "download", "expired")
    assert (await studio.http.get(origin["video_url"])).status_code == 403
    assert (await studio.http.get(origin["video_url"])).content[4:8] == b"ftyp"


async def test_a_slow_answer_comes_in_the_end_and_a_hanging_one_never(visitor):
    path = "/commerce/v1/benefits/user_credit"
    await switch_on(visitor, "credits", "slow", seconds=0.01)
    assert (await visitor.post(path, query={}))["ret"] == "0"
    await switch_on(visitor, "credits", "hang", seconds=0.01)
    with pytest.raises(httpx.TransportError):
        await visitor.post(path, query={})


async def test_faults_can_be_listed_and_switched_off(visitor):
    await switch_on(visitor, "credits", "html_502", times=None)
    await switch_on(visitor, "history", "reset", times=None)
    await visitor.http.delete("/_sim/faults?kind=credits")
    left = (await visitor.http.get("/_sim/faults")).json()
    assert [fault["kind"] for fault in left] == ["history"]
    assert (await visitor.http.delete("/_sim/faults")).json() == []


async def test_an_unknown_fault_is_refused(visitor):
    told = {"kind": "credits", "fault": "explode"}
    assert (await visitor.http.post("/_sim/faults", json=told)).status_code == 422


async def test_accounts_can_be_made_and_changed(visitor, kit):
    told = {"sessionid": "a" * 32, "concurrency": 1, "credits": {"gift": 5}}
    made = (await visitor.http.post("/_sim/accounts", json=told)).json()
    told = {"sessionid": "a" * 32, "credits": {"gift": 50}}
    changed = (await visitor.http.post("/_sim/accounts", json=told)).json()
    newcomer = kit.Visitor(visitor.http, visitor.world, "a" * 32)
    assert changed == made | {
        "credits": {"vip": 0, "gift": 50, "purchase": 0},
        "credits_total": 50,
    }
    assert (await newcomer.submit())["ret"] == "0"
    assert (await newcomer.submit())["ret"] == "1310"


async def test_an_account_tells_the_most_jobs_it_had_at_once(visitor):
    await visitor.submit()
    await visitor.submit()
    visitor.world.advance(60)
    accounts = (await visitor.http.get("/_sim/accounts")).json()
    mine = next(a for a in accounts if a["uid"] == visitor.account.uid)
    # The renderer is off here: a job whose file is not made still has its place.
    assert (mine["running"], mine["peak"]) == (2, 2)
    await visitor.http.post("/_sim/settings", json={"share_films": True})
    await visitor.submit()
    visitor.world.advance(60)
    accounts = (await visitor.http.get("/_sim/accounts")).json()
    mine = next(a for a in accounts if a["uid"] == visitor.account.uid)
    # ... but one whose film is shared ends by its timeline alone.
    assert (mine["running"], mine["peak"]) == (2, 3)


async def test_knobs_can_be_turned_and_nonsense_is_refused(visitor, kit):
    turned = await visitor.http.post("/_sim/settings", json={"deny_code": "4013"})
    assert turned.json()["deny_code"] == "4013"
    assert (await visitor.submit(kit.body_of(**kit.SEEDANCE)))["ret"] == "4013"
    wrong = await visitor.http.post("/_sim/settings", json={"no_such_knob": 1})
    assert wrong.status_code == 422


async def test_waiting_returns_when_the_nth_submit_has_come(visitor):
    waiting = asyncio.create_task(visitor.http.get("/_sim/wait?event=submit&count=2"))
    await visitor.submit()
    await visitor.submit()
    assert (await waiting).json() == {"event": "submit", "count": 2, "reached": True}
    late = await visitor.http.get("/_sim/wait?event=submit&count=9&timeout=0.01")
    assert not late.json()["reached"]


async def test_requests_are_remembered_with_their_verdicts(visitor):
    await visitor.submit(headers={"Sign": "x"})
    notes = (await visitor.http.get("/_sim/requests?kind=submit")).json()
    assert [(note["verdict"], note["uid"]) for note in notes] == [
        ("1014", visitor.account.uid)
    ]
    assert notes[0]["at"] > 0
    assert notes[0]["at_monotonic"] > 0


async def test_a_web_page_of_another_origin_cannot_steer(visitor):
    headers = {"Origin": "http://example.com"}
    answer = await visitor.http.post("/_sim/advance", json={}, headers=headers)
    assert answer.status_code == 403
