"""One call of the site's JSON API: who calls, what is asked, and the envelope back."""

import json
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simulator.errors import RefusedError, invalid
from simulator.records import Json
from simulator.settings import Account
from simulator.signing import check_sign
from simulator.traffic import Note
from simulator.world import World

AID_CN, AID_ABROAD = "513695", "513641"
BASIC = ("aid",)
LISTING = ("aid", "web_version", "da_version", "aigc_features")
POLLING = (*LISTING, "device_platform", "region")
"""The query parameters the site's own page sends with each kind of call."""

_FULL_BODY = 16 * 2**20


@dataclass(frozen=True)
class Call:
    """A call whose session is alive; `body` is the JSON object that was sent."""

    world: World
    request: Request
    account: Account
    body: Json
    raw_body: bytes

    @property
    def origin(self) -> str:
        """This host as the client knows it: links and upload hosts point here."""
        return f"{self.request.url.scheme}://{self.request.url.netloc}"

    @property
    def fault(self) -> Any:
        """The fault struck at this request that a handler must act out, or None."""
        return self.request.scope.get("fault")


Handler = Callable[[Call], Awaitable[Any]]
Endpoint = Callable[[Request], Awaitable[Response]]


def mweb(world: World, handler: Handler, required: tuple[str, ...] = BASIC) -> Endpoint:
    """An endpoint in the site's envelope: HTTP 200, and `ret` says how it went."""

    async def endpoint(request: Request) -> Response:
        try:
            call = await open_call(world, request)
            check_query(call, required)
            data = await handler(call)
        except RefusedError as refusal:
            return _closed(request, refusal.ret, refusal.errmsg, refusal.data)
        return _closed(request, "0", "success", data)

    return endpoint


def commerce(world: World, handler: Handler) -> Endpoint:
    """An endpoint of the billing host: no query, and the data again as a string."""

    async def endpoint(request: Request) -> Response:
        try:
            data = await handler(await open_call(world, request))
        except RefusedError as refusal:
            return _closed(request, refusal.ret, refusal.errmsg, None)
        noted(request).verdict = "0"
        return JSONResponse(_commerce(world, data))

    return endpoint


async def open_call(world: World, request: Request) -> Call:
    """Check what every call must have: a live session, a right Sign, a JSON object."""
    account = session(world, request)
    noted(request).uid = account.uid
    _check_sign_header(world, request)
    raw = await request.body()
    return Call(world, request, account, _json_object(request, raw), raw)


def session(world: World, request: Request) -> Account:
    """The account that is logged in; without one, ret 1015."""
    account = logged_in(world, request)
    if account is None:
        raise RefusedError("1015")
    return account


def logged_in(world: World, request: Request) -> Account | None:
    """The account of the `sessionid` cookie, unless dead or not of the host called."""
    account = world.accounts.get(request.cookies.get("sessionid", ""))
    if account is None or account.dead:
        return None
    called = host_called(request) or host_of(account.region)
    return account if called == host_of(account.region) else None


def host_called(request: Request) -> str | None:
    """Which of the site's hosts a call is meant for; None when it does not say.

    All share one origin here, so the header `Loc`, the page's region, stands for it.
    """
    place = request.headers.get("loc")
    return host_of(place.lower()) if place else None


def host_of(region: str) -> str:
    """The host a region's accounts live on: Asia outside China has one in common."""
    return "sg" if region in ("hk", "jp") else region


def check_query(call: Call, required: tuple[str, ...]) -> None:
    """Refuse a query that lacks a common parameter or is for another region."""
    query, account = call.request.query_params, call.account
    if missing := [name for name in required if not query.get(name)]:
        raise invalid(f"query lacks {', '.join(missing)}")
    aid = AID_CN if account.region == "cn" else AID_ABROAD
    region = query.get("region", account.region).lower()
    if query["aid"] != aid or region != account.region:
        raise RefusedError("3000")
    check_web_id(call)


def check_web_id(call: Call) -> None:
    """Refuse (4013) a `webId` that differs from the cookie `_tea_web_id`."""
    told = call.request.query_params.get("webId")
    kept = call.request.cookies.get("_tea_web_id")
    if call.world.knobs.require_web_id_match and told and kept and told != kept:
        raise RefusedError("4013")


def noted(request: Request) -> Note:
    """The line of this request in the simulator's own record."""
    note: Note = request.scope["note"]
    return note


def _check_sign_header(world: World, request: Request) -> None:
    mode = world.knobs.require_sign
    signed_by_page = "a_bogus" in request.query_params
    present = "sign" in request.headers
    if mode == "required" and not present and not signed_by_page:
        raise RefusedError("1014")
    if mode != "off" and present:
        check_sign(request.url.path, request.headers, time.time())


def _json_object(request: Request, raw: bytes) -> Json:
    if len(raw) > _FULL_BODY:
        raise invalid("the body is too large")
    if not raw:
        return {}
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise invalid("content-type is not application/json")
    try:
        body = json.loads(raw)
    except ValueError:
        raise invalid("the body is not JSON") from None
    if not isinstance(body, dict):
        raise invalid("the body is not an object")
    return body


def _closed(request: Request, ret: str, errmsg: str, data: Any) -> Response:
    noted(request).verdict = ret
    if ret != "0":
        noted(request).detail["errmsg"] = errmsg
    return JSONResponse(
        {
            "ret": ret,
            "errmsg": errmsg,
            "systime": str(int(time.time())),
            "logid": log_id(),
            "data": data,
        }
    )


def _commerce(world: World, data: Any) -> Json:
    response = json.dumps(data, ensure_ascii=False)
    return {
        "ret": "0",
        "errmsg": "success",
        "svr_time": int(time.time()),
        "log_id": log_id(),
        "response": response,
        "sign": world.sign("commerce", response)[:44],
        "data": data,
    }


def log_id() -> str:
    """The id the site gives every answer: the time, then random hexadecimal digits."""
    return time.strftime("%Y%m%d%H%M%S") + uuid.uuid4().hex[:20].upper()
