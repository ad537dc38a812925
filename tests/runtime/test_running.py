"""What a running service keeps up: its lines in LOG, its heartbeat, its own end."""

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
from threading import Thread

import pytest

from contracts.logs import LogLine
from runtime import logs
from runtime.data import SIMULATOR, DataFolder
from runtime.heartbeat import Heartbeat, living
from runtime.service import App
from runtime.shipping import LogShipping

log = logging.getLogger("probed")


@pytest.fixture
async def bus(nats, make_bus):
    await nats.provision()
    bus = make_bus("poller")
    await bus.start()
    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    logs.configure("info", "json")
    yield bus
    root.handlers = kept
    root.setLevel(level)


async def _stored(bus):
    info = await bus.jetstream.stream_info("LOG")
    last = info.state.last_seq
    return [
        LogLine.parse((await bus.jetstream.get_msg("LOG", n)).data)
        for n in range(1, last + 1)
    ]


async def test_a_line_arrives_in_the_log_under_its_task(bus, until):
    async with LogShipping(bus):
        with logs.service_scope("poller"), logs.about("cmd.signer.page.t1-1"):
            log.warning("hello", extra={"n": 3, "odd": object()})

        async def arrived():
            return await _stored(bus)

        [line] = await until(arrived)
    assert line.subject == "log.poller.warning.t1"
    assert line.text == "hello"
    assert line.model_extra["n"] == 3


async def test_lines_of_threads_and_the_last_words_arrive(bus, until):
    async with LogShipping(bus):

        def say():
            with logs.service_scope("poller"):
                log.info("from a thread")

        thread = Thread(target=say)
        thread.start()
        thread.join()
        with logs.service_scope("poller"):
            log.info("last words")
    await until(lambda: _count(bus, 2))
    assert [line.text for line in await _stored(bus)] == ["from a thread", "last words"]


async def _count(bus, count):
    return (await bus.jetstream.stream_info("LOG")).state.messages == count


async def test_lines_of_other_services_are_not_taken(bus, until):
    async with LogShipping(bus):
        with logs.service_scope("signer"):
            log.info("not ours")
        with logs.service_scope("poller"):
            log.info("ours")
    await until(lambda: _count(bus, 1))
    assert [line.text for line in await _stored(bus)] == ["ours"]


async def test_too_many_lines_are_dropped_counted_and_waited_for_by_nobody(bus, until):
    async with LogShipping(bus, longest=10):
        with logs.service_scope("poller"):
            for n in range(1_000):  # the loop has no chance to ship one
                log.info("line %d", n)
    await until(lambda: _count(bus, 10))
    first, *rest = await _stored(bus)
    assert (first.text, first.model_extra["dropped"]) == ("line 990", 990)
    assert [line.text for line in rest] == [f"line {n}" for n in range(991, 1_000)]
    assert all("dropped" not in line.model_extra for line in rest)


async def test_a_line_that_cannot_be_shipped_stops_no_other(bus, until):
    logging.addLevelName(25, "NOTICE")
    async with LogShipping(bus):
        with logs.service_scope("poller"):
            log.log(25, "of a level nobody knows")
            log.info("next")
    await until(lambda: _count(bus, 1))


async def test_lines_said_while_nats_is_away_arrive_later(nats, bus, until):
    async with LogShipping(bus):
        nats.kill()
        await until(lambda: not bus.client.is_connected)
        with logs.service_scope("poller"):
            log.info("meanwhile")
        nats.start()
        await until(lambda: bus.client.is_connected)

        async def arrived():
            return any(line.text == "meanwhile" for line in await _stored(bus))

        await until(arrived)


async def test_an_instance_is_seen_while_it_lives_and_no_longer(bus, until):
    assert await living(bus) == []
    async with Heartbeat(bus, lambda: {"browser": True}) as heartbeat:
        [seen] = await living(bus)
        assert seen["service"] == "poller"
        assert seen["instance"] == heartbeat.instance
        assert seen["browser"] is True
        assert seen["pid"] == os.getpid()
    assert await living(bus) == []


async def test_a_change_is_told_before_the_next_beat(bus, until, monkeypatch):
    monkeypatch.setattr("runtime.heartbeat.BEAT_SECONDS", 3600)
    state = {"browser": True}
    async with Heartbeat(bus, lambda: dict(state)):
        state["browser"] = False

        async def told():
            return [beat["browser"] for beat in await living(bus)] == [False]

        await until(told)


async def test_an_instance_that_died_expires(bus, until):
    await Heartbeat(bus, ttl_seconds=1).beat()
    assert len(await living(bus)) == 1

    async def gone():
        return await living(bus) == []

    await until(gone)
    info = await bus.jetstream.stream_info("KV_workers")
    assert info.state.messages == 0


async def test_a_farewell_does_not_stay_for_ever(bus):
    async with Heartbeat(bus) as heartbeat:
        subject = heartbeat._subject
    farewell = await bus.jetstream.get_last_msg("KV_workers", subject)
    assert farewell.headers["Nats-TTL"] == "10"


async def test_several_instances_of_one_service_are_told_apart(bus, make_bus):
    other = make_bus("poller")
    await other.start()
    async with Heartbeat(bus), Heartbeat(other):
        assert len({b["instance"] for b in await living(bus)}) == 2


class _Resource:
    def __init__(self, name, told, *, fails=False):
        self.name, self.told, self.fails = name, told, fails

    async def __aenter__(self):
        if self.fails:
            raise OSError("port taken")
        self.told.append(f"+{self.name}")

    async def __aexit__(self, *_):
        self.told.append(f"-{self.name}")


async def test_an_app_opens_in_order_and_closes_in_reverse(nats, make_bus):
    await nats.provision()
    told = []
    before, after = _Resource("before", told), _Resource("after", told)
    app = App(make_bus("poller"), before=[before], after=[after])
    await app.start()
    assert app.bus.client.is_connected
    assert len(await living(app.bus)) == 1
    await app.stop()
    assert told == ["+before", "+after", "-after", "-before"]
    with pytest.raises(RuntimeError, match="not connected"):
        assert app.bus.client


async def test_an_app_that_fails_to_start_closes_what_it_opened(nats, make_bus):
    await nats.provision()
    told = []
    after = _Resource("after", told, fails=True)
    app = App(make_bus("poller"), before=[_Resource("before", told)], after=[after])
    with pytest.raises(OSError, match="port taken"):
        await app.start()
    assert told == ["+before", "-before"]
    with pytest.raises(RuntimeError, match="not connected"):
        assert app.bus.client


def _environment(nats, folder, **more):
    return os.environ | {
        "NATS_URL": nats.link.url,
        "NATS_USER": nats.link.user,
        "NATS_PASSWORD": nats.password,
        "DATA_DIR": str(folder),
        **more,
    }


async def test_a_service_runs_until_it_is_told_to_stop(nats, tmp_path):
    await nats.provision()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "log_streamer",
        env=_environment(nats, tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    )
    async for line in process.stdout:
        told = json.loads(line)
        if "is ready" in told["text"]:
            break
    assert told["service"] == "log-streamer"
    process.send_signal(signal.SIGTERM)
    await process.stdout.read()
    assert await process.wait() == 0


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT"),
        ({"NATS_PASSWORD": "wrong"}, "NATS_URL .*Authorization"),
    ],
)
async def test_a_wrong_setting_ends_the_start_with_one_line(nats, tmp_path, more, text):
    line = await _refusal("log_streamer", nats, tmp_path, **more)
    assert re.search(text, line)


async def test_a_worker_of_another_site_than_the_data_folders_does_not_start(
    nats, tmp_path
):
    await nats.provision()
    with DataFolder(tmp_path, SIMULATOR, alone=False):
        pass
    other = "http://127.0.0.1:9"
    line = await _refusal("poller", nats, tmp_path, JIMENG_UPSTREAM=other)
    assert f"{tmp_path} belongs to {SIMULATOR}, not to {other}" in line


async def _refusal(service, nats, folder, **more):
    """Start a service that will not start; return the one line it says."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", service],
        env=_environment(nats, folder, **more),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    return line
