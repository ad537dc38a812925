"""How the gateway is: `/ping`, `/healthz`, `/readyz`, health, stats, and the door."""

from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from nats.errors import Error as NatsError
from pydantic import BaseModel, Field

from contracts.pool import ListSessions
from contracts.requests import ReadStats, RequestRefusedError, Stats
from gateway_http.access import Caller, Known, Reader
from gateway_http.parts import Parts
from gateway_http.problems import unavailable
from gateway_http.session_views import HEALTHY
from gateway_http.workers import NO_BROWSER, Beats

ASK_SECONDS = 2.0  # a health check is asked often, and must not wait
VERSION = version("jimeng-gateway-http")


class Pool(BaseModel):
    """How many accounts there are, and how many can work."""

    total: int
    healthy: int


class Alive(BaseModel):
    """It answers."""

    ok: bool = True


class Word(BaseModel):
    """Whether the gateway works: all that is told without a key."""

    ok: bool
    status: Literal["ok", "unavailable"]


class Health(Word):
    """How the gateway is; `sessions` and `tasks` are null while nobody knows."""

    gateway_version: str
    sessions: Pool | None
    tasks: Stats | None
    services: dict[str, int] = Field(description="Live instances of each service.")
    browser: bool = Field(description="Can Seedance models be used?")
    notes: list[str] = Field(description="What is wrong, and what to do.")


class Ready(BaseModel):
    """Every service lives; `notes` say what is missing nevertheless."""

    ready: bool = True
    services: dict[str, int]
    notes: list[str]


def router(parts: Parts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["status"])

    @routes.get("/", include_in_schema=False)
    async def door() -> dict[str, str]:
        return {
            "name": "jimeng-gateway",
            "version": VERSION,
            "docs": "/docs",
            "tasks": "/api/v1/tasks",
            "health": "/api/v1/health",
        }

    @routes.get("/ping", response_class=PlainTextResponse)
    async def ping() -> str:
        """Answer `pong`."""
        return "pong"

    @routes.get("/healthz")
    async def live() -> Alive:
        """Tell that this process answers."""
        return Alive()

    @routes.get("/readyz")
    async def ready() -> Ready:
        """Tell whether every service lives."""
        beats = await parts.workers.beats()
        notes = _notes(parts, beats)
        if problem := _not_ready(beats, notes):
            raise problem
        return Ready(services=dict(beats.instances), notes=notes)

    @routes.get("/api/v1/stats")
    async def stats(caller: Reader) -> Stats:
        """Count the tasks; `running` is between queued and ended."""
        return await parts.bus.ask(ReadStats(seen_by=caller.seen_by))

    @routes.get("/api/v1/health", responses={503: {"model": Health | Word}})
    async def health(response: Response, caller: Known) -> Health | Word:
        """Tell how everything is; without a key, whether it works.

        503: something that work needs is missing.
        """
        found = await _health(parts, caller)
        response.status_code = 200 if found.ok else 503
        return found if caller.known else Word(ok=found.ok, status=found.status)

    return routes


def _not_ready(beats: Beats, notes: list[str]) -> Exception | None:
    if not beats.known:
        return unavailable("NATS does not answer", "not_ready", missing=["nats"])
    if missing := beats.missing:
        return unavailable(
            f"not running: {', '.join(missing)}",
            "not_ready",
            missing=missing,
            notes=notes,
        )
    return None


def _notes(parts: Parts, beats: Beats) -> list[str]:
    """Say what is missing while everything lives."""
    room = dict.fromkeys(filter(None, [parts.room.lacking(), *beats.lacking_room]))
    return [*room, *([] if beats.has_browser else [NO_BROWSER])]


async def _health(parts: Parts, caller: Caller) -> Health:
    beats = await parts.workers.beats()
    pool, tasks = await _from_scheduler(parts, caller)
    notes = _notes(parts, beats)
    lacking = parts.room.lacking() or beats.lacking_room
    if problem := _not_ready(beats, notes):
        notes = [str(problem), *notes] if beats.known else [str(problem)]
    if pool is None:
        notes.append("the scheduler does not answer")
    elif not pool.healthy:
        notes.append("no account can work: add one with `jimeng sessions add`")
    well = beats.known and not (beats.missing or lacking)
    ok = well and bool(pool and pool.healthy)
    return Health(
        ok=ok,
        status="ok" if ok else "unavailable",
        gateway_version=VERSION,
        sessions=pool,
        tasks=tasks,
        services=dict(beats.instances),
        browser=beats.has_browser,
        notes=notes,
    )


async def _from_scheduler(
    parts: Parts, caller: Caller
) -> tuple[Pool | None, Stats | None]:
    try:
        sessions = (await parts.bus.ask(ListSessions(), ASK_SECONDS)).sessions
        tasks = await parts.bus.ask(ReadStats(seen_by=caller.seen_by), ASK_SECONDS)
    except (NatsError, RequestRefusedError):
        return None, None
    healthy = sum(session.state in HEALTHY for session in sessions)
    return Pool(total=len(sessions), healthy=healthy), tasks
