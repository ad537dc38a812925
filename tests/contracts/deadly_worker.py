"""A worker that some commands kill: `python deadly_worker.py URL USER PASSWORD DONE`.

A command's session says what it does; what got done is a line in the file DONE.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import ClassVar

from contracts.bus import Bus, Link
from contracts.tasks import AttemptCommand

SLOW_SECONDS = 0.4
FUSE_SECONDS = 0.1


class Step(AttemptCommand):
    SUBJECT: ClassVar[str] = "cmd.poller.step.{task}-{attempt}"
    DEADLINE_SECONDS: ClassVar[float | None] = 60.0


async def main(url: str, user: str, password: str, done: str) -> None:
    bus = Bus(
        "poller", Link(url, user, password), fatal=sys.exit, heartbeat_seconds=0.1
    )

    file = Path(done).open("a")  # noqa: ASYNC230, SIM115 - before anything runs

    @bus.consume(Step, concurrency=8)
    async def work(command: Step) -> None:
        match command.session:
            case "poison":
                await asyncio.sleep(FUSE_SECONDS)
                os.kill(os.getpid(), signal.SIGKILL)
            case "slow":  # at work whenever the poison acts
                await asyncio.sleep(SLOW_SECONDS)
        print(command.task, file=file, flush=True)

    await bus.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
