"""Builds the log streamer: one stream for each source that cannot publish itself."""

from contracts.bus import Bus
from log_streamer.settings import Settings
from log_streamer.stream import Stream
from runtime import logs
from runtime.background import running
from runtime.service import App, fatal

SOURCES = ("nats-server", "chromium", "ffmpeg", "simulator")


def create_app(settings: Settings) -> App:
    """Build the service; files that are not there yet are waited for."""
    bus = Bus(
        "log-streamer",
        settings.link,
        fatal=fatal,
        needed=frozenset({"KV_follow"}),
        scope=logs.about,
    )
    streams = [
        Stream(
            bus,
            source,
            settings.logs_dir / f"{source}.log",
            settings.log_look_secs,
            settings.log_lines_per_sec,
        )
        for source in SOURCES
    ]
    return App(bus, after=[running(stream.follow) for stream in streams])
