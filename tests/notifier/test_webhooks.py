"""A task's end is told to its own URL: signed, tried again, once each."""

from base64 import b64encode
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from contracts import requests as asked
from contracts import tasks as said
from contracts import webhooks
from contracts.requests import RequestRefusedError
from contracts.values import Item, ResultRef
from fetch_support import FakeNetwork
from gateway_http.links import LinkKeys, Target
from receiver_support import endless, silent
from runtime.sealing import root_secret
from workers_support import running

SECRET = "whsec_" + b64encode(b"k" * 32).decode()
RESULT = ResultRef(index=0, key="t1/r.mp4", mime="video/mp4", size=1, sha256="ab")


async def cancelled(stage, url, task="t1", secret=None):
    """Make a task with a webhook, and end it."""
    await stage.create(task, webhook=stage.webhook(url, task, secret))
    await stage.taken(int(task[1:]))
    await stage.hands.ask(asked.CancelTask(task=task))


async def deliveries(stage, **wish):
    return (await stage.hands.ask(webhooks.ListDeliveries(**wish))).deliveries


async def ended(stage, status):
    """Await the end of the only delivery; return it with its tries."""

    async def is_there():
        found = await deliveries(stage, status=status)
        return found and found[0]

    one = await stage.until(is_there, seconds=20)
    return await stage.hands.ask(webhooks.ReadDelivery(delivery=one.id))


async def succeeds(stage, task="t1"):
    """Lead a task to its end."""
    submit = await stage.runs(task)
    one = {"task": task, "attempt": submit.attempt}
    item = Item(id="i", urls=("http://127.0.0.1/v.mp4",))
    await stage.hands.emit(said.Generated(**one, n=1, items=(item,)))
    await stage.next(said.StoreResults)
    await stage.hands.emit(said.Stored(**one, results=(RESULT,)))
    await stage.status("succeeded")


async def test_a_cancelled_task_is_told_signed(stage, notifier, receiver):
    await cancelled(stage, f"{receiver.origin}/hook?key=1", secret=SECRET)
    got = await receiver.next()

    assert got.path == "/hook?key=1"
    told = got.verified(SECRET)
    assert told["type"] == told["event"] == "task.cancelled"
    assert told["task"]["id"] == "t1"
    assert told["task"]["status"] == "cancelled"
    assert told["task"]["prompt"] == "a fox"
    assert told["result"] is told["error"] is None
    assert told["delivery_id"] == got.headers["webhook-id"]
    assert got.headers["x-jimeng-event"] == "task.cancelled"
    assert got.headers["x-jimeng-task-id"] == "t1"
    assert got.headers["x-jimeng-attempt"] == "1"
    assert got.headers["x-jimeng-delivery-id"] == got.headers["webhook-id"]
    assert got.headers["x-jimeng-signature"].startswith("sha256=")

    found = await ended(stage, "delivered")
    assert (found.id, found.task, found.n) == (told["delivery_id"], "t1", 1)
    [one] = found.tries
    assert (one.n, one.status, one.error) == (1, 204, None)
    assert "a fox" in one.request


async def test_a_success_is_told_with_its_link_and_a_failure_with_its_reason(
    stage, notifier, receiver
):
    await stage.session()
    await stage.create("t0", webhook=stage.webhook(receiver.origin, "t0"))
    submit = await stage.next(said.SubmitPlain)
    assert (await stage.permit(submit)).granted
    await stage.ends(submit)
    failed = (await receiver.next()).told
    assert failed["event"] == "task.failed"
    assert failed["error"]["kind"]
    assert failed["error"]["message"]

    create = stage.create

    async def with_webhook(task):
        await create(task, webhook=stage.webhook(receiver.origin, task))

    stage.create = with_webhook
    await succeeds(stage)
    told = (await receiver.next()).told
    assert told["event"] == "task.succeeded"
    assert told["result"]["image_urls"] == []
    link = urlsplit(told["result"]["video_url"])
    assert link.path == "/api/v1/tasks/t1/video"
    query = {name: value[0] for name, value in parse_qs(link.query).items()}
    root = root_secret(None, stage.data / "secret.key")
    LinkKeys(root).check(Target("t1"), query, datetime.now(UTC))
    await stage.until(lambda: _all_delivered(stage))
    [kept] = [d for d in await deliveries(stage) if d.task == "t1"]
    [one] = (await stage.hands.ask(webhooks.ReadDelivery(delivery=kept.id))).tries
    assert "signature=*" in one.request
    assert query["signature"] not in one.request
    assert told["error"] is None
    assert told["timestamp"].endswith("Z")


async def test_a_no_is_tried_again_under_the_same_id(stage, notifier, receiver):
    receiver.answers = [500, "302 Found\r\nLocation: /elsewhere", 204]
    await cancelled(stage, receiver.origin)
    got = [await receiver.next() for _ in range(3)]

    assert len({each.headers["webhook-id"] for each in got}) == 1
    assert [each.headers["x-jimeng-attempt"] for each in got] == ["1", "2", "3"]
    found = await ended(stage, "delivered")
    assert [each.status for each in found.tries] == [500, 302, 204]
    assert "redirects are not followed" in found.tries[1].error
    assert [each.path for each in receiver.got] == ["/", "/", "/"]


async def test_a_receiver_that_says_again_what_it_was_told_tells_no_key(
    stage, notifier, receiver
):
    said_again = "signature=abc-_1 signature%3Dabc"
    length = len(said_again)
    receiver.answers = [
        f"400 Bad Request\r\nContent-Length: {length}\r\n\r\n{said_again}"
    ]
    await cancelled(stage, receiver.origin)
    found = await ended(stage, "delivered")

    assert [each.status for each in found.tries] == [400, 204]
    assert found.tries[0].response.startswith("signature=* signature%3D*")


async def test_of_a_deleted_task_nothing_more_is_told_nor_kept(
    stage, notifier, receiver
):
    receiver.answers = ["503 Busy\r\nRetry-After: 60"]
    await cancelled(stage, receiver.origin)
    await receiver.next()

    async def waits_for_its_second_try():
        return [each for each in await deliveries(stage) if each.n > 1]

    [waiting] = await stage.until(waits_for_its_second_try, seconds=20)
    await stage.hands.ask(asked.DeleteTask(task="t1"))
    due = await stage.hands.ask(webhooks.AskDelivery(delivery=waiting.id, n=2))

    assert due.due is False
    assert await deliveries(stage) == ()
    with pytest.raises(RequestRefusedError):
        await stage.hands.ask(webhooks.ReplayDelivery(delivery=waiting.id))


async def test_it_is_given_up_after_the_last_try_and_sent_again_by_a_replay(
    stage, notifier, receiver
):
    receiver.answers = [500, 500, 500, 500]
    await cancelled(stage, receiver.origin)
    found = await ended(stage, "failed")
    assert (found.n, found.error, found.due_at) == (4, "it answered 500", None)

    again = await stage.hands.ask(webhooks.ReplayDelivery(delivery=found.id))
    assert (again.status, again.n) == ("pending", 5)
    found = await ended(stage, "delivered")
    assert len(found.tries) == len(receiver.got) == 5
    assert len({each.headers["webhook-id"] for each in receiver.got}) == 1


async def test_what_is_pending_is_not_replayed(stage, receiver):
    await cancelled(stage, receiver.origin)
    [one] = await deliveries(stage)
    with pytest.raises(RequestRefusedError) as no:
        await stage.hands.ask(webhooks.ReplayDelivery(delivery=one.id))
    assert (no.value.refusal.status, no.value.refusal.type) == (409, "delivery-pending")
    with pytest.raises(RequestRefusedError) as no:
        await stage.hands.ask(webhooks.ReplayDelivery(delivery="msg_0"))
    assert no.value.refusal.status == 404


async def test_a_receiver_that_is_gone_is_told_once(stage, notifier, receiver):
    receiver.answers = [410]
    await cancelled(stage, receiver.origin)
    found = await ended(stage, "failed")
    assert (found.n, len(found.tries)) == (1, 1)
    assert "410" in found.error


async def test_who_asks_for_time_gets_it(stage, notifier, receiver):
    receiver.answers = ["429 Slow\r\nRetry-After: 3600"]
    await cancelled(stage, receiver.origin)
    await receiver.next()

    async def is_put_off():
        [one] = await deliveries(stage)
        return one.n == 2 and one.due_at

    due = await stage.until(is_put_off)
    assert 3500 < (due - datetime.now(UTC)).total_seconds() <= 3600


async def test_a_receiver_that_does_not_answer_in_time_has_failed(
    stage, make_notifier, receiver
):
    receiver.answers = [silent, 204]
    async with running(make_notifier(webhook_timeout_secs=0.3)):
        await cancelled(stage, receiver.origin)
        found = await ended(stage, "delivered")
    assert "did not answer within 0.3 s" in found.tries[0].error


async def test_a_receiver_that_never_stops_talking_has_answered(
    stage, notifier, receiver
):
    receiver.answers = [endless]
    await cancelled(stage, receiver.origin)
    found = await ended(stage, "delivered")
    assert found.tries[0].response == "x" * 1024


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("http://169.254.169.254/", {}),
        ("http://sly.example/", {"sly.example": ["10.0.0.1"]}),
    ],
)
async def test_a_private_address_is_not_spoken_to(stage, make_notifier, url, names):
    network = FakeNetwork(names)
    async with running(make_notifier(network)):
        await cancelled(stage, url)
        found = await ended(stage, "failed")
    assert len(found.tries) == 4
    assert "WEBHOOK_ALLOW" in found.error
    assert network.dialled == []


async def test_a_task_without_a_webhook_is_told_to_nobody(stage, notifier):
    await stage.create()
    await stage.taken(1)
    await stage.hands.ask(asked.CancelTask(task="t1"))
    await stage.status("cancelled")
    assert await deliveries(stage) == ()


async def test_a_task_taken_in_twice_is_told_once(stage, notifier, receiver):
    await cancelled(stage, receiver.origin)
    await receiver.next()
    await stage.hands.ask(asked.CancelTask(task="t1"))
    await ended(stage, "delivered")
    assert len(await deliveries(stage)) == len(receiver.got) == 1


async def test_a_retry_keeps_the_webhook_or_drops_it(stage, notifier, receiver):
    await cancelled(stage, receiver.origin, secret=SECRET)
    await receiver.next()
    for new, more in (("t2", {}), ("t3", {"webhook": "none"})):
        wish = asked.RetryTask(task="t1", new_task=new, again=True, **more)
        found = await stage.hands.ask(wish)
        assert found.webhook_url == (None if more else receiver.origin)
        await stage.hands.ask(asked.CancelTask(task=new))
    got = await receiver.next()
    assert got.verified(SECRET)["task"]["id"] == "t2"
    assert {d.task for d in await deliveries(stage)} == {"t1", "t2"}


async def test_what_no_notifier_was_there_for_is_sent_by_the_next(
    stage, make_notifier, receiver
):
    await cancelled(stage, receiver.origin)
    [one] = await deliveries(stage)
    assert one.status == "pending"
    async with running(make_notifier()):
        assert (await receiver.next()).headers["webhook-id"] == one.id
        await ended(stage, "delivered")
    assert len(receiver.got) == 1


async def test_a_notifier_that_stops_in_the_middle_leaves_it_to_the_next(
    stage, make_notifier, receiver
):
    receiver.answers = [silent]
    async with running(make_notifier()):
        await cancelled(stage, receiver.origin)
        first = await receiver.next()
    async with running(make_notifier()):
        second = await receiver.next()
        await ended(stage, "delivered")
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert len(receiver.got) == 2


async def test_a_scheduler_that_restarts_sends_what_is_due_and_nothing_else(
    stage, make_notifier, receiver
):
    receiver.answers = [204, 500]
    async with running(make_notifier()):
        await cancelled(stage, receiver.origin)
        await ended(stage, "delivered")
        await stage.app.stop()
        # Its answer is told while no scheduler is there.
        await stage.start_scheduler(webhook_pauses_secs="1")
        await cancelled(stage, receiver.origin, "t2")
        await receiver.next()
        await receiver.next()
        await stage.app.stop()
        await stage.start_scheduler(webhook_pauses_secs="1")
        # What was handed to the one that stopped comes back after ACK_WAIT_SECS.
        third = await receiver.next(seconds=45)
        await stage.until(lambda: _all_delivered(stage))
    assert third.told["task"]["id"] == "t2"
    assert len(receiver.got) == 3


async def _all_delivered(stage):
    return all(d.status == "delivered" for d in await deliveries(stage))


async def test_one_that_was_sealed_with_another_key_is_given_up_in_words(
    stage, notifier, receiver
):
    await stage.create(webhook=stage.webhook(receiver.origin, "another-task"))
    await stage.taken(1)
    await stage.hands.ask(asked.CancelTask(task="t1"))
    found = await ended(stage, "failed")
    assert "damaged" in found.error
    assert receiver.got == []


async def test_a_slow_receiver_does_not_keep_the_others_waiting(
    stage, make_notifier, receiver
):
    receiver.answers = [silent] * 8
    async with running(make_notifier(webhook_concurrency=10)):
        for number in range(1, 13):
            await cancelled(stage, receiver.origin, f"t{number}")
        for _ in range(8):
            await receiver.next()
        other = receiver.origin.replace("127.0.0.1", "localhost")
        await cancelled(stage, f"{other}/other", "t13")
        found = [d for d in await deliveries(stage) if d.task == "t13"]

        async def is_tried():
            wish = webhooks.ReadDelivery(delivery=found[0].id)
            return (await stage.hands.ask(wish)).tries

        assert await stage.until(is_tried)
