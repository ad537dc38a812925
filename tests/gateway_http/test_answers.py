"""What every answer has: safe headers, and a no in the words of its route."""

import json

import pytest

OPENAI, FAMILY = "/v1/images/generations", "/v1/videos/generations"
MIB = 1024 * 1024


async def of_every_kind(door):
    """Answers of every part of the gateway, good and bad."""
    key, _ = await door.key(rate_limit=1)
    foreign = {"origin": "https://evil.example"}
    await key.get("/api/v1/stats")
    return [
        *[
            await client.get(path)
            for client in (door.nobody, door.admin)
            for path in ("/ping", "/readyz", "/docs", "/openapi.json", "/auth/login")
        ],
        await door.nobody.get("/docs/start.js"),
        await door.admin.get("/"),
        await door.admin.get("/none"),
        await door.admin.put("/ping"),
        await door.nobody.get("/api/v1/tasks"),
        await door.admin.get("/api/v1/tasks"),
        await door.admin.get("/api/v1/tasks/none"),
        await door.admin.get("/api/v1/tasks?limit=x"),
        await door.admin.post("/api/v1/tasks", content=b"{"),
        await door.admin.get("/api/v1/tasks", headers=foreign),
        await door.admin.get("/api/v1/tasks", headers={"host": "evil.example"}),
        await key.get("/api/v1/stats"),
        await door.nobody.post(OPENAI),
        await door.nobody.post(FAMILY),
        await door.admin.options("/api/v1/tasks"),
    ]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_every_answer_has_the_headers_that_keep_browsers_safe(open_door, scheme):
    async with open_door(public_url=f"{scheme}://video.example.org") as door:
        answers = await of_every_kind(door)

    assert {200, 401, 403, 404, 405, 415, 421, 422, 429} <= {
        answer.status_code for answer in answers
    }
    for answer in answers:
        told, where = answer.headers, str(answer.request.url)
        assert told["x-content-type-options"] == "nosniff", where
        assert told["referrer-policy"] in {"no-referrer", "same-origin"}, where
        assert "default-src 'none'" in told["content-security-policy"], where
        assert "frame-ancestors 'none'" in told["content-security-policy"], where
        assert told["cache-control"] == "no-store" or "/docs/" in where, where
        assert told["x-request-id"], where
        assert ("strict-transport-security" in told) == (scheme == "https"), where
        assert not {"server", "x-powered-by"} & set(told), where


async def test_a_no_that_comes_before_its_route_is_in_the_routes_words(door):
    for path, word in ((OPENAI, "error"), (FAMILY, "code"), ("/api/v1/tasks", "type")):
        for no in (
            await door.nobody.post(path),
            await door.admin.post(path, headers={"origin": "https://evil.example"}),
            await door.admin.post(path, headers={"host": "evil.example"}),
        ):
            assert no.status_code in {401, 403, 421}
            assert word in no.json(), no.text
            mime = no.headers["content-type"]
            assert mime.endswith("problem+json") == (word == "type")
    answer = await door.nobody.post(OPENAI)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["type"] == "authentication_error"


async def test_a_body_that_is_no_file_ends_at_a_mebibyte(door):
    async def endless():
        for _ in range(5000):
            yield b" " * 64 * 1024

    place, kind = "/api/v1/keys", {"content-type": "application/json"}
    whole = json.dumps({"name": "k"}).encode().ljust(MIB)
    assert (
        await door.admin.post(place, content=whole, headers=kind)
    ).status_code == 201
    for body in (whole + b" ", endless()):
        answer = await door.admin.post(place, content=body, headers=kind)
        assert (answer.status_code, answer.json()["type"]) == (413, "too_large")


async def test_405_names_every_method_of_the_path(door):
    for path, methods in (
        ("/api/v1/tasks", "GET, POST"),
        ("/api/v1/tasks/cancel", "POST"),
        ("/api/v1/tasks/none", "DELETE, GET"),
        ("/api/v1/tasks/none/video", "GET, HEAD"),
        ("/api/v1/keys/none", "DELETE, GET, PATCH"),
    ):
        answer = await door.admin.put(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods), path


OTHERWISE_TYPED = [
    ("POST", "/api/v1/keys", {"name": "k", "rate_limit": "7"}),
    ("POST", "/api/v1/keys", {"name": "k", "rate_limit": True}),
    ("POST", "/api/v1/keys", {"name": "k", "expires_at": 0}),
    ("PATCH", "/api/v1/keys/none", {"enabled": 0}),
    ("POST", "/api/v1/keys/none/rotate", {"grace_secs": False}),
    ("PATCH", "/api/v1/sessions/none", {"max_active": "3"}),
    ("PATCH", "/api/v1/sessions/none", {"daily_cap": 10**30}),
    ("PATCH", "/api/v1/webhooks/none", {"enabled": "yes"}),
    ("POST", "/api/v1/webhooks/none/rotate", {"grace_seconds": 1.0}),
    ("POST", "/auth/logout", {"everywhere": 0}),
    ("GET", "/api/v1/usage?to=0", None),
    ("GET", "/api/v1/usage?from=2026-1-1", None),
    ("GET", "/api/v1/usage?from=1970-01-01T00:00:00", None),
]


async def test_what_is_of_another_type_is_refused_and_not_guessed(door):
    for method, path, body in OTHERWISE_TYPED:
        answer = await door.admin.request(method, path, json=body)
        assert answer.status_code == 422, (path, body, answer.text)
        assert answer.json()["errors"]
