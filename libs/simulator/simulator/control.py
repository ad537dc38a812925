"""The control API under /_sim: what a test asks of the site and changes about it."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.faults import Fault
from simulator.settings import Account, Knobs
from simulator.world import World

_LONGEST_WAIT = 60.0


def routes(world: World) -> list[Route]:
    """The routes of the control API."""
    return [
        _route(world, "GET", "health", _health),
        _route(world, "GET", "ledger", _ledger),
        _route(world, "GET", "requests", _requests),
        _route(world, "GET", "jobs", _jobs),
        _route(world, "GET", "wait", _wait),
        _route(world, "GET", "accounts", _accounts),
        _route(world, "POST", "accounts", _account),
        _route(world, "GET", "faults", _faults),
        _route(world, "POST", "faults", _fault),
        _route(world, "DELETE", "faults", _no_faults),
        _route(world, "GET", "settings", _settings),
        _route(world, "POST", "settings", _set),
        _route(world, "POST", "advance", _advance),
    ]


def _route(
    world: World,
    method: str,
    name: str,
    handler: Callable[[World, Request], Awaitable[Any]],
) -> Route:
    async def endpoint(request: Request) -> Response:
        if _foreign(request):
            return JSONResponse({"error": "not from another page"}, 403)
        try:
            return JSONResponse(await handler(world, request))
        except (ValidationError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 422)

    return Route(f"/_sim/{name}", endpoint, methods=[method])


def _foreign(request: Request) -> bool:
    """A web page of another origin must not steer the simulator."""
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.url.netloc}"
    return origin is not None and origin != own


async def _health(world: World, _request: Request) -> Any:
    return {"status": "ok", "jobs": len(world.jobs), "now": world.now()}


async def _ledger(world: World, _request: Request) -> Any:
    for job in list(world.jobs.values()):
        world.settle(job)
    return {key: _entry(world, key) for key in world.ledger}


def _entry(world: World, submit_id: str) -> Any:
    entry = world.ledger[submit_id]
    times = [world.jobs[one].times.model_dump() for one in entry.job_ids]
    return entry.model_dump() | {"times": times}


async def _requests(world: World, request: Request) -> Any:
    kind = request.query_params.get("kind")
    after = int(request.query_params.get("after", 0))
    notes = [note for note in world.traffic.recent if note.number > after]
    return [asdict(note) for note in notes if kind in (None, note.kind)]


async def _jobs(world: World, _request: Request) -> Any:
    return [job.model_dump() for job in world.jobs.values()]


async def _wait(world: World, request: Request) -> Any:
    """Answer once `event` has happened `count` times since the start."""
    event, query = request.query_params["event"], request.query_params
    count, seconds = int(query.get("count", 1)), float(query.get("timeout", 10))
    reached = await world.traffic.wait(event, count, min(seconds, _LONGEST_WAIT))
    return {"event": event, "count": reached, "reached": reached >= count}


async def _accounts(world: World, _request: Request) -> Any:
    return [_shown(world, account) for account in world.accounts.values()]


async def _account(world: World, request: Request) -> Any:
    """Create an account, or change the fields named of the one with this sessionid."""
    told = await request.json()
    known = world.accounts.get(told.get("sessionid", ""))
    uid = f"{20_000_000_000_000 + len(world.accounts)}"
    before = known.model_dump() if known else {"uid": uid}
    account = Account.model_validate(before | told)
    world.save_account(account)
    return _shown(world, account)


def _shown(world: World, account: Account) -> dict[str, Any]:
    return account.model_dump() | {
        "credits_total": account.credits.total,
        "running": world.running(account.uid),
        "peak": world.peaks[account.uid],
    }


async def _faults(world: World, _request: Request) -> Any:
    return world.faults.listed()


async def _fault(world: World, request: Request) -> Any:
    """Switch on one fault, or a list of them."""
    told = await request.json()
    for each in told if isinstance(told, list) else [told]:
        world.faults.add(Fault.model_validate(each))
    return world.faults.listed()


async def _no_faults(world: World, request: Request) -> Any:
    world.faults.clear(request.query_params.get("kind"))
    return world.faults.listed()


async def _settings(world: World, _request: Request) -> Any:
    return world.knobs.model_dump()


async def _set(world: World, request: Request) -> Any:
    """Change the knobs named, for what comes from now on."""
    changed = world.knobs.model_dump() | await request.json()
    world.knobs = Knobs.model_validate(changed)
    return world.knobs.model_dump()


class _Advance(BaseModel):
    model_config = ConfigDict(extra="forbid")
    seconds: float


async def _advance(world: World, request: Request) -> Any:
    """Let the simulator's time pass at once."""
    world.advance(_Advance.model_validate(await request.json()).seconds)
    return {"now": world.now()}
