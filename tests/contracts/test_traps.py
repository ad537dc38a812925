"""One test for each known way in which the engine loses, repeats or hangs.

Each of them fails when its guard is taken out.
"""

import asyncio
import json

import pytest
from faststream import AckPolicy
from nats.errors import Error, OutboundBufferLimitError
from nats.js.api import ConsumerConfig
from nats.js.errors import NoStreamResponseError

from contracts.bus import NotProvisionedError
from contracts.connection import Link
from contracts.message import now
from contracts.tasks import CreateTask, PollSession, Submitted
from contracts.values import Job


def _create(task):
    job = Job(model="m", prompt="p", duration=5, ratio="1:1")
    return CreateTask(task=task, job=job, created_at=now())


def _take_probes(bus, probe, concurrency=1):
    """Register a handler that holds each command until it is let go."""
    taken, go = asyncio.Queue(), asyncio.Event()

    @bus.consume(probe, concurrency=concurrency)
    async def hold(command):
        await taken.put(command.name)
        await go.wait()

    return taken, go


# what deletes a message


async def test_the_engine_itself_acknowledges_nothing(js, make_bus, probe):
    # Its own policy deletes a message on any exception that it gets to see.
    bus = make_bus("poller")
    _take_probes(bus, probe)
    [subscriber] = bus.broker.subscribers
    assert subscriber.ack_policy is AckPolicy.MANUAL


async def test_what_goes_wrong_outside_a_handler_deletes_nothing(js, make_bus, probe):
    asked = asyncio.Event()

    def broken(_):
        asked.set()
        raise RuntimeError("the policy itself failed")

    bus = make_bus("poller", pause=broken)

    @bus.consume(probe, concurrency=1)
    async def fail(command):
        raise ValueError

    await bus.start()
    await bus.send(probe(name="a"), "one")
    await asked.wait()
    await bus.stop()
    assert (await js.stream_info("CMD")).state.messages == 1


# what kills a process without ending it


@pytest.mark.timeout(20)
async def test_a_closed_connection_ends_the_process_and_does_not_starve_it(
    js, make_bus, probe
):
    fatal = asyncio.Queue()
    bus = make_bus("poller", fatal=fatal.put_nowait)
    _take_probes(bus, probe)
    await bus.start()
    await bus.client.close()
    assert "closed" in await fatal.get()
    await asyncio.to_thread(lambda: None)  # the loop is alive


async def test_a_server_that_is_away_for_long_is_waited_for(nats, js, make_bus):
    # With a finite number of tries nats-py drops the server and closes.
    bus = make_bus("poller")
    await bus.start()
    assert bus.client.options["max_reconnect_attempts"] < 0


async def test_a_refused_login_while_reconnecting_is_tried_again(
    nats, js, make_bus, until, probe
):
    bus = make_bus("poller")
    taken, go = _take_probes(bus, probe)
    go.set()
    await bus.start()
    nats.restart(password="another")
    await until(lambda: "authentication error" in nats.log.read_text())
    nats.restart()
    await until(lambda: bus.client.is_connected)
    await bus.send(probe(name="a"), "one")
    assert await taken.get() == "a"


async def test_a_login_refused_at_the_start_ends_the_start(nats, make_bus):
    bus = make_bus("poller", link=Link(nats.link.url, "jimeng", "wrong"))
    with pytest.raises(Error, match=r"(?i)authorization"):
        await bus.start()


async def test_nobody_connects_without_a_password(nats, make_bus):
    bus = make_bus("poller", link=Link(nats.link.url))
    with pytest.raises(Error, match=r"(?i)authorization"):
        await bus.start()


@pytest.mark.timeout(20)
async def test_a_deleted_consumer_ends_the_process_and_is_not_asked_at_full_speed(
    js, make_bus, until, probe, caplog
):
    fatal = asyncio.Queue()
    bus = make_bus("poller", fatal=fatal.put_nowait, watch_seconds=0.3)
    _take_probes(bus, probe)
    await bus.start()
    await js.delete_consumer("CMD", probe.durable())
    assert "deleted" in await fatal.get()
    await until(lambda: "cannot take messages" in caplog.text)
    while not fatal.empty():
        fatal.get_nowait()
    before = bus.client.stats["out_msgs"]
    for _ in range(2):
        await fatal.get()
    assert bus.client.stats["out_msgs"] - before < 10


async def test_a_server_that_does_not_come_back_ends_the_process(nats, js, make_bus):
    fatal = asyncio.Queue()
    bus = make_bus(
        "gateway-http", fatal=fatal.put_nowait, watch_seconds=0.05, gone_seconds=0.2
    )
    await bus.start()
    nats.kill()
    assert "gone for good" in await fatal.get()


async def test_a_dead_read_loop_ends_the_process(js, make_bus):
    # nats-py stays `is_connected`, and its flush succeeds.
    fatal = asyncio.Queue()
    bus = make_bus(
        "gateway-http", fatal=fatal.put_nowait, watch_seconds=0.05, gone_seconds=0.2
    )
    await bus.start()
    bus.client._reading_task.cancel()
    assert "gone for good" in await fatal.get()
    assert bus.client.is_connected


async def test_a_bus_stops_also_while_the_server_is_away(
    nats, js, make_bus, until, probe
):
    bus = make_bus("poller")
    _take_probes(bus, probe)
    await bus.start()
    nats.kill()
    await until(lambda: not bus.client.is_connected)
    async with asyncio.timeout(5):
        await bus.stop()
    assert bus.client.is_closed


# what is not as it was declared, in silence


async def test_a_durable_with_other_settings_refuses_the_start(js, make_bus):
    await js.add_consumer(
        "CMD",
        ConsumerConfig(
            durable_name=PollSession.durable(),
            filter_subject=PollSession.pattern(),
            max_ack_pending=7,
            ack_wait=30.0,
        ),
    )
    bus = make_bus("poller")
    bus.consume(PollSession, concurrency=1)(asyncio.sleep)
    with pytest.raises(NotProvisionedError, match="max_ack_pending is 7"):
        await bus.start()


async def test_a_missing_durable_refuses_the_start(nats, make_bus):
    bus = make_bus("poller")
    bus.consume(PollSession, concurrency=1)(asyncio.sleep)
    with pytest.raises(NotProvisionedError, match="jimeng provision"):
        await bus.start()


# what is said and not heard


async def test_an_event_that_no_stream_stores_is_an_error(js, make_bus):
    bus = make_bus("signer")
    await bus.start()
    await js.delete_stream("EVT")
    with pytest.raises(NoStreamResponseError):
        await bus.emit(Submitted(task="t1", attempt=1, upstream_id="u"))


async def test_a_command_to_a_misspelt_service_is_an_error(js, make_bus):
    bus = make_bus("scheduler")
    await bus.start()
    with pytest.raises(NoStreamResponseError):
        await bus.send_raw("cmd.poler.poll.s1", b"{}", "one", "s1")


async def test_a_message_said_twice_is_stored_once(js, make_bus):
    bus = make_bus("signer")
    await bus.start()
    for _ in range(2):
        await bus.emit(Submitted(task="t1", attempt=1, upstream_id="u"))
    assert (await js.stream_info("EVT")).state.messages == 1


async def test_what_was_refused_while_disconnected_is_not_sent_later(
    nats, js, make_bus, until
):
    bus = make_bus("gateway-http", buffered=False)
    await bus.start()
    nats.kill()
    await until(lambda: not bus.client.is_connected)
    with pytest.raises(OutboundBufferLimitError):
        await bus.send(_create("t1"), "t1")
    nats.restart()
    await until(lambda: bus.client.is_connected)
    await bus.send(_create("t2"), "t2")
    assert (await js.stream_info("CMD")).state.messages == 1


async def test_every_message_carries_its_task_as_correlation_id(js, make_bus):
    bus = make_bus("scheduler")
    await bus.start()
    await bus.emit(Submitted(task="t1", attempt=1, upstream_id="u"))
    await bus.send(_create("t2"), "t2")
    event = await js.get_last_msg("EVT", "evt.task.t1.signer.submitted")
    command = await js.get_last_msg("CMD", "cmd.scheduler.create.t2")
    assert event.headers["correlation_id"] == "t1"
    assert command.headers["correlation_id"] == "t2"
    assert command.headers["content-type"] == "application/json"


# what is taken too early


async def test_a_busy_worker_leaves_the_next_command_to_another(js, make_bus, probe):
    first, second = make_bus("poller"), make_bus("poller")
    held, go = _take_probes(first, probe)
    taken, end = _take_probes(second, probe)
    await first.start()
    await first.send(probe(name="a"), "one")
    assert await held.get() == "a"
    await first.client.flush()
    await first.send(probe(name="b"), "two")
    await second.start()
    async with asyncio.timeout(5):
        assert await taken.get() == "b"
    go.set()
    end.set()


async def test_one_message_is_asked_for_at_a_time(nats, js, make_bus, probe):
    # Larger fetches stall on an orphaned request.
    client = await nats.connect()
    pulls = await client.subscribe("$JS.API.CONSUMER.MSG.NEXT.CMD.*")
    await client.flush()
    bus = make_bus("poller")
    _, go = _take_probes(bus, probe)
    go.set()
    await bus.start()
    await bus.send(probe(name="a"), "one")
    for _ in range(2):
        request = await pulls.next_msg(timeout=5)
        assert json.loads(request.data)["batch"] == 1
    await client.close()


async def test_a_disconnected_worker_asks_for_nothing(nats, js, make_bus, until, probe):
    bus = make_bus("poller")
    taken, go = _take_probes(bus, probe)
    await bus.start()
    await bus.send(probe(name="a"), "one")
    await taken.get()
    nats.kill()
    await until(lambda: not bus.client.is_connected)
    go.set()
    await until(lambda: _waiting_to_be_sent(bus, b"$JS.ACK"))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not _waiting_to_be_sent(bus, b"MSG.NEXT")


def _waiting_to_be_sent(bus, what):
    return what in b"".join(bus.client._pending)


async def test_a_worker_goes_on_after_the_server_was_killed(
    nats, js, make_bus, until, probe
):
    bus = make_bus("poller")
    taken, go = _take_probes(bus, probe)
    go.set()
    await bus.start()
    await bus.send(probe(name="a"), "one")
    await taken.get()
    await until(lambda: _asks_for_more(js, probe))  # this pull is lost
    nats.kill()
    await until(lambda: not bus.client.is_connected)
    nats.start()
    await until(lambda: bus.client.is_connected)
    await bus.send(probe(name="b"), "two")
    async with asyncio.timeout(10):
        assert await taken.get() == "b"


async def _asks_for_more(js, command):
    info = await js.consumer_info("CMD", command.durable())
    return info.num_ack_pending == 0 and info.num_waiting == 1
