"""`jimeng keys`: the first key on the host, the others with it."""

import json
import re

import pytest

from contracts.bus import Bus
from contracts.keys import CreateKey, Key, hash_of
from contracts.message import now
from standalone.nats_server import NatsServer


@pytest.fixture
async def made(tmp_path):
    """Give the keys that are made; an embedded server and who answers run beside."""
    keys = []
    async with NatsServer(tmp_path / "data", pytest.fail) as server:
        await server.provision()
        bus = Bus("scheduler", server.link("scheduler"), fatal=pytest.fail)

        @bus.answer(CreateKey)
        async def create(wish):
            keys.append(wish)
            told = wish.model_dump(exclude={"hash"})
            return Key(id="k1", created_at=now(), updated_at=now(), **told)

        await bus.start()
        yield keys
        await bus.stop()


async def test_the_first_admin_key_is_made_on_the_host_and_shown_once(nowhere, made):
    ended = await nowhere("keys", "create", "mine", "--admin", "--expires", "30")
    assert ended.status == 0, ended.err
    assert re.fullmatch(r"gw_[0-9a-f]{64}\n", ended.out)
    [wish] = made
    assert wish.hash == hash_of(ended.out.strip())
    assert (wish.name, wish.scopes) == ("mine", ("admin",))
    assert 29 < (wish.expires_at - now()).days + 1 < 31
    assert "once" in ended.err
    assert ended.out.strip() not in ended.err + wish.model_dump_json()


async def test_where_no_gateway_runs_the_command_says_so(nowhere):
    ended = await nowhere("keys", "create", "mine", "--admin")
    assert (ended.status, ended.out) == (2, "")
    assert "no gateway has run" in ended.err


async def test_keys_are_made_listed_changed_rotated_and_revoked(door, jimeng_at):
    jimeng = jimeng_at(door.gateway.url, door.token)
    made = await jimeng("keys", "create", "farm", "--scopes", "task:read,task:cancel")
    assert made.status == 0, made.err
    secret = made.out.strip()
    client = door.client(secret)
    assert (await client.get("/api/v1/tasks")).status_code == 200

    listed = json.loads((await jimeng("keys", "list", "--json")).out)["keys"]
    assert [(k["name"], k["key"]) for k in listed] == [("farm", None)]
    key = listed[0]["id"]
    changed = await jimeng("keys", "set", key, "--daily-quota", "3", "--no-enabled")
    assert "disabled" in changed.out
    assert (await client.get("/api/v1/tasks")).status_code == 403
    await jimeng("keys", "set", key, "--enabled")

    rotated = await jimeng("keys", "rotate", key, "--json")
    assert json.loads(rotated.out)["key"].startswith("gw_")
    assert (await client.get("/api/v1/tasks")).status_code == 401
    assert (await jimeng("keys", "revoke", key)).out == f"{key}: revoked\n"
    assert (await jimeng("keys", "list")).out.count("\n") == 1

    nothing = await jimeng("keys", "set", key)
    assert (nothing.status, "nothing to change" in nothing.err) == (2, True)


async def test_without_a_key_the_command_says_what_is_missing(door, jimeng_at):
    ended = await jimeng_at(door.gateway.url)("tasks")
    assert ended.status == 1
    assert "a key is needed" in ended.err
