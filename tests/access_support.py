"""A gateway with sign-in, a real scheduler behind it, and callers of each kind."""

import time
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from joserfc.jwk import OctKey

from gateway_http.parts import Patience
from issuer_support import signed
from runtime.settings import load
from scheduler.app import create_app
from scheduler.settings import SchedulerSettings
from support import PLAIN

TOKEN = "the-operators-own-token-0123456789abcdef"
SECRET = "a-secret-of-thirty-two-bytes-and-more"
TOKENS = {
    "jwt_secret": SECRET,
    "jwt_issuer": "https://id.example.org",
    "jwt_audience": "https://video.example.org",
    "oidc_role_map": "chiefs=admin,team=operator,guests=viewer",
}
GROUPS = {"admin": "chiefs", "operator": "team", "viewer": "guests"}
WISH = {"prompt": "a fox", "model": "jimeng-video-3.0"}


class Door:
    """A gateway with sign-in, its scheduler, and a client for each kind of caller."""

    def __init__(self, running, clients):
        self.gateway = running
        self.admin = clients(TOKEN)
        self.nobody = clients(None)
        self.token = TOKEN
        self._clients = clients

    async def key(self, **terms):
        """Make a key; return a client that has it, and the key's own record."""
        answer = await self.admin.post("/api/v1/keys", json={"name": "k"} | terms)
        assert answer.status_code == 201, answer.text
        made = answer.json()["key"]
        return self._clients(made["key"]), made

    def holder(self, **said):
        """Return a client with a token of the issuer that the gateway trusts."""
        return self._clients(signed(claims(**said), OctKey.import_key(SECRET)))

    def person(self, role):
        """Return a client of somebody with a role."""
        return self.holder(sub=role, groups=[GROUPS[role]])

    async def task(self, client):
        """Have a client make a task; return its id."""
        answer = await client.post("/api/v1/tasks", json=WISH)
        assert answer.status_code == 201, answer.text
        return answer.json()["task_id"]

    def client(self, token, gateway=None):
        return self._clients(token, gateway or self.gateway)


def claims(**more):
    """What a token of that issuer says; None takes a claim away."""
    now = int(time.time())
    said = {"iss": TOKENS["jwt_issuer"], "sub": "ann", "iat": now, "exp": now + 300}
    said |= {"aud": TOKENS["jwt_audience"]} | more
    return {name: value for name, value in said.items() if value is not None}


@pytest.fixture
def open_door(nats, run_gateway, tmp_path, all_beat):
    """Run a scheduler and a gateway with sign-in."""

    @asynccontextmanager
    async def run(patience=None, **settings):
        await nats.provision()
        link = nats.link
        where = {
            "nats_url": link.url,
            "nats_user": link.user,
            "nats_password": link.password,
            "data_dir": tmp_path / "scheduler",
        }
        scheduler = create_app(load(SchedulerSettings, _env_file=None, **where))
        await scheduler.start()
        await all_beat()
        settings = {"auth_enabled": True, "admin_token": TOKEN, **TOKENS} | settings
        given = patience or Patience(accept=5, check=0.05)
        async with AsyncExitStack() as closing:
            closing.push_async_callback(scheduler.stop)
            running = await closing.enter_async_context(run_gateway(given, **settings))

            def client(token, gateway=running):
                headers = {"authorization": f"Bearer {token}"} if token else {}
                where = {"base_url": gateway.url, "timeout": 20, "verify": PLAIN}
                made = httpx.AsyncClient(headers=headers, **where)
                closing.push_async_callback(made.aclose)
                return made

            door = Door(running, client)
            door.another = lambda: run_gateway(patience, **settings)
            door.scheduler = scheduler
            yield door

    return run


@pytest.fixture
async def door(open_door):
    async with open_door() as door:
        yield door


async def record(door, **wanted):
    answer = await door.admin.get("/api/v1/audit", params=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()["audit"]


@pytest.fixture
def on_record(door, until):
    """Await entries that have an answer, as many as wanted."""

    async def wait(count, **wanted):
        async def all_there():
            found = await record(door, **wanted)
            whole = [each for each in found if each["status"] is not None]
            return whole if len(whole) >= count else None

        return await until(all_there, 20)

    return wait
