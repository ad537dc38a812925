"""The log streamer on a real nats-server: lines arrive once, floods are counted."""

import asyncio
import json

import pytest

from contracts.logs import LogLine
from log_streamer.app import create_app
from log_streamer.settings import Settings
from runtime.settings import load


@pytest.fixture
async def streamer(nats, tmp_path):
    await nats.provision()
    running = []
    client = await nats.connect()

    class Streamer:
        logs = tmp_path / "data" / "logs"
        lines = asyncio.Queue()

        async def start(self, **more):
            link = nats.link
            settings = load(
                Settings,
                nats_url=link.url,
                nats_user=link.user,
                nats_password=link.password,
                data_dir=tmp_path / "data",
                log_look_secs=0.01,
                **more,
            )
            running.append(create_app(settings))
            await running[-1].start()

        async def stop(self):
            await running.pop().stop()

        async def next(self):
            async with asyncio.timeout(10):
                return await self.lines.get()

        async def stored(self, subject):
            info = await client.jetstream().stream_info("LOG", subjects_filter=subject)
            return sum((info.state.subjects or {}).values())

    streamer = Streamer()
    streamer.logs.mkdir(parents=True)

    async def take(message):
        await streamer.lines.put(LogLine.parse(message.data))

    await client.subscribe("log.nats-server.>", cb=take)
    await client.subscribe("log.chromium.>", cb=take)
    await client.flush()
    yield streamer
    for app in running:
        await app.stop()
    await client.close()


def write(streamer, source, *lines):
    with (streamer.logs / f"{source}.log").open("a") as file:
        file.writelines(line + "\n" for line in lines)


async def test_lines_arrive_with_their_source_and_level(streamer):
    await streamer.start()
    write(streamer, "nats-server", "[1] [INF] Server is ready", "[1] [ERR] no space")
    first, second = await streamer.next(), await streamer.next()
    assert (first.source, first.level) == ("nats-server", "info")
    assert (second.level, second.text) == ("error", "[1] [ERR] no space")


async def test_a_restart_neither_loses_nor_doubles_a_line(streamer):
    await streamer.start()
    write(streamer, "chromium", "one", "two")
    assert [(await streamer.next()).text for _ in range(2)] == ["one", "two"]
    await streamer.stop()
    write(streamer, "chromium", "while it was away")
    await streamer.start()
    heard = await streamer.next()
    while heard.text in {"one", "two"}:  # stored once, but told again if it stopped
        heard = await streamer.next()  # between a line's storing and its note of that
    assert heard.text == "while it was away"
    write(streamer, "chromium", "after")
    assert (await streamer.next()).text == "after"
    await streamer.stop()  # a listener hears a line before it is stored
    assert await streamer.stored("log.chromium.>") == 4


async def test_a_flood_is_counted_and_blocks_no_other(streamer):
    await streamer.start(log_lines_per_sec=5)
    write(streamer, "nats-server", *(f"line {n}" for n in range(500)))
    write(streamer, "chromium", "calm")
    while (await streamer.next()).text != "calm":
        pass
    assert await streamer.stored("log.nats-server.>") < 500


async def test_no_credential_reaches_the_stream(streamer):
    await streamer.start()
    write(streamer, "chromium", "cookie: sessionid=0123456789abcdef0123456789abcdef")
    line = await streamer.next()
    assert "0123456789abcdef" not in json.dumps(line.model_dump(mode="json"))
