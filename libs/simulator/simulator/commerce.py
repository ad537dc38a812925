"""Credits and identity: the reads that say whether a session is alive and rich."""

import json
import time
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from simulator.call import Call, Endpoint, host_called, logged_in, noted
from simulator.records import Entry, Json
from simulator.world import World

_DAILY_GIFT = 66
_SHANGHAI = timedelta(hours=8)


async def user_credit(call: Call) -> Json:
    """The three purses; gift credits are gone at the next local midnight."""
    purse = call.account.credits
    midnight = _next_midnight(call.world.now())
    gifts = [{"residual_credits": purse.gift, "credits_life_end": midnight}]
    return {
        "credit": {
            "vip_credit": purse.vip,
            "gift_credit": purse.gift,
            "purchase_credit": purse.purchase,
        },
        "expiring_credits": [{"credit_amount": purse.gift, "expire_time": midnight}],
        "credits_detail": {"gift_credits": gifts},
    }


async def credit_receive(call: Call) -> Json:
    """The daily gift: once a day, then a quota of 0."""
    world, account = call.world, call.account
    day = datetime.fromtimestamp(world.now(), UTC) + _SHANGHAI
    first = world.store.add("gift", f"{account.uid} {day.date().isoformat()}")
    if first:
        account.credits.gift += _DAILY_GIFT
        world.save_account(account)
    return {
        "is_first_receive": first,
        "receive_quota": _DAILY_GIFT if first else 0,
        "has_popup": first,
        "cur_total_credits": account.credits.total,
        "receive_inter_days": 1,
    }


async def credit_history(call: Call) -> Json:
    """What each `submit_id` really cost: the site's own ledger, newest first."""
    lines = [one for one in call.world.ledger.values() if one.uid == call.account.uid]
    records = [record for line in lines for record in _records(line)]
    records.sort(key=lambda record: -record["create_time"])
    start = int(call.body.get("cursor") or 0)
    end = start + int(call.body.get("count") or 20)
    return {
        "total_credit": call.account.credits.total,
        "records": records[start:end],
        "new_cursor": str(end),
        "has_more": end < len(records),
    }


def account_info(world: World) -> Endpoint:
    """The live check. Abroad this path does not exist: an HTML page with 404."""

    async def endpoint(request: Request) -> Response:
        account = logged_in(world, request)
        noted(request).uid = account.uid if account else None
        if (host_called(request) or (account.region if account else "cn")) != "cn":
            noted(request).verdict = "404"
            return HTMLResponse("<html><body>404</body></html>", 404)
        if account is None:
            noted(request).verdict = "error"
            return JSONResponse({"message": "error", "data": _NOT_LOGGED_IN})
        noted(request).verdict = "success"
        data = {"user_id": int(account.uid), "app_id": 513695, "connects": []}
        return JSONResponse({"message": "success", "data": data})

    return endpoint


_NOT_LOGGED_IN = {"error_code": 34010105, "description": "login verification failed"}


def _records(line: Entry) -> list[Json]:
    moved = [(charge, 2) for charge in line.charges]
    moved += [(refund, 1) for refund in line.refunds]
    return [
        {
            "amount": movement.amount,
            "create_time": int(movement.at),
            "title": line.model,
            "submit_id": line.submit_id,
            "history_type": kind,
            "status": "success",
        }
        for movement, kind in moved
    ]


def _next_midnight(now: float) -> int:
    local = datetime.fromtimestamp(now, UTC) + _SHANGHAI
    tomorrow = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0)
    return int((tomorrow - _SHANGHAI).timestamp())


async def user_info(call: Call) -> Json:
    """Who the session belongs to."""
    account = call.account
    return {
        "uid": account.uid,
        "name": f"user{account.uid[-4:]}",
        "is_vip": account.vip,
        "region": account.region,
        "server_time": int(time.time()),
        "extra": json.dumps({}),
    }
