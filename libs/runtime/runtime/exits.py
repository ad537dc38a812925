"""The ends of a process that cannot go on; its supervisor starts a new one.

Nothing is lost by them: what was worked on comes back, and children end with us.
"""

import faulthandler
import logging
import os
import sys

log = logging.getLogger("runtime")


def fatal(reason: str) -> None:
    """End the process at once.

    Not an exception: the loop may be starved by what went wrong.
    """
    log.critical("giving up: %s", reason)
    sys.stdout.flush()
    os._exit(1)


def end_within(seconds: float) -> None:
    """End the process if it has not ended by then, whatever hangs; say where it was.

    A thread in C does it, which needs neither the loop nor a lock.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)
