"""`/api/v1/tasks/{id}/events` and `/api/v1/events`: what happens, as it happens."""

from collections.abc import Awaitable, Callable
from math import inf
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from contracts.keys import KeyEntry
from contracts.message import now
from contracts.values import Kind, Status
from gateway_http.access import ANYBODY, Caller, Reader
from gateway_http.live.follower import Follower
from gateway_http.live.opening import Beginning, Opening
from gateway_http.live.stream import EventStream
from gateway_http.live.wanted import Wanted
from gateway_http.parts import Parts, TaskId, problems
from gateway_http.problems import unavailable

LastId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        max_length=100,
        description="The last id that came; what came after it follows.",
    ),
]
OR_ELSE = "The same, for who cannot set the header, which wins."
LastIdQuery = Annotated[str | None, Query(max_length=100, description=OR_ELSE)]
Some = Annotated[list[str], Field(max_length=100)]
EXAMPLE = """\
retry: 3000

event: snapshot
data: {"task": {"id": "0194…", "status": "queued", "revision": 1, …}}
id: 4711

event: polling
data: {"task": {"id": "0194…", "status": "polling", "revision": 4, …}}
id: 4723

: ping

event: succeeded
data: {"task": {"id": "0194…", "status": "succeeded", "video_url": "https://…", …}}
id: 4790

event: done
data: {"task_id": "0194…", "status": "succeeded"}

"""


class Filter(BaseModel):
    """Which events are wanted; each may be given several times, any of them fits."""

    model_config = ConfigDict(extra="ignore")

    about: list[Literal["tasks", "sessions"]] = Field(
        default=["tasks"],
        min_length=1,
        description="Accounts of the pool need the scope session:read.",
    )
    status: list[Status] = []
    kind: list[Kind] = []
    model: Some = []
    owner: Some = Field([], description="Whose tasks, as `key:<id>`.")
    task_id: Some = []
    limit: int = Field(50, ge=0, le=200, description="Tasks in a snapshot, at most.")
    last_event_id: str | None = Field(None, max_length=100, description=OR_ELSE)

    def wanted(self, caller: Caller) -> Wanted:
        """Return it as it is held against events."""
        return Wanted(
            seen_by=caller.seen_by,
            tasks="tasks" in self.about,
            sessions="sessions" in self.about,
            ids=frozenset(self.task_id),
            owners=frozenset(self.owner),
            statuses=frozenset(self.status),
            kinds=frozenset(self.kind),
            models=frozenset(self.model),
        )


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api/v1", tags=["events"])

    @routes.get(
        "/tasks/{task}/events",
        status_code=200,
        response_class=EventStream,
        responses=_answers(404),
    )
    async def follow_task(
        request: Request,
        task: TaskId,
        caller: Reader,
        last_id: LastId = None,
        last_event_id: LastIdQuery = None,
    ) -> EventStream:
        """Follow one task to its end, as server-sent events.

        First a `snapshot`, the task as a read shows it; then an event for each change,
        named by its new status, or `progressed`; at the end `done`: close the stream
        then. With the last id it goes on from there, at any gateway; an id from which
        the log cannot go on brings `reset`, which is a snapshot.
        """
        wanted = Wanted(seen_by=caller.seen_by, task=task)
        begun = Opening(parts.bus, parts.hub, parts.links(request))
        after = last_id or last_event_id
        return await _stream(
            parts, request, caller, wanted, lambda: begun.of_task(wanted, after)
        )

    @routes.get(
        "/events",
        status_code=200,
        response_class=EventStream,
        responses=_answers(),
    )
    async def follow_many(
        request: Request,
        caller: Reader,
        query: Annotated[Filter, Query()],
        last_id: LastId = None,
    ) -> EventStream:
        """Follow many tasks, or the accounts of the pool, as server-sent events.

        First a `snapshot` of the newest tasks that fit; then an event for each change
        of any task that fits, and `session.changed`, `.checked` and `.removed`.
        """
        wanted = query.wanted(caller)
        if wanted.sessions:
            caller.must("session:read")
        begun = Opening(parts.bus, parts.hub, parts.links(request))
        after = last_id or query.last_event_id
        return await _stream(
            parts,
            request,
            caller,
            wanted,
            lambda: begun.of_many(wanted, after, query.limit),
        )

    return routes


async def _stream(
    parts: Parts,
    request: Request,
    caller: Caller,
    wanted: Wanted,
    begin: Callable[[], Awaitable[Beginning]],
) -> EventStream:
    """Take a slot, begin, and hand all to the answer, which gives the slot back."""
    if not parts.hub.open:
        raise unavailable("the gateway stops: come again")
    free = parts.slots.take(caller.owner, wanted.task)
    try:
        begun = await begin()
    except BaseException:
        free()
        raise
    follower = Follower(
        wanted,
        parts.links(request),
        begun.newer,
        seconds=_seconds(parts, caller),
        key=KeyEntry(hash=caller.key_hash, key=caller.key) if caller.key else None,
    )
    return EventStream(parts.hub, follower, begun, free)


def _seconds(parts: Parts, caller: Caller) -> float:
    """Return how long a stream may last: until its key is over, at the latest."""
    if caller == ANYBODY:
        return inf
    until = caller.key.expires_at if caller.key else None
    left = (until - now()).total_seconds() if until else inf
    return min(parts.patience.stream, left)


def _answers(*refusals: int) -> dict[int | str, dict[str, Any]]:
    example = {"schema": {}, "example": EXAMPLE}
    stream = {"description": "The stream.", "content": {"text/event-stream": example}}
    return {200: stream, **problems(*refusals)}
