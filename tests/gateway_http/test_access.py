"""Who may do what: every route by every caller, against a real scheduler."""

from datetime import UTC, datetime, timedelta

from httpx import Response

from access_support import TOKEN, WISH
from contracts.keys import EVERYDAY
from gateway_http.access import ROLES, Caller
from gateway_http.links import LinkKeys, Target, signed

SCOPES = (*EVERYDAY, "admin")
OPEN = "open"  # answered without a key
ANY = "any"  # by any key

TABLE = {
    "GET /ping": OPEN,
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /api/v1/health": OPEN,
    "GET /api/v1/stats": "task:read",
    "GET /api/v1/tasks": "task:read",
    "POST /api/v1/tasks": "video:create",
    "GET /api/v1/tasks/{task}": "task:read",
    "DELETE /api/v1/tasks/{task}": "task:cancel",
    "POST /api/v1/tasks/cancel": "task:cancel",
    "POST /api/v1/tasks/retry": "task:retry",
    "GET /api/v1/tasks/{task}/video": "task:read",
    "GET /api/v1/tasks/{task}/results/{index}": "task:read",
    "POST /api/v1/tasks/{task}/links": "task:read",
    "GET /api/v1/tasks/{task}/poster": "task:read",
    "POST /api/v1/tasks/{task}/cancel": "task:cancel",
    "POST /api/v1/tasks/{task}/retry": "task:retry",
    "POST /api/v1/tasks/{task}/resolve": "task:resolve",
    "GET /api/v1/tasks/{task}/events": "task:read",
    "GET /api/v1/events": "task:read",
    "POST /v1/images/generations": "image:create",
    "POST /v1/images/edits": "image:create",
    "POST /v1/images/compositions": "image:create",
    "GET /api/v1/models": ANY,
    "GET /api/v1/models/{name}": ANY,
    "POST /v1/videos/generations": "video:create",
    "POST /v1/chat/completions": "video:create",
    "GET /v1/models": ANY,
    "GET /v1/models/{name}": ANY,
    "POST /token/check": "admin",
    "POST /token/points": "admin",
    "GET /api/v1/sessions": "session:read",
    "POST /api/v1/sessions": "session:write",
    "GET /api/v1/sessions/{session}": "session:read",
    "PATCH /api/v1/sessions/{session}": "session:write",
    "DELETE /api/v1/sessions/{session}": "session:write",
    "PUT /api/v1/sessions/{session}/credential": "session:write",
    "PUT /api/v1/sessions/{session}/proxy": "session:write",
    "POST /api/v1/sessions/batch": "session:write",
    "POST /api/v1/sessions/{session}/test": "session:write",
    "POST /api/v1/sessions/{session}/drain": "session:write",
    "GET /api/v1/keys": "admin",
    "POST /api/v1/keys": "admin",
    "GET /api/v1/keys/{key}": "admin",
    "PATCH /api/v1/keys/{key}": "admin",
    "DELETE /api/v1/keys/{key}": "admin",
    "POST /api/v1/keys/{key}/rotate": "admin",
    "GET /api/v1/me": ANY,
    "GET /auth/login": OPEN,
    "POST /auth/login": OPEN,
    "GET /auth/callback": OPEN,
    "POST /auth/logout": OPEN,
    "GET /auth/me": ANY,
    "GET /api/v1/usage": "admin",
    "GET /api/v1/usage/summary": "admin",
    "GET /api/v1/webhooks": "admin",
    "POST /api/v1/webhooks": "admin",
    "GET /api/v1/webhooks/deliveries": "admin",
    "GET /api/v1/webhooks/deliveries/{delivery}": "admin",
    "POST /api/v1/webhooks/deliveries/{delivery}/replay": "admin",
    "GET /api/v1/webhooks/{webhook}": "admin",
    "PATCH /api/v1/webhooks/{webhook}": "admin",
    "DELETE /api/v1/webhooks/{webhook}": "admin",
    "POST /api/v1/webhooks/{webhook}/rotate": "admin",
    "POST /api/v1/webhooks/{webhook}/test": "admin",
    "GET /api/v1/audit": "admin",
}
"""Every route, and which scope it needs. Whoever adds one enters it here."""

LOOK = {ANY, "task:read", "session:read"}
MAY = {
    "viewer": LOOK,
    "operator": {*LOOK, *EVERYDAY, "task:resolve", "session:write"},
}
"""What people with a role may, beside admins."""

OPERATORS = {"admin", "session:write", "task:resolve"}

BODIES = {
    "POST /api/v1/tasks": WISH,
    "POST /api/v1/tasks/cancel": {"all": True, "dry_run": True},
    "POST /api/v1/tasks/retry": {"all": True, "dry_run": True},
    "POST /api/v1/tasks/{task}/links": {},
    "POST /v1/videos/generations": WISH,
    "POST /v1/chat/completions": {
        "model": WISH["model"],
        "messages": [{"role": "user", "content": WISH["prompt"]}],
    },
    "POST /api/v1/tasks/{task}/resolve": {"action": "fail"},
    "POST /api/v1/keys": {"name": "one more"},
    "PATCH /api/v1/keys/{key}": {"name": "another"},
}


async def routes_of(door):
    """Every route of the document, and HEAD where it is one of its own."""
    document = (await door.nobody.get("/openapi.json")).json()
    return [
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    ]


async def asked(client, route, **names):
    method, path = route.split()
    parts = ("task", "session", "key", "webhook", "delivery", "name")
    known = dict.fromkeys(parts, "none") | {"index": "0"}
    place = path.format(**known | names)
    if path.endswith("/events"):
        return await opened(client, place)
    headers = {"prefer": "respond-async"}
    return await client.request(method, place, json=BODIES.get(route), headers=headers)


async def opened(client, place):
    """Ask for a stream, which has no end; return how it begins."""
    async with client.stream("GET", place) as answer:
        text = b"" if answer.is_success else await answer.aread()
        return Response(answer.status_code, headers=answer.headers, content=text)


def word_of(no):
    """What a no is called: some routes say it in OpenAI's words."""
    body = no.json()
    return body["error"]["code"] if "error" in body else body["type"]


async def test_the_table_has_every_route_and_no_other(door):
    assert sorted(await routes_of(door)) == sorted(TABLE)


async def test_the_document_says_which_scope_each_route_needs(door):
    document = (await door.nobody.get("/openapi.json")).json()
    for route, needed in TABLE.items():
        method, path = route.split()
        told = document["paths"][path][method.lower()]
        ways, scopes = told["security"], told.get("x-scopes", [])
        if needed == OPEN:
            assert ways == [{}], route
        elif needed == ANY:
            assert (ways, scopes) == ([{"key": []}, {"cookie": []}], []), route
        else:
            assert needed in scopes, route
            assert {"key": [needed]} in ways, route
            assert f"`{needed}`" in told["description"], route
        assert ({"link": []} in ways) == path.endswith(("video", "poster", "{index}"))


async def test_every_route_by_every_caller(door):
    holders = {scope: (await door.key(scopes=[scope]))[0] for scope in SCOPES}
    people = {role: door.person(role) for role in MAY}
    admins = {"admin token": door.admin, "admin by role": door.person("admin")}
    callers = {"nobody": door.nobody, **admins, **holders, **people}
    for route, needed in TABLE.items():
        for name, client in callers.items():
            answer = await asked(client, route)
            status, where = answer.status_code, (route, name, answer.text)
            if needed == OPEN:
                assert status not in {401, 403}, where
            elif name == "nobody":
                assert status == 401, where
                assert answer.headers["www-authenticate"].startswith("Bearer"), where
            elif name.startswith("admin") or needed in MAY.get(name, {ANY, name}):
                assert status not in {401, 403}, where
            else:
                assert (status, word_of(answer)) == (403, "scope_missing"), where


async def test_a_task_of_another_owner_is_not_there(door):
    mine, _ = await door.key()
    other, _ = await door.key()
    for route in (r for r in TABLE if "{task}" in r):
        task = await door.task(other)
        scoped = TABLE[route] != "task:resolve"
        no = await asked(mine, route, task=task)
        assert no.status_code == (404 if scoped else 403), (route, no.text)
        assert (await asked(door.admin, route, task=task)).status_code != 404 or (
            route.endswith("/poster")
        ), route
    assert (await mine.get("/api/v1/tasks")).json()["tasks"] == []
    assert (await mine.get("/api/v1/stats")).json()["total"] == 0
    seen = (await door.admin.get("/api/v1/tasks")).json()["tasks"]
    assert len(seen) >= 5


async def test_a_batch_is_about_the_callers_own_tasks(door):
    mine, _ = await door.key()
    other, made = await door.key()
    task = await door.task(mine)
    await door.task(other)
    place = "/api/v1/tasks/cancel"
    wish = {"owner": f"key:{made['id']}", "all": True}
    stolen = (await mine.post(place, json=wish)).json()
    own = (await mine.post(place, json={"all": True})).json()
    rest = (await door.admin.post(place, json=wish | {"dry_run": True})).json()

    assert stolen["matched"] == 0
    assert (own["matched"], own["task_ids"]) == (1, [task])
    assert rest["matched"] == 1


async def test_a_signed_link_needs_no_key_and_opens_nothing_else(door):
    client, _ = await door.key()
    task = await door.task(client)
    secret = (door.gateway.blobs.parent / "secret.key").read_text().strip()
    keys, later = LinkKeys(secret), datetime.now(UTC) + timedelta(minutes=1)
    link = signed("", keys, Target(task), later)
    query = link.partition("?")[2]
    place = f"/api/v1/tasks/{task}"

    found = await door.nobody.get(link)  # let in: it is not there yet
    assert (found.status_code, found.json()["type"]) == (409, "not_succeeded")
    for other in ("/poster", "/video?index=1&", "/results/1"):
        joint = "" if other.endswith("&") else "?"
        assert (
            await door.nobody.get(f"{place}{other}{joint}{query}")
        ).status_code == 403
    for other in ("", "/cancel", "/results/x", "/video/x"):
        assert (await door.nobody.get(f"{place}{other}?{query}")).status_code == 401
    assert (await door.nobody.delete(f"{place}?{query}")).status_code == 401
    assert (await door.nobody.post(f"{place}/video?{query}")).status_code == 401


async def test_an_admin_key_sees_all_and_its_tasks_are_its_own(door):
    chief, key = await door.key(scopes=["admin"])
    worker, _ = await door.key()
    task = await door.task(chief)
    assert (await worker.get(f"/api/v1/tasks/{task}")).status_code == 404
    theirs = await door.task(worker)
    assert (await chief.get(f"/api/v1/tasks/{theirs}")).status_code == 200
    assert (await asked(chief, "DELETE /api/v1/keys/{key}", key=key["id"])).is_success


async def test_what_is_no_route_is_told_to_those_with_a_key_alone(door):
    for path in ("/", "/api/v1/nothing", "/metrics", "/docs/", "/authx"):
        assert (await door.nobody.get(path)).status_code == 401
    for path in ("/docs", "/openapi.json", "/ping"):
        assert (await door.nobody.get(path)).status_code == 200
        assert (await door.client("gw_bad").get(path)).status_code == 200
    assert (await door.nobody.get("/auth/nothing")).status_code == 404
    assert (await door.admin.get("/")).status_code == 200


async def test_health_without_a_key_is_one_word(door):
    told = (await door.nobody.get("/api/v1/health")).json()
    assert told == {"ok": False, "status": "unavailable"}
    assert (await door.client("gw_bad").get("/api/v1/health")).json() == told
    assert "gateway_version" in (await door.admin.get("/api/v1/health")).json()


async def test_what_is_no_key_is_refused(door):
    for header in (
        "Bearer gw_" + "0" * 64,
        "Bearer " + TOKEN[:-1],
        "Bearer",
        "Basic " + TOKEN,
        TOKEN,
        "Bearer gw_\u00e9".encode("latin-1"),
        "Bearer gw_a.b.c.>",
        "Bearer gw_" + "x" * 4000,
    ):
        given = {"authorization": header}
        answer = await door.nobody.get("/api/v1/tasks", headers=given)
        assert (answer.status_code, answer.json()["type"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert TOKEN not in answer.text


async def test_a_disabled_or_expired_or_deleted_key_lets_nobody_in(door):
    client, key = await door.key()
    place = f"/api/v1/keys/{key['id']}"

    async def tried():
        answer = await client.get("/api/v1/tasks")
        return answer.status_code, answer.json().get("type")

    async def changed(**terms):
        answer = await door.admin.patch(place, json=terms)
        assert answer.status_code == 200, answer.text

    assert (await tried())[0] == 200
    await changed(enabled=False)
    assert await tried() == (403, "key_disabled")
    before = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    await changed(enabled=True, expires_at=before)
    assert await tried() == (403, "key_expired")
    await changed(expires_at=None)
    assert (await tried())[0] == 200
    await changed(scopes=["task:cancel"])
    assert await tried() == (403, "scope_missing")
    assert (await door.admin.delete(place)).status_code == 200
    assert await tried() == (401, "unauthorized")


async def test_a_rotated_key_keeps_its_tasks(door):
    old, key = await door.key()
    task = await door.task(old)
    place = f"/api/v1/keys/{key['id']}/rotate"
    made = (await door.admin.post(place, json={"grace_secs": 60})).json()["key"]
    new = door.client(made["key"])
    for client in (old, new):
        assert (await client.get(f"/api/v1/tasks/{task}")).status_code == 200
    again = (await door.admin.post(place)).json()["key"]
    assert again["previous_until"] is None
    assert [(await c.get("/api/v1/stats")).status_code for c in (old, new)] == [401] * 2


async def test_a_key_is_shown_once(door):
    _, key = await door.key(name="farm", rate_limit=7)
    assert key["key"].startswith(key["key_prefix"])
    for path in ("/api/v1/keys", f"/api/v1/keys/{key['id']}"):
        told = (await door.admin.get(path)).text
        assert key["key_prefix"] in told
        assert key["key"] not in told
        assert '"rate_limit":7' in told


async def test_a_key_with_unclear_terms_is_not_made(door):
    for wrong in (
        {"name": None},
        {"name": ""},
        {"name": "x" * 101},
        {"scopes": ["everything"]},
        {"scopes": []},
        {"rate_limit": -1},
        {"expires_at": "2027-01-01T00:00:00"},
        {"daily_quota": 10**12},
        {"metadata": {}},
    ):
        answer = await door.admin.post("/api/v1/keys", json={"name": "k"} | wrong)
        assert answer.status_code == 422, (wrong, answer.text)
    assert (await door.admin.get("/api/v1/keys")).json()["keys"] == []


async def test_keys_work_while_the_scheduler_is_away(door):
    client, _ = await door.key()
    await door.scheduler.stop()
    task = await door.task(client)
    assert (await client.get(f"/api/v1/tasks/{task}")).status_code == 200


async def test_without_nats_no_key_is_looked_up_but_the_word_is_told(door, nats):
    client, _ = await door.key()
    nats.kill()
    answer = await client.get("/api/v1/tasks")
    assert (answer.status_code, answer.json()["type"]) == (503, "unavailable")
    word = await door.nobody.get("/api/v1/health")
    assert (word.status_code, word.json()["ok"]) == (503, False)
    nats.start()


async def test_without_sign_in_a_bearer_is_ignored(gateway):
    headers = {"authorization": "Bearer gw_whatever"}
    assert (await gateway.http.get("/api/v1/tasks", headers=headers)).is_success


def test_a_caller_without_an_owner_sees_nothing_of_others():
    assert Caller().seen_by not in {None, ""}
    assert Caller(owner="key:1").seen_by == "key:1"
    assert Caller(owner="key:1", sees_all=True).seen_by is None


def test_each_role_may_what_the_one_before_may_and_more():
    viewer, operator, admin = (Caller(scopes=ROLES[r]) for r in ROLES)
    needed = set(TABLE.values()) - {OPEN, ANY}
    may = [{s for s in needed if c.has(s)} for c in (viewer, operator, admin)]
    assert may[0] < may[1] < may[2] == needed
    assert may[0] == {"task:read", "session:read"}
    assert may[2] - may[1] == {"admin"}


async def test_every_write_of_an_operator_is_on_record(door, on_record):
    """Also of a route that is added later: it is in the table of all routes."""
    writes = [
        route
        for route, scope in TABLE.items()
        if not route.startswith("GET ") and scope in OPERATORS
    ]
    assert len(writes) > 10
    for route in writes:
        await asked(door.admin, route)
    found = await on_record(len(writes))
    assert len(found) == len(writes)
    assert {each["actor"] for each in found} == {"admin token"}
    assert {each["address"] for each in found} == {"127.0.0.1"}


async def test_who_may_only_retry_makes_nothing_that_was_not_made_before(door, until):
    client, _ = await door.key(scopes=["task:retry", "video:create", "task:cancel"])
    task = await door.task(client)

    async def is_cancelled():
        return (await client.post(f"/api/v1/tasks/{task}/cancel")).is_success

    await until(is_cancelled)
    place = f"/api/v1/tasks/{task}/retry"
    image = await client.post(place, json={"model": "jimeng-4.0"})
    assert (image.status_code, image.json()["scope"]) == (403, "image:create")
    assert (await client.post(place, json={"prompt": "a bear"})).status_code == 201
    assert (await client.post(place)).status_code == 201
