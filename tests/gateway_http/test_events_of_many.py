"""Events of many tasks and of accounts: filtered, owners apart, readers bounded."""

import asyncio
import socket
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from contracts.message import now
from contracts.pool import Session
from contracts.sessions import Credits, SessionChanged
from gateway_http.live.follower import MOST_BYTES
from gateway_http.parts import Patience
from sse_support import Story, Stream, Teller, following

PATH = "/api/v1/events"


@pytest.fixture
def stories(scheduler):
    """Make tasks that the scheduler knows: `stories("a", owner="key:1")`."""
    return lambda task, **fields: Story(scheduler, task, **fields)


def names(events):
    return [(each.body["task"]["id"], each.name) for each in events]


async def test_all_tasks_are_shown_and_followed(gateway, stories):
    old, new = stories("old"), stories("new", kind="image")
    await old.tell()
    async with following(gateway.http, PATH) as stream:
        first = await stream.next()
        await old.go("polling")
        await new.tell()  # of which the snapshot knew
        await new.go("cancelled", deleted_at=now())
        found = [await stream.next(), await stream.next()]
    shown = {task["id"]: task["status"] for task in first.body["tasks"]}
    assert (first.name, first.id in {0, 1}) == ("snapshot", True)
    assert shown == {"old": "queued", "new": "queued"}
    assert names(found) == [("old", "polling"), ("new", "cancelled")]
    assert found[0].id < found[1].id


FILTERS = {
    "status": ({"status": ["polling", "failed"]}, ["b polling", "a failed"]),
    "kind": ({"kind": "image"}, ["c queued", "c polling"]),
    "model": ({"model": "other"}, ["b queued", "b polling"]),
    "owner": ({"owner": ["key:1"]}, ["b queued", "b polling"]),
    "ids": ({"task_id": ["b", "none"]}, ["b queued", "b polling"]),
    "two": ({"status": "failed", "kind": "video"}, ["a failed"]),
}


@pytest.mark.parametrize("wish", FILTERS)
async def test_only_what_is_asked_for_is_sent(gateway, stories, wish):
    query, wanted = FILTERS[wish]
    wanted = [*wanted, "c polling"] if wish == "status" else wanted
    async with following(gateway.http, PATH, **query) as stream:
        await stream.next()
        a, b, c = (
            stories("a"),
            stories("b", owner="key:1", model="other"),
            stories("c", kind="image"),
        )
        for each in (a, b, c):
            await each.tell()
        await b.go("polling")
        await a.go("failed")
        await c.go("polling")
        found = [await stream.next() for _ in wanted]
    assert sorted(map(" ".join, names(found))) == sorted(wanted)


async def test_a_snapshot_shows_what_is_asked_for(gateway, stories):
    stories("a"), stories("b", kind="image"), stories("c", kind="image")
    cases = {
        (("kind", "image"),): ["b", "c"],
        (("task_id", "c"), ("task_id", "none")): ["c"],
        (("limit", "0"),): [],
        (("about", "sessions"),): [],
    }
    for query, wanted in cases.items():
        async with gateway.http.stream("GET", PATH, params=query) as response:
            first = await Stream(response).next()
        assert sorted(task["id"] for task in first.body["tasks"]) == wanted


async def test_a_stream_of_many_goes_on_after_the_last_id(gateway, stories):
    first, second = stories("a"), stories("b", kind="image")
    for story in (first, second):
        await story.tell()
    async with following(gateway.http, PATH, kind="image") as stream:
        last = (await stream.next()).id
    for _ in range(150):  # more than one batch
        await first.go("polling")
    await second.go("polling", "failed")
    async with following(gateway.http, PATH, last, kind="image") as stream:
        missed = [await stream.next(), await stream.next()]
        await second.go("failed", files_deleted_at=now())
        live = await stream.next()
    assert names([*missed, live]) == [
        *[("b", "polling"), ("b", "failed"), ("b", "progressed")]
    ]
    async with following(gateway.http, PATH, 10_000_000) as stream:
        assert (await stream.next()).name == "reset"


async def test_an_owner_is_told_of_its_own_tasks_only(door):
    (mine, my_key), (_, other_key) = await door.key(), await door.key()
    teller = Teller(door.scheduler.bus)
    others = f"key:{other_key['id']}"
    a = Story(teller, "mine", owner=f"key:{my_key['id']}")
    b = Story(teller, "others", owner=others)
    c = Story(teller, "nobodys")
    async with (
        following(mine, PATH, owner=others) as theirs,
        following(mine, PATH) as stream,
        following(door.admin, PATH) as all_of_them,
    ):
        for each in (theirs, stream, all_of_them):
            assert (await each.next()).body["tasks"] == []
        for story in (b, c, a):
            await story.tell()
        live = await stream.next()
        everybodys = [await all_of_them.next() for _ in range(3)]
        async with following(mine, PATH, everybodys[0].id - 1) as again:
            replayed = await again.next()
        refused = await mine.get(b.path, headers={"Last-Event-ID": "1"})
        sessions = await mine.get(PATH, params={"about": "sessions"})
        await door.gateway.app.stop()
        assert await theirs.rest() == await stream.rest() == []
    assert names([live, replayed]) == [("mine", "queued")] * 2
    assert [task for task, _ in names(everybodys)] == ["others", "nobodys", "mine"]
    assert refused.status_code == 404
    assert (sessions.status_code, sessions.json()["scope"]) == (403, "session:read")


async def test_a_key_may_open_so_many_streams(door):
    mine, _ = await door.key()
    async with AsyncExitStack() as opened:
        streams = [
            await opened.enter_async_context(following(mine, PATH, limit=0))
            for _ in range(20)
        ]
        refused = await mine.get(PATH)
        async with following(door.admin, PATH, limit=0) as other:
            assert (await other.next()).name == "snapshot"
    assert [refused.status_code, len(streams)] == [429, 20]
    assert refused.json()["detail"].startswith("20 streams are open with this key")


async def test_who_has_a_key_is_looked_at_anew_now_and_then(open_door):
    async with open_door(patience=Patience(stream=0.1)) as door:
        mine, _ = await door.key()
        async with following(mine, PATH) as stream:
            assert [each.name for each in await stream.rest()] == ["snapshot"]
    assert stream.comments[-1].startswith("come again with the last id")


async def test_accounts_are_shown_and_followed(gateway, scheduler, stories):
    moment = now()
    scheduler.sessions["s1"] = Session(
        id="s1",
        label="mine",
        masked="abcd...wxyz",
        region="cn",
        state="active",
        created_at=moment,
        updated_at=moment,
    )
    about = {"about": ["tasks", "sessions"]}
    async with (
        following(gateway.http, PATH, about="sessions") as stream,
        following(gateway.http, PATH, **about) as both,
    ):
        first, other = await stream.next(), await both.next()
        await stories("a").tell()
        await scheduler.bus.emit(
            SessionChanged(
                session="s1",
                n=7,
                what="changed",
                label="mine",
                state="exhausted",
                credits=Credits(gift=3),
                why="no credits left",
            )
        )
        change = await stream.next()
        later = [await both.next(), await both.next()]
    async with following(gateway.http, PATH, change.id - 1, **about) as stream:
        again = await stream.next()
    assert [s["id"] for s in first.body["sessions"]] == ["s1"]
    assert (first.body["tasks"], other.body["tasks"]) == ([], [])
    told = change.body["session"]
    assert (change.name, told["state"]) == ("session.changed", "exhausted")
    assert (told["healthy"], told["credits"]["total"]) == (False, 3)
    assert change.body["why"] == "no credits left"
    assert [each.name for each in later] == ["queued", "session.changed"]
    assert again == change


async def does_not_read(gateway, path):
    """Ask for a stream, and read nothing but that it begins."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(0)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", gateway.app.port))
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{gateway.app.port}\r\n\r\n"
    await loop.sock_sendall(raw, head.encode())
    assert (await loop.sock_recv(raw, 12)) == b"HTTP/1.1 200"
    return raw


LARGE = {str(n): "x" * 500 for n in range(16)}


async def ends_broken(raw):
    """Read what still lies there; it must not come to a good end."""
    loop = asyncio.get_running_loop()
    found = b""
    async with asyncio.timeout(15):
        try:
            while part := await loop.sock_recv(raw, 65536):
                found += part
        except ConnectionResetError:
            pass
    raw.close()
    assert not found.endswith(b"\r\n0\r\n\r\n")


async def test_a_reader_that_does_not_read_is_cut_and_others_never_wait(
    gateway, stories, until
):
    story = stories("a", metadata=LARGE)
    hub = gateway.app._after[0]
    async with following(gateway.http, PATH) as stream:
        raw = await does_not_read(gateway, PATH)
        await stream.next()
        await until(lambda: len(hub._of_many) == 2)
        sent = 0
        while len(hub._of_many) == 2:
            await story.go("polling")
            assert (await stream.next()).revision == story.task.revision
            sent += 1
        await ends_broken(raw)
        await story.go("failed")
        assert (await stream.next()).name == "failed"
    assert sent * 8_000 < 4 * MOST_BYTES


CHANGES = {
    "disabled": ("PATCH", "", {"enabled": False}),
    "narrowed": ("PATCH", "", {"scopes": ["video:create"]}),
    "rotated": ("POST", "/rotate", {}),
    "deleted": ("DELETE", "", None),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_stream_ends_with_its_key_and_no_other_does(door, change):
    method, below, body = CHANGES[change]
    client, key = await door.key()
    other, _ = await door.key()
    async with following(client, PATH) as stream, following(other, PATH) as left:
        await stream.next()
        await left.next()
        place = f"/api/v1/keys/{key['id']}{below}"
        changed = await door.admin.request(method, place, json=body)
        assert changed.is_success
        assert await stream.next() is None
        await door.task(other)
        assert (await left.next()).name == "queued"
    assert (await client.get(PATH)).status_code in {401, 403}


async def test_a_stream_lasts_no_longer_than_its_key(open_door):
    async with open_door(Patience(ping=0.1)) as door:
        soon = now() + timedelta(seconds=2)
        client, _ = await door.key(expires_at=soon.isoformat())
        async with following(client, PATH) as stream:
            await stream.next()
            assert await stream.next() is None
        assert now() >= soon
