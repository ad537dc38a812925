"""How a service's process ends: told to, stuck, without NATS. What systemd hears."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from contracts.sessions import CheckSession
from contracts.tasks import PollSession
from runtime.watchdog import watched

SERVICE = Path(__file__).with_name("trying_service.py")
STOP_SECONDS = 6.0  # the service's limit


class Service:
    """The process, what it says, and how long it took to end."""

    def __init__(self, process):
        self.process = process

    async def says(self, words):
        async with asyncio.timeout(30):
            while words not in (
                line := (await self.process.stdout.readline()).decode()
            ):
                assert line, f"ended before {words!r}"
        return json.loads(line)

    async def stop(self):
        """Send SIGTERM; return exit status and seconds until the end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        await self.process.stdout.read()
        return await self.process.wait(), time.monotonic() - began


@pytest.fixture
def run(nats, tmp_path):
    """Run the service for as long as the block lasts."""

    @asynccontextmanager
    async def run(**more):
        link = nats.link
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(SERVICE),
            env={
                "PATH": os.environ["PATH"],
                "NATS_URL": link.url,
                "NATS_USER": link.user,
                "NATS_PASSWORD": link.password,
                "LOG_FORMAT": "json",
                **more,
            },
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        service = Service(process)
        try:
            yield service
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return run


@pytest.fixture
async def sender(nats, make_bus):
    await nats.provision()
    sender = make_bus("scheduler")
    await sender.start()
    return sender


async def _check(sender, session):
    await sender.send(CheckSession(session=session, credential=1), session)


async def _left(bus):
    return (await bus.jetstream.stream_info("CMD")).state.messages


async def test_what_can_finish_in_time_does(run, sender, until):
    async with run() as service:
        await _check(sender, "short")
        await service.says("begun short")
        status, _ = await service.stop()
    assert status == 0

    async def nothing_left():
        return await _left(sender) == 0

    await until(nothing_left)  # the server counts an acknowledgement a moment later


async def test_what_cannot_is_handed_back_in_time(run, sender):
    async with run() as first:
        await _check(sender, "endless")
        await first.says("begun endless")
        status, seconds = await first.stop()
    assert status == 0
    assert seconds < STOP_SECONDS
    async with run() as second, asyncio.timeout(15):  # ack_wait is 30 s
        await second.says("begun endless")


async def test_what_costs_nothing_to_begin_again_is_handed_back_at_once(run, sender):
    async with run() as first:
        await sender.send(PollSession(session="s"), "one")
        await first.says("begun s")
        status, seconds = await first.stop()
    assert status == 0
    assert seconds < 4.0  # so long are handlers waited for
    async with run() as second, asyncio.timeout(15):
        await second.says("begun s")


async def test_a_handler_that_will_not_end_is_cut_off_with_its_process(run, sender):
    async with run() as service:
        await _check(sender, "deaf")
        await service.says("begun deaf")
        status, seconds = await service.stop()
        errors = (await service.process.stderr.read()).decode()
    assert status == 1
    assert STOP_SECONDS - 0.5 < seconds < STOP_SECONDS + 2
    assert "Timeout" in errors  # and where every thread was
    assert await _left(sender) == 1


async def test_a_process_that_lost_nats_for_good_ends(run, nats, sender):
    async with run() as service:
        await service.says("is ready")
        nats.kill()
        told = await service.says("giving up")
        assert "gone for good" in told["text"]
        assert await service.process.wait() == 1
    nats.start()


# systemd


@pytest.fixture
def systemd():
    """Give a socket as systemd's, and what to set for who shall write there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        name = f"@jimeng-test-{os.getpid()}"
        ours.bind("\0" + name[1:])
        ours.settimeout(0)
        yield ours, {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"}


async def _hear(ours, seconds=15.0):
    async with asyncio.timeout(seconds):
        return (await asyncio.get_running_loop().sock_recv(ours, 100)).decode()


async def test_systemd_hears_ready_then_signs_of_life_then_the_stop(
    run, sender, systemd
):
    ours, environment = systemd
    async with run(**environment) as service:
        assert await _hear(ours) == "READY=1"
        assert [await _hear(ours, 2) for _ in range(5)] == ["WATCHDOG=1"] * 5
        status, _ = await service.stop()
        rest = []
        while (word := await _hear(ours)) != "STOPPING=1":
            rest.append(word)
    assert status == 0
    assert set(rest) <= {"WATCHDOG=1"}


async def test_a_loop_that_turns_no_more_gives_no_sign_of_life(run, sender, systemd):
    ours, environment = systemd
    async with run(**environment) as service:
        assert await _hear(ours) == "READY=1"
        await _check(sender, "stuck")
        await service.says("begun stuck")
        await _silence(ours)
        assert service.process.returncode is None


async def _silence(ours):
    """Wait until nothing was heard for five times as long as usual."""
    with suppress(TimeoutError):
        while True:
            assert await _hear(ours, 1.0) == "WATCHDOG=1"


async def test_another_process_than_the_watched_one_gives_none(run, sender, systemd):
    ours, environment = systemd
    async with run(**environment, WATCHDOG_PID="1"):
        assert await _hear(ours) == "READY=1"
        await _silence(ours)


async def test_no_sign_of_life_is_given_while_the_service_is_not_alive(
    systemd, monkeypatch
):
    ours, environment = systemd
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    alive = True
    async with watched(lambda: alive):
        assert await _hear(ours) == "READY=1"
        assert await _hear(ours) == "WATCHDOG=1"
        alive = False
        await _silence(ours)
        alive = True
        assert await _hear(ours) == "WATCHDOG=1"
    assert await _hear(ours) == "STOPPING=1"


async def test_a_bus_is_alive_until_nats_is_gone_for_longer_than_it_may(
    nats, make_bus, until
):
    await nats.provision()
    fatal = []
    bus = make_bus("poller", fatal=fatal.append, watch_seconds=0.05, gone_seconds=0.5)
    assert not bus.alive
    await bus.start()
    assert bus.alive
    nats.kill()
    await until(lambda: not bus.connected)
    assert bus.alive
    await until(lambda: not bus.alive)
    nats.start()
    await until(lambda: bus.alive)
    await bus.stop()
    assert not bus.alive
