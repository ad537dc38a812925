"""Requests a minute and tasks a day: counted once, whoever counts."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from access_support import WISH
from contracts.counting import REQUESTS, TASKS, add, read
from contracts.streams import streams

NOON = datetime(2026, 11, 21, 12, 0, 20, tzinfo=UTC)


class Clock:
    """What time the gateways believe it is."""

    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def timed(open_door, clock):
    """A gateway with sign-in whose clock stands still."""
    async with open_door(clock=clock) as door:
        yield door


async def create(client, **more):
    return await client.post("/api/v1/tasks", json=WISH, **more)


async def used(nats, key, period=TASKS):
    client = await nats.connect()
    try:
        return await read(client.jetstream(), period, key["id"], NOON)
    finally:
        await client.close()


async def test_two_gateways_that_race_let_through_exactly_what_is_allowed(timed, nats):
    async with timed.another() as other:
        _, key = await timed.key(rate_limit=20)
        clients = [timed.client(key["key"], g) for g in (timed.gateway, other)] * 25
        answers = await asyncio.gather(*(c.get("/api/v1/tasks") for c in clients))
        assert Counter(a.status_code for a in answers) == {200: 20, 429: 30}
        left = sorted(int(a.headers["x-ratelimit-remaining"]) for a in answers)
        assert left == [0] * 31 + list(range(1, 20))

        _, key = await timed.key(rate_limit=0, daily_quota=5)
        clients = [timed.client(key["key"], g) for g in (timed.gateway, other)] * 10
        answers = await asyncio.gather(*(create(c) for c in clients))
        made = [a for a in answers if a.status_code == 201]
        assert len(made) == 5
        assert await used(nats, key) == 5


async def test_what_is_left_is_told_with_each_answer(timed, clock):
    client, _ = await timed.key(rate_limit=3, daily_quota=9)
    answer = await client.get("/api/v1/stats")
    assert answer.headers["ratelimit-policy"] == '"minute";q=3;w=60'
    assert answer.headers["ratelimit"] == '"minute";r=2;t=40'
    assert answer.headers["x-ratelimit-limit-requests"] == "3"
    assert answer.headers["x-ratelimit-reset-requests"] == "40s"
    answer = await create(client)
    policy = '"minute";q=3;w=60, "day";q=9;w=86400'
    assert answer.headers["ratelimit-policy"] == policy
    assert answer.headers["ratelimit"] == '"minute";r=1;t=40, "day";r=8;t=43180'
    assert (await client.get("/api/v1/nothing")).headers["x-ratelimit-remaining"] == "0"
    answer = await client.get("/api/v1/stats")
    assert (answer.status_code, answer.json()["type"]) == (429, "rate_limited")
    assert answer.headers["retry-after"] == "40"
    assert answer.json()["violated_policies"] == ["minute"]
    clock.now += timedelta(seconds=40)
    assert (await client.get("/api/v1/stats")).status_code == 200


async def test_a_day_ends_at_midnight_utc(timed, clock):
    client, _ = await timed.key(daily_quota=1)
    assert (await create(client)).status_code == 201
    answer = await create(client)
    assert (answer.status_code, answer.json()["type"]) == (429, "quota_exceeded")
    assert answer.headers["retry-after"] == "43180"
    clock.now = datetime(2026, 11, 22, tzinfo=UTC)
    assert (await create(client)).status_code == 201


async def test_what_is_refused_is_given_back(timed, nats):
    client, key = await timed.key(daily_quota=2, scopes=["video:create", "task:retry"])
    for wrong in ({"prompt": ""}, {"prompt": "x", "duration": 99}, ["no object"]):
        assert (await client.post("/api/v1/tasks", json=wrong)).status_code == 422
    broken = {"content": b"{", "headers": {"content-type": "application/json"}}
    assert (await client.post("/api/v1/tasks", **broken)).status_code == 400
    assert (await client.post("/api/v1/tasks/none/retry")).status_code == 404
    assert await used(nats, key) == 0
    task = (await create(client)).json()["task_id"]
    assert (await client.post(f"/api/v1/tasks/{task}/retry")).status_code == 409
    assert await used(nats, key) == 1
    looker, none = await timed.key(daily_quota=2, scopes=["task:read"])
    assert (await create(looker)).status_code == 403
    assert await used(nats, none) == 0


async def test_the_same_wish_again_counts_once(timed, nats, until):
    client, key = await timed.key(daily_quota=3)
    once = {"headers": {"idempotency-key": "one"}}
    first, again = await create(client, **once), await create(client, **once)
    assert first.json()["task_id"] == again.json()["task_id"]

    async def is_one():
        return await used(nats, key) == 1

    await until(is_one)  # given back once the answer has left


async def test_what_was_accepted_is_told_again_when_the_day_is_used_up(timed, nats):
    client, key = await timed.key(daily_quota=1, daily_credits=25)
    once = {"headers": {"idempotency-key": "one"}}
    first = await create(client, **once)
    again = [await create(client, **once) for _ in "12"]
    assert [answer.status_code for answer in again] == [201, 201]
    assert {a.json()["task_id"] for a in again} == {first.json()["task_id"]}
    assert (await create(client)).status_code == 429
    other = {"headers": {"idempotency-key": "two"}}
    assert [(await create(client, **other)).status_code for _ in "12"] == [429, 429]
    assert await used(nats, key) == 1


async def test_the_last_task_of_a_day_goes_to_equal_requests_as_one(timed):
    client, _ = await timed.key(daily_quota=1)
    once = {"headers": {"idempotency-key": "one"}}
    answers = await asyncio.gather(*(create(client, **once) for _ in range(6)))
    made = [a for a in answers if a.status_code == 201]
    assert len({a.json()["task_id"] for a in made}) == 1
    late = await asyncio.gather(*(create(client, **once) for _ in range(6)))
    assert {a.status_code for a in late} == {201}


async def test_what_may_be_accepted_by_asking_again_stays_counted(timed, nats):
    """Given back, it would be had for nothing: asked again it is no new task."""
    client, key = await timed.key(daily_quota=3)
    broker = await nats.connect()
    [queue] = [s for s in streams() if s.name == "CMD"]
    once = {"headers": {"idempotency-key": "one"}}
    await broker.jetstream().update_stream(queue.evolve(max_bytes=1))
    told = [(await create(client, **more)).status_code for more in (once, {})]
    await broker.jetstream().update_stream(queue)
    await broker.close()
    assert told == [503, 503]
    assert (await create(client, **once)).status_code == 201
    assert await used(nats, key) == 1


async def test_a_retry_counts_as_a_task(timed, nats, until):
    client, key = await timed.key(daily_quota=2)
    task = (await create(client)).json()["task_id"]

    async def is_cancelled():
        return (await client.post(f"/api/v1/tasks/{task}/cancel")).status_code == 200

    await until(is_cancelled)
    assert (await client.post(f"/api/v1/tasks/{task}/retry")).status_code == 201
    assert await used(nats, key) == 2
    assert (await client.post(f"/api/v1/tasks/{task}/retry")).status_code == 429


async def test_limits_hold_while_the_scheduler_is_away(timed, nats):
    client, key = await timed.key(daily_quota=2, rate_limit=4)
    await timed.scheduler.stop()
    told = [(await create(client)).status_code for _ in range(5)]
    assert told == [201, 201, 429, 429, 429]
    assert await used(nats, key) == 2
    assert await used(nats, key, REQUESTS) == 5


async def test_a_changed_limit_holds_for_the_next_request(timed):
    client, key = await timed.key(daily_quota=1)
    assert [(await create(client)).status_code for _ in "12"] == [201, 429]
    place = f"/api/v1/keys/{key['id']}"
    await timed.admin.patch(place, json={"daily_quota": 2})
    assert [(await create(client)).status_code for _ in "12"] == [201, 429]
    await timed.admin.patch(place, json={"daily_quota": 0})
    assert (await create(client)).status_code == 201


async def test_people_and_the_operators_token_have_no_limits(timed):
    answer = await timed.admin.get("/api/v1/tasks")
    assert not [name for name in answer.headers if "ratelimit" in name]


async def test_an_addition_made_again_counts_once(nats):
    await nats.provision()
    client = await nats.connect()
    js, subject = client.jetstream(), TASKS.subject("k", NOON)
    assert await add(js, subject, 1, "a") == 1
    assert await add(js, subject, 1, "b") == 2
    assert await add(js, subject, 1, "a") == 2
    assert await add(js, subject, -1, "c") == 1
    assert await read(js, TASKS, "k", NOON) == 1
    assert await read(js, TASKS, "another", NOON) == 0
    await client.close()


async def test_a_day_is_still_known_after_nats_came_back(timed, nats, until):
    client, key = await timed.key(daily_quota=2)
    assert (await create(client)).status_code == 201
    nats.restart()

    async def answers():
        return (await client.get("/api/v1/stats")).status_code == 200

    await until(answers, 20)
    assert await used(nats, key) == 1
    assert [(await create(client)).status_code for _ in "12"] == [201, 429]


async def test_a_budget_is_kept_by_the_estimate(door):
    """A second of a 3.0 video counts 5, and it has 5 of them."""
    client, key = await door.key(daily_credits=60)
    answer = await create(client)
    assert '"credits";r=35;t=' in answer.headers["ratelimit"]
    assert (await create(client)).status_code == 201
    answer = await create(client)
    assert (answer.status_code, answer.json()["type"]) == (429, "budget_exceeded")
    me = (await client.get("/api/v1/me")).json()
    left = {"task_count": 2, "quota_remaining": -1}
    assert me["today"] == left | {"credits": 50, "credits_remaining": 10}
    assert (me["name"], me["key"]["key_prefix"]) == ("k", key["key_prefix"])
    cheap = {"prompt": "a fox", "model": "jimeng-4.0"}
    assert (await client.post("/api/v1/tasks", json=cheap)).status_code == 201
    assert (await client.get("/api/v1/me")).json()["today"]["credits"] == 54


async def test_a_refused_budget_cannot_be_had_by_asking_again(door):
    client, _ = await door.key(daily_credits=10)
    once = {"headers": {"idempotency-key": "one"}}
    assert [(await create(client, **once)).status_code for _ in "12"] == [429, 429]
    assert (await client.get("/api/v1/me")).json()["today"]["task_count"] == 0


async def test_a_cancelled_task_gives_its_credits_back(door, until):
    client, _ = await door.key(daily_credits=25)
    task = (await create(client)).json()["task_id"]
    assert (await create(client)).status_code == 429

    async def cancelled():
        return (await client.post(f"/api/v1/tasks/{task}/cancel")).is_success

    async def is_given_back():
        return (await client.get("/api/v1/me")).json()["today"]["credits"] == 0

    await until(cancelled)
    await until(is_given_back)
    assert (await client.post(f"/api/v1/tasks/{task}/retry")).status_code == 201
    assert (await create(client)).status_code == 429


async def test_an_admin_retries_at_the_owners_cost_and_beyond_its_budget(door, until):
    client, _ = await door.key(daily_credits=25)
    task = (await create(client)).json()["task_id"]

    async def is_cancelled():
        return (await client.post(f"/api/v1/tasks/{task}/cancel")).is_success

    await until(is_cancelled)
    for _ in "12":
        answer = await door.admin.post(f"/api/v1/tasks/{task}/retry")
        assert answer.status_code == 201

    async def is_counted():
        return (await client.get("/api/v1/me")).json()["today"]["credits"] == 50

    await until(is_counted)


async def test_usage_is_told_by_day_and_by_owner(door, until):
    client, key = await door.key(name="farm")
    for _ in "12":
        await create(client)
    await create(door.admin)

    async def all_three():
        told = (await door.admin.get("/api/v1/usage")).json()
        return told if told["total"]["task_count"] == 3 else None

    told = await until(all_three)
    mine = next(u for u in told["usage"] if u["api_key_name"] == "farm")
    assert (mine["api_key_id"], mine["task_count"], mine["credits"]) == (
        key["id"],
        2,
        50,
    )
    await door.admin.delete(f"/api/v1/keys/{key['id']}")
    summary = (await door.admin.get("/api/v1/usage/summary")).json()["summary"]
    assert [(s["api_key_name"], s["task_count"]) for s in summary] == [
        ("farm", 2),
        (None, 1),
    ]
    only = {"key_id": key["id"]}
    alone = (await door.admin.get("/api/v1/usage", params=only)).json()
    assert alone["total"]["task_count"] == 2
    for first, last, status in (
        ("2026-01-01", "2025-12-31", 422),
        ("2024-01-01", "2026-01-01", 422),
        ("0001-01-01", "0001-01-01", 200),
        (None, "0001-01-01", 200),
        ("9999-12-31", "9999-12-31", 200),
        ("soon", None, 422),
    ):
        days = {n: v for n, v in (("from", first), ("to", last)) if v}
        answer = await door.admin.get("/api/v1/usage", params=days)
        assert answer.status_code == status, answer.text


async def test_who_has_no_key_is_told_what_it_may(door):
    me = (await door.admin.get("/api/v1/me")).json()
    assert me == {"name": "admin token", "scopes": ["admin"], "key": None} | {
        "today": None
    }


async def test_each_task_of_a_batch_counts(door, until):
    client, _ = await door.key(daily_quota=5, daily_credits=125)
    tasks = [(await create(client)).json()["task_id"] for _ in "123"]
    for task in tasks:

        async def is_cancelled(task=task):
            return (await client.post(f"/api/v1/tasks/{task}/cancel")).is_success

        await until(is_cancelled)
    body = {"status": ["cancelled"]}
    place = "/api/v1/tasks/retry"
    counted = await client.post(place, json=body | {"dry_run": True})
    assert counted.json()["matched"] == 3
    outcome = (await client.post(place, json=body)).json()
    assert (outcome["done"], outcome["failed"]) == (2, 1)
    assert outcome["failures"][0]["type"] == "quota_exceeded"
    today = (await client.get("/api/v1/me")).json()["today"]
    assert (today["task_count"], today["quota_remaining"]) == (5, 0)


async def test_what_was_accepted_counts_whatever_is_answered_then(door, until):
    """The task goes on, so giving it back would let its caller have it for nothing."""
    client, _ = await door.key(daily_quota=9, daily_credits=100)
    wish = {"prompt": "a fox", "model": "jimeng-4.0"}
    again = {"headers": {"idempotency-key": "one"}, "json": wish, "timeout": 60}
    place = "/v1/images/generations"
    for wrong in ({"prompt": ""}, {"prompt": "x", "model": "nothing"}, {}):
        assert (await client.post(place, json=wrong)).is_client_error
    assert (await client.get("/api/v1/me")).json()["today"]["task_count"] == 0
    asking = [asyncio.create_task(client.post(place, **again)) for _ in "12"]

    async def cancelled():
        tasks = (await client.get("/api/v1/tasks")).json()["tasks"]
        for task in tasks:
            await client.post(f"/api/v1/tasks/{task['id']}/cancel")
        return bool(tasks)

    await until(cancelled, 20)
    answers = await asyncio.gather(*asking)
    assert all(not answer.is_success for answer in answers)

    async def corrected():  # by the scheduler, and by nobody else
        today = (await client.get("/api/v1/me")).json()["today"]
        return (today["task_count"], today["credits_remaining"]) == (1, 100)

    await until(corrected)
    assert (await client.post("/api/v1/tasks", json=wish)).status_code == 201
    today = (await client.get("/api/v1/me")).json()["today"]
    assert (today["task_count"], today["credits"]) == (2, 4)
