"""Standing receivers over HTTP: added, told, tested, rotated, switched off."""

import pytest

from contracts import requests as asked
from receiver_support import silent
from workers_support import running

WEBHOOKS = "/api/v1/webhooks"
DELIVERIES = f"{WEBHOOKS}/deliveries"


@pytest.fixture
async def http(stage, receiver, run_gateway):
    async with run_gateway(webhook_allow=receiver.place) as gateway:
        yield gateway.http


async def added(http, receiver, **more):
    body = {"url": f"{receiver.origin}/standing?key=geheim", **more}
    answer = await http.post(WEBHOOKS, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def cancelled(stage, task="t1", **more):
    await stage.create(task, **more)
    await stage.taken(int(task[1:]))
    await stage.hands.ask(asked.CancelTask(task=task))


async def listed(http, **query):
    answer = await http.get(DELIVERIES, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["deliveries"]


async def read(http, place):
    answer = await http.get(f"{WEBHOOKS}/{place}")
    return answer.status_code, answer.json().get("webhook")


async def until_listed(stage, http, **query):
    async def there():
        return await listed(http, **query)

    return await stage.until(there, seconds=20)


async def test_whoever_listens_is_told_once_each(stage, notifier, receiver, http):
    one = await added(http, receiver)
    other = await added(http, receiver, events=["task.failed"])
    both = await added(http, receiver, events=["task.cancelled", "notice.*"])
    await cancelled(stage, webhook=stage.webhook(f"{receiver.origin}/own"))
    got = [await receiver.next() for _ in range(3)]

    found = await until_listed(stage, http, status="delivered", task="t1")
    ids = {one["webhook"]["id"], both["webhook"]["id"], None}
    await stage.until(lambda: _all(http, 3))
    found = await listed(http, task="t1")
    assert {d["webhook"] for d in found} == ids
    assert other["webhook"]["id"] not in ids
    assert len({each.headers["webhook-id"] for each in got}) == 3
    standing = next(d for d in found if d["webhook"] == one["webhook"]["id"])
    sent = next(g for g in got if g.headers["webhook-id"] == standing["id"])
    assert sent.verified(one["secret"])["event"] == "task.cancelled"
    assert "geheim" not in str(found)


async def _all(http, count):
    return len(await listed(http, status="delivered")) == count


async def test_a_secret_is_shown_once_and_a_url_without_its_query(http, receiver):
    made = await added(http, receiver, description="mine")
    assert made["secret"].startswith("whsec_")
    webhook = made["webhook"]
    assert webhook["url"] == f"{receiver.origin}/standing?…"
    assert webhook["events"] == ["task.*"]
    answer = await http.get(WEBHOOKS)
    assert answer.json() == {"webhooks": [webhook]}
    assert await read(http, webhook["id"]) == (200, webhook)
    chat = await added(http, receiver, kind="slack")
    assert (chat["secret"], chat["webhook"]["events"]) == (None, ["notice.*"])
    assert chat["webhook"]["url"] == f"{receiver.origin}/…"


WRONG = [
    ({"url": "http://10.0.0.1/"}, "not public"),
    ({"url": "hooks"}, "not a URL"),
    ({"kind": "fax"}, "standard"),
    ({"events": ["task.lost"]}, "task.succeeded"),
    ({"events": []}, "at least 1"),
    ({"kind": "slack", "secret": "x"}, "ntfy"),
    ({"secret": "geheim"}, "ntfy"),
    ({"kind": "ntfy", "secret": "geheim\r\nX: y"}, "visible ASCII"),
    ({"kind": "ntfy", "secret": "geheim\u00e9"}, "visible ASCII"),
]


async def test_what_cannot_be_a_receiver_is_refused(http, receiver):
    for more, words in WRONG:
        answer = await http.post(WEBHOOKS, json={"url": receiver.origin, **more})
        assert answer.status_code == 422, answer.text
        assert words in answer.text
        assert "geheim" not in answer.text


async def test_a_test_says_what_became_of_it(notifier, receiver, http):
    made = await added(http, receiver)
    place = f"{WEBHOOKS}/{made['webhook']['id']}/test"
    answer = await http.post(place)
    assert answer.status_code == 200, answer.text
    assert answer.json()["ok"] is True
    got = await receiver.next()
    told = got.verified(made["secret"])
    assert (told["type"], told["task"]) == ("test", None)
    assert "test" in told["notice"]["text"]

    receiver.answers = [500]
    told = (await http.post(place)).json()
    assert (told["ok"], told["message"]) == (False, "it answered 500")
    assert told["delivery"]["tries"][0]["status"] == 500
    assert len(receiver.got) == 2  # once, whatever the answer


async def test_a_test_that_takes_long_is_looked_up_later(make_notifier, receiver, http):
    receiver.answers = [silent]
    made = await added(http, receiver)
    async with running(make_notifier(webhook_timeout_secs=4)):
        answer = await http.post(f"{WEBHOOKS}/{made['webhook']['id']}/test")
        assert (answer.status_code, answer.json()["ok"]) == (202, None)
        place = f"{DELIVERIES}/{answer.json()['delivery']['id']}"
        assert (await http.get(place)).json()["delivery"]["status"] == "pending"


async def test_a_new_secret_signs_beside_the_old_one_for_a_while(
    notifier, receiver, http
):
    made = await added(http, receiver)
    place = f"{WEBHOOKS}/{made['webhook']['id']}"
    for grace, holds in ((3600, True), (0, False)):
        old, made = (
            made["secret"],
            (await http.post(f"{place}/rotate", json={"grace_seconds": grace})).json(),
        )
        assert made["secret"] != old
        await http.post(f"{place}/test")
        got = await receiver.next()
        assert got.verified(made["secret"])
        assert len(got.headers["webhook-signature"].split()) == 1 + holds
        if holds:
            assert got.verified(old)


async def test_a_receiver_is_changed_switched_off_and_removed(
    stage, notifier, receiver, http
):
    place = (await added(http, receiver))["webhook"]["id"]
    changes = {"url": f"{receiver.origin}/moved", "events": ["task.failed"]}
    answer = await http.patch(f"{WEBHOOKS}/{place}", json=changes)
    assert answer.json()["webhook"]["url"] == f"{receiver.origin}/moved"
    await cancelled(stage)
    assert await listed(http) == []

    receiver.answers = ["500 x\r\nRetry-After: 3600"]
    await http.patch(f"{WEBHOOKS}/{place}", json={"events": ["task.*"]})
    await cancelled(stage, "t2")
    assert (await receiver.next()).path == "/moved"
    await http.patch(f"{WEBHOOKS}/{place}", json={"enabled": False})
    [one] = await listed(http)
    assert (one["status"], one["error"]) == ("failed", "its endpoint was switched off")
    await cancelled(stage, "t3")
    assert len(await listed(http)) == 1

    assert (await http.delete(f"{WEBHOOKS}/{place}")).json() == {"ok": True}
    assert (await read(http, place))[0] == 404
    assert (await listed(http))[0]["url"] == f"{receiver.origin}/moved"
    again = await http.post(f"{DELIVERIES}/{one['id']}/replay")
    assert again.status_code == 200
    [one] = await until_listed(stage, http, status="failed")
    assert "switched off" in one["error"]
    assert len(receiver.got) == 1


async def test_who_wants_no_more_is_switched_off_and_told_no_more(
    stage, notifier, receiver, http
):
    place = (await added(http, receiver))["webhook"]["id"]
    receiver.answers = [410]
    await cancelled(stage)

    async def is_off():
        found = (await read(http, place))[1]
        return not found["enabled"] and found

    found = await stage.until(is_off)
    assert "410" in found["off_reason"]
    await cancelled(stage, "t2")
    assert len(await listed(http)) == 1

    await http.patch(f"{WEBHOOKS}/{place}", json={"enabled": True})
    found = (await read(http, place))[1]
    assert (found["off_reason"], found["failing_since"]) == (None, None)
    await cancelled(stage, "t3")
    assert (await until_listed(stage, http, status="delivered"))[0]["task"] == "t3"


async def test_who_takes_nothing_for_long_is_switched_off(
    nats, notifier, stage, receiver, http
):
    await stage.app.stop()
    await stage.start_scheduler(webhook_off_secs=0.001)
    place = (await added(http, receiver))["webhook"]["id"]
    receiver.answers = [500, 500, 500]
    await cancelled(stage)

    async def is_off():
        return not (await read(http, place))[1]["enabled"]

    await stage.until(is_off, seconds=20)
    assert "500" in (await read(http, place))[1]["off_reason"]
    [one] = await listed(http)
    assert one["status"] == "failed"
    assert len(receiver.got) == 2


async def test_a_robot_of_a_chat_is_told_in_its_form(stage, notifier, receiver, http):
    await added(http, receiver, kind="wecom", events=["task.*"])
    receiver.answers = [204]
    await cancelled(stage)
    got = await receiver.next()
    assert got.told["msgtype"] == "text"
    assert "Task cancelled" in got.told["text"]["content"]
    assert "webhook-signature" not in got.headers


async def test_what_is_not_there_is_404_and_what_is_no_cursor_422(http):
    for method, place in (
        ("GET", "/x"),
        ("PATCH", "/x"),
        ("DELETE", "/x"),
        ("POST", "/x/test"),
        ("POST", "/x/rotate"),
        ("GET", "/deliveries/x"),
        ("POST", "/deliveries/x/replay"),
    ):
        body = {"json": {"enabled": True}} if method == "PATCH" else {}
        answer = await http.request(method, WEBHOOKS + place, **body)
        assert answer.status_code == 404, place
    answer = await http.get(DELIVERIES, params={"cursor": "x"})
    assert answer.status_code == 422


async def test_deliveries_are_paged(stage, receiver, http):
    await added(http, receiver)
    for number in range(1, 6):
        await cancelled(stage, f"t{number}")
    seen, query = [], {"limit": 2}
    while True:
        page = (await http.get(DELIVERIES, params=query)).json()
        seen += [each["task"] for each in page["deliveries"]]
        if not page["next_cursor"]:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == ["t5", "t4", "t3", "t2", "t1"]
