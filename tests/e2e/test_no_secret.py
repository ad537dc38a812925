"""A secret goes in, and is found nowhere: streams, logs, database, answers."""

import base64
import html
import json
import subprocess
import sys
import time
from urllib.parse import quote, quote_plus

import httpx
import pytest

from support import PLAIN, http

pytestmark = pytest.mark.slow

END_SECONDS = 40.0
# Each way of writing it that is not the plain one changes some of these characters.
FIRST = "pl4nted/+%<&>'first0123456789ab"
SECOND = "pl4nted/+%<&>'second123456789ab"
HOOK = "pl4nted/+%<&>'hook9876543210"
HOOK_URL = f"https://hooks.invalid/?key={quote(HOOK, safe='')}"
PROXY = "http://someone:pl4nted-pr0xy-w0rd@127.0.0.1:9"


def forms(secret):
    """Return the ways a secret may be written, inside of something longer too."""
    body = secret.encode()
    found = {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        html.escape(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret)[1:-1].replace("/", r"\/"),
        "".join(f"\\u{ord(c):04x}" if c in "<>&'" else c for c in secret),
        body.hex(),
    }
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + body).decode()
        middle = whole[4 if shift else 0 : len(whole) // 4 * 4 - 4]
        found |= {middle, middle.replace("+", "-").replace("/", "_")}
    return {form.encode() for form in found}


def test_every_form_of_a_secret_is_found():
    body = FIRST.encode()
    for text in (
        FIRST,
        quote(f"sessionid={FIRST}"),
        json.dumps({"a": [FIRST]}),
        base64.b64encode(b"x" + body + b"y").decode(),
        base64.urlsafe_b64encode(b"xy" + body).decode(),
        base64.b64encode(body).decode(),
    ):
        assert any(form in text.encode() for form in forms(FIRST)), text


class Client:
    """Asks the gateway, and keeps all that it answers."""

    def __init__(self, url):
        self.http = httpx.Client(base_url=f"{url}/api/v1/", timeout=30, verify=PLAIN)
        self.answers = []

    def __call__(self, method, path, **content):
        answer = self.http.request(method, path, **content)
        self.answers.append(answer.content + str(answer.headers).encode())
        return answer

    def ended(self, task):
        limit = time.monotonic() + END_SECONDS
        while time.monotonic() < limit:
            found = self("GET", f"tasks/{task}").json()["task"]
            if found["status"] in {"succeeded", "failed", "cancelled"}:
                return found
            time.sleep(0.5)
        raise AssertionError(f"not ended: {found}")

    def create(self, prompt, model="jimeng-video-3.0"):
        wish = {"model": model, "prompt": prompt, "duration": 5}
        wish |= {"webhook_url": HOOK_URL, "webhook_secret": HOOK}
        answer = self("POST", "tasks", json=wish)
        assert answer.status_code == 201, answer.text
        return answer.json()["task_id"]


@pytest.fixture
def client(deployment):
    client = Client(deployment.url)
    for session in client("GET", "sessions").json()["sessions"]:
        client("DELETE", f"sessions/{session['id']}")
    yield client
    client.http.close()


def steer(deployment, path, **body):
    http.post(f"{deployment.site}/_sim/{path}", json=body).raise_for_status()


def cli(deployment, *words, secret):
    done = subprocess.run(
        [sys.executable, "-m", "standalone.cli.app", *words, "--url", deployment.url],
        input=secret,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.timeout(240)
def test_a_secret_is_found_nowhere_after_all_that_may_happen(deployment, client):
    echo = {"fault": "ret", "errmsg": f"no: {FIRST} of {quote(FIRST)}", "times": 1}
    for secret in (FIRST, SECOND):
        steer(deployment, "accounts", sessionid=secret, uid="4711")

    # Added while the site repeats it, tested, used, and added once more.
    steer(deployment, "faults", kind="credits", ret="1000", **echo)
    added = client("POST", "sessions", json={"session_id": FIRST, "label": "mine"})
    assert added.status_code == 201, added.text
    session = added.json()["session"]["id"]
    assert client("POST", f"sessions/{session}/test").json()["ok"]
    assert client("POST", "sessions", json={"session_id": FIRST}).status_code == 409

    # Where tasks' ends are told, to nobody who is there.
    standing = {
        "url": HOOK_URL,
        "kind": "dingtalk",
        "secret": HOOK,
        "events": ["task.*"],
    }
    added = client("POST", "webhooks", json=standing)
    assert added.status_code == 201, added.text

    # Refusals that repeat it: of a poll, of a submit, of a check.
    steer(deployment, "faults", kind="history", ret="1000", **echo)
    assert client.ended(client.create("a fox"))["status"] == "succeeded"
    steer(deployment, "faults", kind="submit", ret="2038", **echo)
    refused = client.ended(client.create("a refused fox"))
    assert (refused["status"], refused["upstream_code"]) == ("failed", "2038")
    steer(deployment, "faults", kind="live", ret="1019", **echo)
    client("POST", f"sessions/{session}/test")

    # Replaced by hand and by a bad one; badly written; behind a proxy that is away.
    said = cli(deployment, "sessions", "replace", session, secret=SECOND)
    assert said == f"{session}: active, 10000 credits\n", said
    bad = client("PUT", f"sessions/{session}/credential", json={"session_id": "x" * 32})
    assert bad.status_code == 422, bad.text
    for wrong in (f'{FIRST}"', f"ftp://a:b@{FIRST}", {"a": FIRST}):
        assert client("POST", "sessions", json={"session_id": wrong}).status_code == 422
    said += cli(deployment, "sessions", "add", secret=f"{PROXY}@{FIRST}x elsewhere")
    assert client.ended(client.create("a second fox"))["status"] == "succeeded"
    client("GET", "sessions")
    client("GET", "tasks")
    said += cli(deployment, "webhooks", "list", secret="")
    for told in client("GET", "webhooks/deliveries").json()["deliveries"]:
        client("GET", f"webhooks/deliveries/{told['id']}")
    assert "there is no such host" in str(client.answers), client.answers[-1]

    texts = {"answers": b"".join(client.answers), "command": said.encode()}
    texts |= {str(file): file.read_bytes() for file in everything(deployment)}
    assert any("gateway.db-wal" in name for name in texts)
    assert any("/EVT/" in name for name in texts)
    assert any("/LOG/" in name for name in texts)
    assert "no: *** of ***" in deployment.output("poller")  # it was repeated, twice
    for secret in (FIRST, SECOND, HOOK, "pl4nted-pr0xy-w0rd"):
        for form in forms(secret):
            for name, text in texts.items():
                assert form not in text, (name, form, around(text, form))


def everything(deployment):
    """Every file the gateway and NATS wrote; the site's own are its business."""
    folder = deployment.data.parent
    for file in folder.rglob("*"):
        site = file.is_relative_to(deployment.data / "site") or file.name == "site.out"
        if file.is_file() and not site:
            yield file


def around(text, form):
    place = text.index(form)
    return text[max(0, place - 200) : place + 50]
