"""A service whose handlers make a stop hard: `python trying_service.py`.

A check's session says what its handler does; each start is a line on stdout.
"""

import asyncio
import logging

from contracts.bus import Bus
from contracts.sessions import CheckSession
from contracts.tasks import PollSession
from runtime import service
from runtime.settings import Settings

STOP_SECONDS = 6.0
log = logging.getLogger("trying")


def create_app(settings: Settings) -> service.App:
    bus = Bus(
        "poller",
        settings.link,
        fatal=service.fatal,
        stop_seconds=4.0,  # longer than the last fetch, also on a busy machine
        watch_seconds=0.2,
        gone_seconds=1.0,
    )

    @bus.consume(CheckSession, concurrency=4)
    async def check(command: CheckSession) -> None:
        log.info("begun %s", command.session)
        match command.session:
            case "short":
                await asyncio.sleep(0.3)
            case "endless":
                await asyncio.Event().wait()
            case "deaf":
                await deaf()
            case "stuck":
                while True:  # the loop turns no more
                    pass

    @bus.consume(PollSession, concurrency=1, restartable=True)
    async def poll(command: PollSession) -> None:
        log.info("begun %s", command.session)
        await asyncio.Event().wait()

    return service.App(bus)


async def deaf() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.info("no")


if __name__ == "__main__":
    service.main(Settings, create_app, stop_seconds=STOP_SECONDS)
