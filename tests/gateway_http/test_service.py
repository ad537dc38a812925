"""The service around its routes: who may ask, how it is, how it starts and stops."""

import asyncio
import logging
import os
import time

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from contracts.values import ResultRef
from gateway_http.guard import Guard, OwnHosts
from gateway_http.settings import GatewaySettings
from runtime.settings import SettingsError, load

OUR_CLIENT = {"httpx", "httpcore"}
PUBLIC = "https://video.example.org"


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:5100", True),
        ("LOCALHOST:5100", True),
        ("[::1]:5100", True),
        ("video.example.org", True),
        ("127.0.0.1", False),
        ("127.0.0.1:5101", False),
        ("localhost.example.org:5100", False),
        ("127.0.0.1:5100.example.org", False),
        ("", False),
    ],
)
def test_only_loopback_and_the_public_name_are_our_hosts(host, own):
    assert OwnHosts(lambda: 5100, PUBLIC).has_host(host) is own


async def test_a_guest_page_does_not_bring_cookies():
    seen = {}

    async def app(scope, receive, send):
        seen.update(Headers(scope=scope))
        await PlainTextResponse("")(scope, receive, send)

    guest = "https://app.example.org"
    guard = Guard(app, "gateway-http", OwnHosts(lambda: 5100, PUBLIC), [guest])
    headers = {"origin": guest, "cookie": "a=b", "host": "video.example.org"}
    transport = httpx.ASGITransport(guard)
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as client:
        assert (await client.get("/", headers=headers)).status_code == 200
        assert "cookie" not in seen
        await client.get("/", headers=headers | {"origin": PUBLIC})
        assert seen["cookie"] == "a=b"


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("http://127.0.0.1:5100", True),
        (PUBLIC, True),
        ("http://video.example.org", False),
        ("https://127.0.0.1:5100", False),
        ("http://127.0.0.1:3000", False),
        ("https://example.org", False),
        ("null", False),
        ("", False),
    ],
)
def test_only_our_own_pages_are_our_origins(origin, own):
    assert OwnHosts(lambda: 5100, PUBLIC).has_origin(origin) is own
    assert not OwnHosts(lambda: 5100, "").has_origin("null")


async def test_a_foreign_host_or_origin_is_refused_on_every_path(gateway, scheduler):
    body = {"prompt": "a fox"}
    rebound = await gateway.http.post(
        "/api/v1/tasks", json=body, headers={"host": "evil.example:5100"}
    )
    forged = await gateway.http.post(
        "/api/v1/tasks", json=body, headers={"origin": "https://evil.example"}
    )
    own = await gateway.http.post(
        "/api/v1/tasks", json=body, headers={"origin": gateway.url}
    )
    ping = await gateway.http.get("/ping", headers={"host": "evil.example"})

    assert (rebound.status_code, rebound.json()["type"]) == (421, "foreign_host")
    assert (forged.status_code, forged.json()["type"]) == (403, "foreign_origin")
    assert ping.status_code == 421
    assert own.status_code == 201


async def test_a_page_that_the_operator_lets_in_may_ask_without_cookies(
    scheduler, all_beat, run_gateway
):
    await all_beat()
    page = {"origin": "https://app.example.org"}
    async with run_gateway(cors_origins="https://app.example.org") as gateway:
        asking = page | {
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,idempotency-key",
        }
        allowed = await gateway.http.options("/api/v1/tasks", headers=asking)
        made = await gateway.http.post(
            "/api/v1/tasks", json={"prompt": "a fox"}, headers=page
        )
        other = await gateway.http.options(
            "/api/v1/tasks", headers=asking | {"origin": "https://evil.example"}
        )

    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == page["origin"]
    assert "access-control-allow-credentials" not in allowed.headers
    assert made.status_code == 201
    assert made.headers["access-control-allow-origin"] == page["origin"]
    assert (other.status_code, other.json()["type"]) == (403, "foreign_origin")


async def test_links_are_built_from_public_url(scheduler, all_beat, run_gateway, until):
    await all_beat()
    async with run_gateway(public_url=PUBLIC) as gateway:
        made = await gateway.http.post("/api/v1/tasks", json={"prompt": "a fox"})
        task = made.json()["task_id"]
        await until(lambda: scheduler.tasks)
        result = gateway.store(f"{task}/result-0.mp4", b"film")
        scheduler.change(task, status="succeeded", results=(result,))
        found = await gateway.http.get(
            f"/api/v1/tasks/{task}", headers={"host": "video.example.org"}
        )

    url = found.json()["task"]["video_url"]
    assert url == f"{PUBLIC}/api/v1/tasks/{task}/video"


async def test_ping_is_pong_and_the_door_names_the_docs(gateway):
    ping = await gateway.http.get("/ping")
    door = await gateway.http.get("/")
    docs = await gateway.http.get("/docs")
    schema = (await gateway.http.get("/openapi.json")).json()

    assert (ping.status_code, ping.text) == (200, "pong")
    assert ping.headers["content-type"].startswith("text/plain")
    assert door.json()["docs"] == "/docs"
    assert docs.status_code == 200
    create = schema["paths"]["/api/v1/tasks"]["post"]
    assert set(create["requestBody"]["content"]) == {
        "application/json",
        "multipart/form-data",
    }
    assert "fox" in str(create["requestBody"])


async def test_answers_carry_the_headers_that_keep_browsers_safe(gateway):
    answer = await gateway.http.get("/api/v1/stats")

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in answer.headers


async def test_what_is_no_route_is_a_problem_too(gateway):
    none = await gateway.http.get("/api/v1/nothing")
    method = await gateway.http.put("/api/v1/tasks")

    assert (none.status_code, none.json()["type"]) == (404, "not_found")
    assert (method.status_code, method.json()["type"]) == (405, "method_not_allowed")
    assert method.headers["allow"]


async def test_a_defect_is_a_problem_with_the_id_its_log_line_has(
    gateway, scheduler, until, caplog
):
    task = (await gateway.http.post("/api/v1/tasks", json={"prompt": "x"})).json()
    await until(lambda: scheduler.tasks)
    result = ResultRef(index=0, key="../x", mime="video/mp4", size=1, sha256="0")
    scheduler.change(task["task_id"], status="succeeded", results=(result,))

    answer = await gateway.http.get(f"/api/v1/tasks/{task['task_id']}/video")

    assert answer.status_code == 500
    assert answer.json()["type"] == "internal"
    told = [r for r in caplog.records if r.getMessage() == "a request failed"]
    assert told[0].request_id == answer.json()["request_id"]


async def test_the_access_log_has_no_query(gateway, caplog):
    caplog.set_level(logging.DEBUG)
    await gateway.http.get("/api/v1/stats?token=hidden-thing")

    lines = [r.getMessage() for r in caplog.records if r.name == "http"]
    assert any("GET /api/v1/stats 200" in line for line in lines)
    ours = [r for r in caplog.records if r.name.split(".")[0] not in OUR_CLIENT]
    assert [vars(r) for r in ours if "hidden-thing" in str(vars(r))] == []


async def test_ready_names_the_services_that_are_missing(scheduler, beat, run_gateway):
    await beat("scheduler", "poller")
    async with run_gateway() as gateway:
        answer = await gateway.http.get("/readyz")

    assert answer.status_code == 503
    missing = ["uploader", "signer", "downloader", "notifier", "log-streamer"]
    assert answer.json()["missing"] == missing
    assert all(name in answer.json()["detail"] for name in missing)


async def test_ready_says_that_the_browser_is_missing_and_is_ready_nevertheless(
    scheduler, all_beat, run_gateway
):
    await all_beat(browser=False)
    async with run_gateway() as gateway:
        ready = await gateway.http.get("/readyz")
        live = await gateway.http.get("/healthz")

    assert ready.status_code == 200
    assert "no signer has a browser" in ready.json()["notes"][0]
    assert live.json() == {"ok": True}


async def test_health_counts_accounts_tasks_and_services(gateway, scheduler):
    empty = await gateway.http.get("/api/v1/health")
    await gateway.http.post("/api/v1/sessions", json={"session_id": "a" * 32})
    healthy = await gateway.http.get("/api/v1/health")
    stats = await gateway.http.get("/api/v1/stats")

    assert (empty.status_code, empty.json()["ok"]) == (503, False)
    assert "jimeng sessions add" in empty.json()["notes"][0]
    body = healthy.json()
    assert (healthy.status_code, body["ok"]) == (200, True), body
    assert body["sessions"] == {"total": 1, "healthy": 1}
    assert body["tasks"] == stats.json()
    assert set(stats.json()) == {
        "total",
        "queued",
        "running",
        "succeeded",
        "failed",
        "cancelled",
    }
    assert body["gateway_version"]
    assert body["services"]["gateway-http"] == 1


async def test_without_nats_ready_and_health_say_so_quickly(
    nats, scheduler, all_beat, run_gateway
):
    await all_beat()
    async with run_gateway() as gateway:
        nats.kill()
        began = time.monotonic()
        ready = await gateway.http.get("/readyz")
        health = await gateway.http.get("/api/v1/health")

        assert (ready.status_code, ready.json()["missing"]) == (503, ["nats"])
        assert (health.status_code, health.json()["ok"]) == (503, False)
        assert health.json()["sessions"] is None
        assert time.monotonic() - began < 5
        nats.start()


def test_a_bind_off_loopback_is_refused_in_one_line():
    for host in ("0.0.0.0", "192.168.1.5", "::", "example.org", ""):
        with pytest.raises(SettingsError, match=r"HOST .*AUTH_ENABLED") as refused:
            load(GatewaySettings, _env_file=None, host=host)
        assert "\n" not in str(refused.value)
        signed_in = {"host": host, "auth_enabled": "true"}
        with pytest.raises(SettingsError, match="PUBLIC_URL"):
            load(GatewaySettings, _env_file=None, **signed_in)
        known = load(GatewaySettings, _env_file=None, public_url=PUBLIC, **signed_in)
        assert known.host == host
    assert load(GatewaySettings, _env_file=None, host="::1").host == "::1"


def test_a_short_admin_token_or_an_unclear_switch_ends_the_start():
    with pytest.raises(SettingsError, match=r"ADMIN_TOKEN: .*32") as refused:
        load(GatewaySettings, _env_file=None, admin_token="x" * 31)
    assert "xxx" not in str(refused.value)
    for unclear in ("", "enabled", "2", "ture"):
        with pytest.raises(SettingsError, match="AUTH_ENABLED"):
            load(GatewaySettings, _env_file=None, auth_enabled=unclear)


async def test_an_occupied_port_ends_the_start_in_one_line(gateway, run_gateway):
    taken = gateway.app.port

    with pytest.raises(SettingsError, match=f"^PORT {taken} is in use: .*") as refused:
        async with run_gateway(port=taken):
            pass

    assert "\n" not in str(refused.value)


async def test_a_stop_takes_less_than_3_s_and_cuts_open_answers(
    scheduler, all_beat, run_gateway, until
):
    await all_beat()
    async with run_gateway() as gateway:
        scheduler.outcome = None  # so that this one stays open
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.app.port)
        body = b'{"session_id": "0123456789abcdef"}'
        writer.write(
            b"POST /api/v1/sessions HTTP/1.1\r\n"
            + f"Host: 127.0.0.1:{gateway.app.port}\r\n".encode()
            + b"Content-Type: application/json\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await until(lambda: scheduler.sessions)
        began = time.monotonic()
        await gateway.app.stop()

        assert time.monotonic() - began < 3
        await reader.read()
        writer.close()


async def test_a_start_removes_uploads_that_a_kill_cut_off_an_hour_ago(
    scheduler, run_gateway, tmp_path
):
    folder = tmp_path / "data" / "blobs" / "0190"
    folder.mkdir(parents=True)
    for name, age in (("old", 3700), ("young", 3500)):
        part = folder / f".reference-1.{name}.part"
        part.write_bytes(b"half")
        os.utime(part, (time.time() - age,) * 2)
    async with run_gateway() as gateway:
        assert gateway.files() == ["0190/.reference-1.young.part"]


async def test_without_room_nothing_is_accepted_and_readyz_and_health_say_so(
    scheduler, all_beat, run_gateway
):
    await all_beat()
    async with run_gateway(min_free_disk="900000TiB") as gateway:
        plain = await gateway.http.post("/api/v1/tasks", json={"prompt": "a fox"})
        form = await gateway.http.post(
            "/api/v1/tasks", data={"prompt": "@1"}, files={"files": ("a.png", b"x")}
        )
        ready = await gateway.http.get("/readyz")
        health = await gateway.http.get("/api/v1/health")
        stats = await gateway.http.get("/api/v1/stats")
        kept = gateway.files()

    for answer in (plain, form):
        assert answer.status_code == 507
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "storage_full"
        assert "MIN_FREE_DISK (900000.0 TiB): free some" in answer.json()["detail"]
    assert (kept, scheduler.created) == ([], [])
    assert ready.status_code == 200
    assert "MIN_FREE_DISK" in ready.json()["notes"][0]
    assert (health.status_code, health.json()["ok"]) == (503, False)
    assert "MIN_FREE_DISK" in health.json()["notes"][0]
    assert stats.status_code == 200


async def test_a_worker_whose_disk_is_full_is_told_of_in_readyz(gateway, beat, until):
    await beat("downloader", lacking_room="the disk has 3 MiB left")

    async def told():
        answer = await gateway.http.get("/readyz")
        return answer.json()["notes"] == ["the disk has 3 MiB left"]

    await until(told)
