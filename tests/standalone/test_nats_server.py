"""The embedded nats-server: ours alone, durable, restarted, and given up in time."""

import asyncio
import json
import os
import signal
import stat
from contextlib import AsyncExitStack
from types import SimpleNamespace

import nats
import pytest
from nats.errors import TimeoutError as NatsTimeoutError

from contracts.audit import DeedAnswered
from contracts.bus import Bus
from contracts.counting import CREDITS, REQUESTS, TASKS, add, read
from contracts.delivery import FIRST_MARKED
from contracts.keys import KeyEntry
from contracts.message import now
from contracts.requests import Request
from contracts.schemas import messages
from contracts.streams import PUBLIC_WAKES
from contracts.tasks import UploadReferences
from gateway_http import repeats
from gateway_http.problems import Problem
from gateway_http.signin import memory
from gateway_http.signin.badges import Badge, Trip
from runtime.settings import SettingsError
from standalone.nats_server import MOST_DEATHS, NatsServer, find_binary
from standalone.rights import SERVICES, USERS, rights


@pytest.fixture
async def server(tmp_path):
    fatal = asyncio.Queue()
    async with NatsServer(tmp_path, fatal.put_nowait) as server:
        server.fatal = fatal
        yield server


OWN_INBOX = {*SERVICES, "dlq", "keys"}


async def connect(server, user, password=None):
    errors = asyncio.Queue()

    async def note(error):
        await errors.put(str(error))

    client = await nats.connect(
        server.url,
        user=user,
        password=password or server.passwords[user],
        inbox_prefix=f"_INBOX_{user}".encode() if user in OWN_INBOX else b"_INBOX",
        error_cb=note,
        max_reconnect_attempts=1,
    )
    client.complaints = errors
    return client


async def test_streams_are_made_and_are_the_same_after_a_restart(server):
    assert await server.provision()
    assert await server.provision() == []


async def test_strangers_are_refused(server):
    async def quiet(_):
        pass

    for login in ({}, {"user": "admin", "password": "guess"}):
        with pytest.raises(nats.errors.Error):
            await nats.connect(
                server.url, allow_reconnect=False, error_cb=quiet, **login
            )


async def test_passwords_are_kept_and_read_by_us_only(tmp_path):
    fatal = []
    async with NatsServer(tmp_path, fatal.append) as first:
        passwords = first.passwords
    async with NatsServer(tmp_path, fatal.append) as second:
        assert second.passwords == passwords
    for name in ("users.json", "nats.conf"):
        mode = (tmp_path / "nats" / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
    assert set(json.loads((tmp_path / "nats" / "users.json").read_text())) == set(USERS)


async def test_it_acknowledges_only_what_is_on_disk(server, tmp_path):
    assert "sync_interval: always" in (tmp_path / "nats" / "nats.conf").read_text()
    assert "listen: 127.0.0.1:" in (tmp_path / "nats" / "nats.conf").read_text()


async def test_a_dead_server_is_restarted_on_its_port_and_store(server):
    await server.provision()
    client = await connect(server, "admin")
    back = asyncio.Event()

    async def reconnected():
        back.set()

    client._reconnected_cb = reconnected
    await client.jetstream().publish("evt.sys.test", b"kept")
    os.kill(server._child.pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        await back.wait()
    kept = await client.jetstream().get_last_msg("EVT", "evt.sys.test")
    assert kept.data == b"kept"
    await client.close()


async def test_servers_that_start_together_get_a_port_each(tmp_path):
    fatal = []
    servers = [NatsServer(tmp_path / str(n), fatal.append) for n in range(3)]
    async with AsyncExitStack() as opened:
        await asyncio.gather(*map(opened.enter_async_context, servers))
        assert len({server.url for server in servers}) == 3
        for server in servers:
            await server.provision()
    assert fatal == []


async def test_it_is_given_up_after_dying_too_often(server, until):
    for _ in range(MOST_DEATHS):
        pid = server._child.pid
        os.kill(pid, signal.SIGKILL)
        await until(
            lambda pid=pid: server._child.pid != pid or not server.fatal.empty()
        )
    async with asyncio.timeout(10):
        assert "died 3 times within a minute" in await server.fatal.get()


def test_a_missing_binary_is_said_in_one_line(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SettingsError, match="NATS_SERVER_BIN"):
        find_binary("/no/such/nats-server")


ASKED_BY_PEOPLE = {
    f"contracts.{name}" for name in ("requests", "pool", "keys", "usage", "audit")
}
FORBIDDEN = {
    "uploader": (
        "cmd.signer.page.t-1",
        "evt.task.t.signer.submitted",
        "dlq.signer.x",
        "$KV.marks.signer.page.t-1.1",
    ),
    "signer": ("cmd.signer.page.t-1", "evt.task.t.scheduler.succeeded", "$KV.follow.a"),
    "poller": (
        "evt.task.t.downloader.stored",
        "$JS.API.STREAM.DELETE.CMD",
        "quota.k.credits.d",
    ),
    "downloader": ("cmd.scheduler.create.t", "evt.session.s.poller.checked"),
    "notifier": ("evt.task.t.scheduler.failed", "req.scheduler.credential"),
    "log-streamer": ("evt.task.t.scheduler.failed", "req.scheduler.credential"),
    "gateway-http": (
        "cmd.signer.page.t-1",
        "req.scheduler.credential",
        "evt.task.t.scheduler.failed",
        "$JS.API.CONSUMER.CREATE.EVT",
        "$JS.API.STREAM.MSG.DELETE.EVT",
        "$KV.keys.abc",
    ),
    "keys": ("req.scheduler.delete_key", "$KV.keys.abc", "cmd.scheduler.create.t"),
    "scheduler": ("evt.task.t.signer.submitted", "$JS.API.STREAM.PURGE.EVT"),
    "dlq": (
        "$JS.API.STREAM.PURGE.DLQ",
        "$JS.API.STREAM.MSG.DELETE.CMD",
        "req.scheduler.credential",
        "$KV.marks.signer.page.t-1.1",
    ),
    "viewer": (
        "cmd.scheduler.create.t",
        "$JS.API.CONSUMER.CREATE.CMD",
        "$JS.API.CONSUMER.DELETE.EVT.scheduler-facts",
        "$JS.API.CONSUMER.CREATE.EVT.scheduler-facts.evt.x",
    ),
}


async def test_a_service_remembers_its_commands_and_nobody_elses(server, until):
    await server.provision()
    fatal = []
    scheduler = Bus("scheduler", server.link("scheduler"), fatal=fatal.append)
    bus = Bus(
        "uploader", server.link("uploader"), fatal=fatal.append, pause=lambda _: 0.01
    )
    calls = []

    @bus.consume(UploadReferences, concurrency=1)
    async def upload(command):
        calls.append(command)
        if len(calls) < FIRST_MARKED + 1:
            raise ValueError

    await scheduler.start()
    await bus.start()
    command = UploadReferences(task="t", attempt=1, session="s", files=())
    await scheduler.send(command, "one")
    await until(lambda: len(calls) > FIRST_MARKED)
    admin = await connect(server, "admin")
    subject = "$KV.marks.uploader.upload.t-1.1"

    async def forgotten():
        return not (await admin.jetstream().get_last_msg("KV_marks", subject)).data

    await until(forgotten)
    await admin.close()
    await bus.stop()
    await scheduler.stop()
    assert fatal == []


@pytest.mark.parametrize("user", FORBIDDEN)
async def test_no_service_may_speak_for_another(server, user):
    await server.provision()
    client = await connect(server, user)
    for subject in FORBIDDEN[user]:
        with pytest.raises((NatsTimeoutError, nats.errors.Error)):
            await client.request(subject, b"{}", timeout=0.3)
        async with asyncio.timeout(2):
            complaint = await client.complaints.get()
        assert "permissions violation" in complaint
    await client.close()


async def test_the_viewer_reads_the_log_and_takes_no_command(server):
    await server.provision()
    admin = await connect(server, "admin")
    await admin.jetstream().publish("evt.task.t.scheduler.queued", b"{}")
    viewer = await connect(server, "viewer")
    events = await viewer.jetstream().subscribe("evt.task.t.>", ordered_consumer=True)
    assert (await events.next_msg(timeout=2)).data == b"{}"
    await admin.close()
    await viewer.close()


def test_the_gateway_may_ask_whatever_people_ask():
    asked = [
        kind
        for kind in messages()
        if kind.__module__ in ASKED_BY_PEOPLE and issubclass(kind, Request)
    ]
    allowed = rights("gateway-http")["publish"]["allow"]
    assert {kind.SUBJECT for kind in asked} <= set(allowed)
    assert "req.scheduler.retry_task" in allowed


async def test_the_gateway_is_called_when_something_is_told_and_reads_it(server):
    await server.provision()
    gateway = await connect(server, "gateway-http")
    calls = await gateway.subscribe(PUBLIC_WAKES)
    await gateway.flush()
    admin = await connect(server, "admin")
    for subject in ("evt.task.t.poller.absent", "evt.task.t.scheduler.queued"):
        await admin.jetstream().publish(subject, b"{}")
    call = await calls.next_msg(timeout=5)
    wish = json.dumps({"seq": int(call.headers["Nats-Sequence"])}).encode()
    found = await gateway.request("$JS.API.DIRECT.GET.EVT", wish, timeout=5)
    surely = await gateway.jetstream().get_msg(
        "EVT", seq=1, subject="evt.task.t.scheduler.*", next=True
    )
    assert surely.seq == int(call.headers["Nats-Sequence"])
    assert (call.subject, call.data) == ("live.public.task", b"")
    assert found.headers["Nats-Subject"] == "evt.task.t.scheduler.queued"
    assert gateway.complaints.empty()
    await admin.close()
    await gateway.close()


async def test_the_gateway_remembers_sign_ins_with_its_own_rights(server):
    await server.provision()
    fatal = []
    needed = frozenset({memory.STREAM})
    link = server.link("gateway-http")
    bus = Bus("gateway-http", link, fatal=fatal.append, needed=needed, buffered=False)
    await bus.start()
    known = memory.Memory(bus, now)
    trip = Trip.new(now(), "/")
    assert [await known.first_use(trip), await known.first_use(trip)] == [True, False]
    badge, other = (Badge.new(now(), by="key", key_hash="k") for _ in range(2))
    await known.keep(badge, "sealed")
    assert await known.kept(badge) == "sealed"
    await known.end(badge)
    assert [await known.has_ended(b) for b in (badge, other)] == [True, False]
    await known.end_all(badge)
    assert await known.has_ended(other)
    await known.may_try("192.0.2.1")
    for _ in range(memory.MOST_TRIES):
        await known.failed("192.0.2.1")
    with pytest.raises(Problem, match="too many"):
        await known.may_try("192.0.2.1")
    await known.may_try("192.0.2.2")
    await bus.stop()
    assert fatal == []


async def test_the_gateway_claims_a_request_with_its_own_rights(server):
    await server.provision()
    fatal = []
    link = server.link("gateway-http")
    needed = frozenset({"CMD", repeats.STREAM})
    bus = Bus("gateway-http", link, fatal=fatal.append, needed=needed, buffered=False)
    await bus.start()
    mark = repeats.Mark("0" * 64, 60)

    async def ready():
        pass

    holders = []
    for task in ("t1", "t2"):
        shelf = SimpleNamespace(keep=False)
        mine = repeats.Claim(task=task, body="b", at=now())
        claim = await repeats.claimed(bus, mark, mine, shelf, ready=ready, seconds=5)
        holders.append((claim.task, shelf.keep))
    await bus.stop()
    assert holders == [("t1", True), ("t1", False)]
    assert fatal == []


async def test_keys_are_told_counted_and_put_on_record_with_each_ones_rights(server):
    await server.provision()
    scheduler, gateway = [
        await connect(server, u) for u in ("scheduler", "gateway-http")
    ]
    told, asks = scheduler.jetstream(), gateway.jetstream()
    entry = KeyEntry(hash="0" * 64)
    await told.stream_info(KeyEntry.STREAM, subjects_filter=KeyEntry.pattern())
    await told.publish(entry.subject, entry.body(), headers={"Nats-TTL": "60"})
    found = await asks.get_last_msg(KeyEntry.STREAM, entry.subject, direct=True)
    assert KeyEntry.parse(found.data) == entry
    for period in (REQUESTS, TASKS, CREDITS):
        subject = period.subject("k1", now())
        assert [await add(asks, subject, 5, period.name) for _ in "12"] == [5, 5]
        assert await read(asks, period, "k1", now()) == 5
    spent = CREDITS.subject("k1", now())
    assert [await add(told, spent, -2, "b") for _ in "12"] == [3, 3]
    deed = DeedAnswered(deed="d1", status=200)
    await asks.publish(deed.subject, deed.body())
    assert scheduler.complaints.empty()
    assert gateway.complaints.empty()
    await scheduler.close()
    await gateway.close()
