"""What operators do is on record: who, what, on what, and what came of it."""

import json

from access_support import record
from contracts.audit import DeedAnswered, DeedAsked

SECRET = "0123456789abcdef0123456789abcdef"


async def test_a_key_is_made_changed_and_deleted_on_record(door, on_record):
    _, key = await door.key(name="farm")
    chief, own = await door.key(name="chief", scopes=["admin"])
    place = f"/api/v1/keys/{key['id']}"
    await chief.patch(place, json={"enabled": False})
    await chief.patch(place, json={"rate_limit": -1})
    await chief.delete(place)
    await chief.delete(place)
    found = await on_record(4, actor=f"key:{own['id']}")
    told = [(each["action"], each["target"], each["status"]) for each in found]
    assert told == [
        ("keys.delete", key["id"], 404),
        ("keys.delete", key["id"], 200),
        ("keys.change", key["id"], 422),
        ("keys.change", key["id"], 200),
    ]
    assert {each["name"] for each in found} == {"chief"}
    made = await on_record(2, action="keys.create")
    assert [each["target"] for each in made] == [own["id"], key["id"]]


async def test_who_tries_what_they_may_not_is_on_record(door, on_record):
    client, key = await door.key()
    assert (await client.delete("/api/v1/sessions/s1")).status_code == 403
    [found] = await on_record(1, actor=f"key:{key['id']}")
    assert (found["action"], found["status"]) == ("sessions.remove", 403)


async def test_clients_at_their_own_tasks_are_not_but_operators_at_them_are(
    door, on_record, until
):
    client, key = await door.key()
    chief, own = await door.key(scopes=["admin"])
    for who in (client, chief):
        task = await door.task(who)

        async def is_cancelled(who=who, task=task):
            return (await who.post(f"/api/v1/tasks/{task}/cancel")).is_success

        await until(is_cancelled)
    found = await on_record(1, actor=f"key:{own['id']}")
    assert {(each["action"], each["target"]) for each in found} == {
        ("tasks.cancel", task)
    }
    assert await record(door, actor=f"key:{key['id']}") == []


async def test_no_secret_is_on_record(door, on_record, nats):
    body = {"session_id": SECRET, "label": "mine"}
    await door.admin.post("/api/v1/sessions", json=body)
    _, key = await door.key()
    found = await on_record(2)
    assert SECRET not in json.dumps(found)
    assert key["key"] not in json.dumps(found)


async def test_the_record_is_read_page_by_page(door, on_record):
    for _ in range(5):
        await door.key()
    await on_record(5)
    seen, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        answer = await door.admin.get("/api/v1/audit", params={"limit": 2, **more})
        page = answer.json()
        seen += [each["id"] for each in page["audit"]]
        if not (cursor := page["next_cursor"]):
            break
    assert len(set(seen)) == len(seen) == 5
    wrong = await door.admin.get("/api/v1/audit", params={"cursor": "x"})
    assert wrong.status_code == 422


async def test_what_cannot_be_put_on_record_is_not_done(open_door, nats):
    """The stream of events is away, all else is there."""
    async with open_door() as door:
        client = await nats.connect()
        config = (await client.jetstream().stream_info("EVT")).config
        config.subjects = ["evt.nothing.>"]
        _, key = await door.key()
        await client.jetstream().update_stream(config)
        answer = await door.admin.delete(f"/api/v1/keys/{key['id']}")
        assert (answer.status_code, answer.json()["type"]) == (503, "unavailable")
        there = await door.admin.get(f"/api/v1/keys/{key['id']}")
        assert there.status_code == 200
        await client.close()


async def test_either_telling_may_come_first_or_twice(door, on_record, make_bus):
    bus = make_bus("gateway-http")
    await bus.start()
    asked_for = DeedAsked(deed="d1", actor="a", name="n", action="keys.create")
    done = DeedAnswered(deed="d1", status=201, target="k9")
    for event in (done, asked_for, done, asked_for):
        await bus.emit(event)
    [found] = await on_record(1, actor="a")
    assert (found["target"], found["status"], found["id"]) == ("k9", 201, "d1")
