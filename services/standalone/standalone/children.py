"""Child processes that die with this one, however it ends."""

import asyncio
import ctypes
import signal
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
TERM_SECONDS = 3.0


def die_with_parent() -> None:
    """Ask the kernel (Linux) to kill this process when its parent ends."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


async def spawn(
    *command: str, errors: Path, output: int | None = None
) -> asyncio.subprocess.Process:
    """Start a child; stderr goes to a file, appended, and stdout too or to a pipe.

    It gets a session of its own, so that Ctrl-C reaches only us, who stop it in order.
    """
    with errors.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output or file,
            stderr=file,
            preexec_fn=die_with_parent,
            start_new_session=True,
        )


async def end(child: asyncio.subprocess.Process) -> None:
    """Stop a child: politely, then not."""
    if child.returncode is not None:
        return
    with suppress(ProcessLookupError):
        child.terminate()
        try:
            async with asyncio.timeout(TERM_SECONDS):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()
