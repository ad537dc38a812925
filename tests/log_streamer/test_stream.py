"""Files in, LOG out, on a real server."""

import pytest

from contracts.logs import LogLine
from log_streamer.app import SOURCES, create_app
from log_streamer.settings import Settings


@pytest.fixture
async def started(nats, tmp_path):
    await nats.provision()
    apps = []

    async def start(**more):
        settings = Settings(
            nats_url=nats.link.url,
            nats_user=nats.link.user,
            nats_password=nats.link.password,
            data_dir=tmp_path,
            log_look_secs=0.01,
            **more,
        )
        settings.logs_dir.mkdir(exist_ok=True)
        app = create_app(settings)
        await app.start()
        apps.append(app)
        return app

    yield start
    for app in apps:
        await app.stop()


@pytest.fixture
async def lines(nats):
    client = await nats.connect()

    async def told():
        js = client.jetstream()
        state = (await js.stream_info("LOG")).state
        found = [
            LogLine.parse((await js.get_msg("LOG", n)).data)
            for n in range(1, state.last_seq + 1)
        ]
        return [line for line in found if line.source in SOURCES]

    yield told
    await client.close()


def _arrived(lines, count):
    async def check():
        found = await lines()
        return found if len(found) >= count else None

    return check


async def test_each_source_is_followed_under_its_own_subject(
    started, lines, until, tmp_path
):
    await started()
    for source in SOURCES:
        (tmp_path / "logs" / f"{source}.log").write_text("[1] x [ERR] broken\n")
    found = await until(_arrived(lines, len(SOURCES)))
    assert {line.subject for line in found} == {f"log.{s}.error.-" for s in SOURCES}


async def test_a_restart_neither_loses_nor_doubles_a_line(
    started, lines, until, tmp_path
):
    log = tmp_path / "logs" / "ffmpeg.log"
    app = await started()
    with log.open("a") as out:
        out.write("one\ntwo\n")
        out.flush()
        await until(_arrived(lines, 2))
        await app.stop()
        out.write("three\n")
        out.flush()
        await started()
        await until(_arrived(lines, 3))
        out.write("four\n")
    found = await until(_arrived(lines, 4))
    assert [line.text for line in found] == ["one", "two", "three", "four"]


async def test_a_flood_is_counted_and_stops_no_other_source(
    started, lines, until, tmp_path
):
    await started(log_lines_per_sec=5)
    flood = tmp_path / "logs" / "chromium.log"
    flood.write_text("noise\n" * 500)
    (tmp_path / "logs" / "nats-server.log").write_text("[INF] ready\n")
    await until(lambda: _has(lines, "[INF] ready"))

    async def counted():
        with flood.open("a") as out:
            out.write("more\n")
        return any("lines skipped" in line.text for line in await lines())

    await until(counted)


async def _has(lines, text):
    return any(line.text == text for line in await lines())
