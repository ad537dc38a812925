"""Removes, at the start, what uploads left behind that ended with the process."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import blobs

# One that is still being written is touched with each piece: a client that sends
# nothing for half a minute is cut off.
OLD_SECONDS = 3600.0

log = logging.getLogger("gateway-http")


@asynccontextmanager
async def swept(store: blobs.Store) -> AsyncIterator[None]:
    """Sweep once; a store that cannot be swept keeps nothing from starting."""
    try:
        if removed := await store.sweep(OLD_SECONDS):
            log.info("removed %d unfinished uploads", removed)
    except OSError as error:
        log.warning("cannot look for unfinished uploads: %s", error)
    yield
