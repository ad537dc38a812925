"""How a stream begins: with a snapshot, or where the client's last id left off."""

import asyncio
import re
from dataclasses import dataclass
from typing import TypeVar

from contracts.bus import Bus
from contracts.pool import ListSessions
from contracts.requests import ListTasks, RequestRefusedError, Task
from contracts.values import TERMINAL
from gateway_http.event_views import Snapshot, TaskSnapshot
from gateway_http.links import Links
from gateway_http.live.hub import Hub
from gateway_http.live.newer import Newer
from gateway_http.live.told import done, frame
from gateway_http.live.wanted import Wanted
from gateway_http.reading import NOT_FOUND, read_task
from gateway_http.session_views import SessionView, session_view
from gateway_http.views import task_view

MOST_BEHIND = 100_000
"""How many places of the log are read again for one client; beyond, a snapshot."""
T = TypeVar("T")
_ID = re.compile(r"\d{1,18}", re.ASCII)


@dataclass
class Beginning:
    """What is sent first, and after which place of the log to go on."""

    newer: Newer
    first: bytes = b""
    done: bool = False


class Opening:
    """Opens streams for one address that links begin with."""

    def __init__(self, bus: Bus, hub: Hub, links: Links) -> None:
        self._bus = bus
        self._hub = hub
        self._events = hub.events
        self._links = links

    async def of_task(self, wanted: Wanted, last_id: str | None) -> Beginning:
        """Begin to follow one task. Raises a 404 where it is not there to see."""
        if last_id is None:
            return await self._task_snapshot(wanted, "snapshot")
        known = await self._known(last_id)
        last = await self._events.last_of(str(wanted.task))
        if known is None or last is None or last.deleted or not wanted.has(last.event):
            # Where it is another's, or deleted, this is the 404.
            return await self._task_snapshot(wanted, "reset")
        if last.end and last.sequence <= known.sequence:
            return Beginning(known, done(str(wanted.task), last.end), done=True)
        return Beginning(known)

    async def of_many(
        self, wanted: Wanted, last_id: str | None, limit: int
    ) -> Beginning:
        """Begin to follow what is wanted of all."""
        if last_id is None:
            return await self._snapshot(wanted, limit, "snapshot")
        known = await self._known(last_id)
        if known is None or self._hub.position - known.sequence > MOST_BEHIND:
            return await self._snapshot(wanted, limit, "reset")
        return Beginning(known)

    async def _known(self, last_id: str) -> Newer | None:
        """Return what a client with this id was shown; None: that is not known.

        What the log has dropped since was its oldest: so nothing is missing after a
        message that it still has.
        """
        if not _ID.fullmatch(last_id):
            return None
        place = int(last_id)
        kept = await self._events.at(place)
        if not kept.there:
            first, last = await self._events.ends()
            if not first - 1 <= place <= last:
                return None
        if kept.told and kept.told.task and kept.told.revision is not None:
            return Newer(place, {kept.told.task: kept.told.revision})
        return Newer(place)

    async def _task_snapshot(self, wanted: Wanted, name: str) -> Beginning:
        place = self._hub.position
        task = await read_task(self._bus, str(wanted.task), wanted.seen_by)
        last = await self._events.last_of(task.id)
        # A snapshot that is ahead of the log has no place in it: who breaks off now
        # begins with a snapshot again.
        same = last is not None and last.revision == task.revision
        shown = TaskSnapshot(task=task_view(task, self._links))
        first = frame(name, shown, last.sequence if last and same else None)
        ended = task.status in TERMINAL
        return Beginning(
            Newer(place, {task.id: task.revision}),
            first + done(task.id, task.status) if ended else first,
            done=ended,
        )

    async def _snapshot(self, wanted: Wanted, limit: int, name: str) -> Beginning:
        place = self._hub.position
        tasks = await self._tasks(wanted, limit) if wanted.tasks and limit else []
        shown = Snapshot(
            tasks=[task_view(task, self._links) for task in tasks],
            sessions=await self._sessions() if wanted.sessions else [],
        )
        revisions = {task.id: task.revision for task in tasks}
        return Beginning(Newer(place, revisions), frame(name, shown, place))

    async def _tasks(self, wanted: Wanted, limit: int) -> list[Task]:
        if wanted.ids:
            each = [self._task(task, wanted.seen_by) for task in sorted(wanted.ids)]
            found = [task for task in await asyncio.gather(*each) if task]
        else:
            found = list((await self._bus.ask(_listing(wanted, limit))).tasks)
        return [task for task in found if wanted.shows(task)]

    async def _task(self, task: str, seen_by: str | None) -> Task | None:
        try:
            return await read_task(self._bus, task, seen_by)
        except RequestRefusedError as no:
            if no.refusal.status != NOT_FOUND:
                raise
            return None

    async def _sessions(self) -> list[SessionView]:
        found = await self._bus.ask(ListSessions())
        return [session_view(each) for each in found.sessions]


def _listing(wanted: Wanted, limit: int) -> ListTasks:
    """Ask for as little as the question can say; `shows` sees to the rest."""
    return ListTasks(
        seen_by=wanted.seen_by,
        owner=_only(wanted.owners),
        kind=_only(wanted.kinds),
        statuses=tuple(sorted(wanted.statuses)),
        models=tuple(sorted(wanted.models)),
        limit=limit,
    )


def _only(given: frozenset[T]) -> T | None:
    return next(iter(given)) if len(given) == 1 else None
