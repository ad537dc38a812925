"""Whatever is sent to whatever route: no 5xx, no traceback, no secret, no path of ours.

The requests are bytes on a socket: no client library mends them on their way.
"""

import asyncio
import json
import socket
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from access_support import TOKEN
from gateway_http.parts import Patience

pytestmark = pytest.mark.slow

OFTEN = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
NASTY = [
    *("", " ", "\0", "a\0b", "\x1b[31m", "\r\n", "\ufeff", "\u202eevil", "é" * 300),
    *("😀" * 200, "\ud800", "\udfff\ud800", "a" * 9000, "\u0000" * 64, "\u2028"),
    *(
        "../../etc/passwd",
        "..\\..\\secret.key",
        "%2e%2e%2f",
        "%00",
        "%c0%ae",
        "\uff0e\uff0e\uff0f",
    ),
    *("/", "//evil.example/", "\\\\evil", "~root", "con", ".", "..", "-rf", "*", ">"),
    *("a.b.>", "$JS.API.>", "' OR 1=1 --", "{{7*7}}", "${jndi:ldap://x}", "<script>"),
    *(
        "null",
        "true",
        "NaN",
        "-1",
        "0",
        "1e400",
        "9" * 5000,
        "1_0",
        "\u0663",
        "\uff11",
        "0x1",
    ),
]
HUGE = [2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308, float("inf"), float("nan")]
words = st.one_of(st.sampled_from(NASTY), st.text(max_size=40))
values = st.recursive(
    st.one_of(words, st.none(), st.booleans(), st.integers(), st.sampled_from(HUGE)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=4)
    ),
    max_leaves=12,
)
HEADERS = (
    *("Range", "If-Range", "If-None-Match", "Idempotency-Key", "Prefer", "Accept"),
    *("Content-Type", "Cookie", "Last-Event-ID", "X-Forwarded-For", "X-CSRF-Token"),
    *("Accept-Language", "x-stainless-retry-count", "Origin", "Host", "Expect"),
    *("Authorization", "Content-Encoding", "Content-Length", "Transfer-Encoding"),
)
headers = st.lists(st.tuples(st.sampled_from(HEADERS), words), max_size=3)
KINDS = ("application/json", "multipart/form-data; boundary=x", "text/plain", "")


async def test_no_body_brings_a_route_down(open_door):
    await hold(open_door, bodies)


async def test_no_form_brings_a_route_down(open_door):
    await hold(open_door, forms)


async def test_no_path_and_no_query_brings_a_route_down(open_door):
    await hold(open_door, places)


async def test_no_header_brings_a_route_down(open_door):
    await hold(open_door, heads)


def bodies(ask, routes):
    @OFTEN
    @given(route=routes, body=documents(routes), kind=st.sampled_from(KINDS[:2]))
    def run(route, body, kind):
        ask(route.method, route.path(), [("Content-Type", kind)], body)

    run()
    for body in (
        *(b"[" * 200_000, b'{"a":' * 100_000, b'{"prompt":"a","prompt":"b"}'),
        *(b"\xff\xfe{\0}\0", b'{"prompt": "\xed\xa0\x80"}', b'{"prompt": "\\ud800"}'),
        *(b'{"duration": ' + b"9" * 20_000 + b"}", b"{" + b" " * 900_000 + b"}"),
    ):
        for route in ROUTES:
            ask(route.method, route.path(), [("Content-Type", KINDS[0])], body)


def documents(_):
    """Bodies with fields that routes know, and wrong encodings."""
    fields = st.sampled_from(
        sorted({name for route in ROUTES for name in route.fields})
    )
    bodies = st.one_of(values, st.dictionaries(fields, values, max_size=5))
    codecs = st.sampled_from(["utf-8", "utf-8", "utf-16", "utf-32", "latin-1"])
    return st.builds(written, bodies, codecs, st.booleans())


def written(value, codec, plainly):
    text = json.dumps(value, ensure_ascii=plainly)
    errors = "surrogatepass" if codec.startswith("utf") else "replace"
    return text.encode(codec, errors)


def forms(ask, routes):
    part = st.tuples(words, st.one_of(st.none(), words), words)

    @OFTEN
    @given(route=routes, parts=st.lists(part, max_size=6), whole=st.booleans())
    def run(route, parts, whole):
        body = b"".join(map(part_of, parts)) + (b"--x--\r\n" if whole else b"")
        ask(route.method, route.path(), [("Content-Type", KINDS[1])], body)

    run()
    many = part_of(("files", "a.png", "x")) * 3000 + b"--x--\r\n"
    for route in ROUTES:
        ask(route.method, route.path(), [("Content-Type", KINDS[1])], many)


def part_of(part):
    name, filename, text = (each and each.replace("\r", "") for each in part)
    file = f'; filename="{filename}"' if filename is not None else ""
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return (head + text + "\r\n").encode(errors="surrogatepass")


def places(ask, routes):
    queries = st.dictionaries(words, words, max_size=3)

    @OFTEN
    @given(route=routes, word=words, query=queries, raw=st.booleans())
    def run(route, word, query, raw):
        told = quote(word.encode(errors="surrogatepass"), safe="/%" if raw else "")
        pairs = (
            "=".join(quote(each.encode(errors="surrogatepass")) for each in pair)
            for pair in query.items()
        )
        ask(route.method, f"{route.path(told)}?{'&'.join(pairs)}", [], b"{}")

    run()
    for word in NASTY:
        for name in ("limit", "cursor", "status", "created_from", "index", "expires"):
            told = quote(word.encode(errors="surrogatepass"))
            ask("GET", f"/api/v1/tasks?{name}={told}", [], b"")
            ask("GET", f"/api/v1/tasks/{told}/video?{name}={told}&signature=x", [], b"")


def heads(ask, routes):
    @OFTEN
    @given(route=routes, given_=headers)
    def run(route, given_):
        ask(route.method, route.path(), given_, b'{"prompt": "a fox"}')

    run()


class Route:
    """A route of the document, as far as it is asked here."""

    def __init__(self, method, template, told):
        self.method = method
        self.template = template
        content = told.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        self.fields = set(schema.get("properties", {})) | {"prompt", "files", "name"}

    def path(self, word="none"):
        while "{" in self.template:
            before, _, after = self.template.partition("{")
            return before + word + after.partition("}")[2].replace("{index}", word)
        return self.template


ROUTES = []
HEALTH = {"/api/v1/health", "/readyz"}  # 503 is what they say of an empty pool


async def hold(open_door, attack):
    """Run an attack in a thread, and hold every answer to what none may be."""
    async with open_door(Patience(accept=5, check=0.01, wait=0.01)) as door:
        document = (await door.nobody.get("/openapi.json")).json()
        ROUTES[:] = [
            Route(method.upper(), path, told)
            for path, methods in document["paths"].items()
            for method, told in methods.items()
            if not path.endswith("/events") and path not in HEALTH
        ]
        _, made = await door.key()
        folder = door.gateway.blobs.parent
        secret = (folder / "secret.key").read_text().strip()
        never = [TOKEN, made["key"], secret, str(folder.parent), "site-packages"]
        never += ["Traceback", 'File "', "sqlalchemy", "sqlite"]
        port = door.gateway.app.port

        def ask(method, target, given_, body):
            answer = asked(port, method, target, given_, body)
            about = (method, target[:200], given_, body[:200], answer[:600])
            for word in never:
                assert word.encode() not in answer, (word, about)
            status = int(answer.split(b" ", 2)[1]) if answer else 0
            images = target.startswith("/v1/images/") and status == 504
            assert status < 500 or images, about

        await asyncio.to_thread(attack, ask, st.sampled_from(ROUTES))
        assert (await door.nobody.get("/ping")).text == "pong"


def asked(port, method, target, given_, body):
    """Send a request as it is, and return all that comes back."""
    named = {name.lower() for name, _ in given_}
    lines = [f"{method} {target} HTTP/1.1".encode(errors="replace")]
    usual = {
        "Host": f"127.0.0.1:{port}",
        "Authorization": f"Bearer {TOKEN}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Prefer": "respond-async",
        "Connection": "close",
    }
    for name, value in [*usual.items(), *given_]:
        if name.lower() not in named or (name, value) in given_:
            line = value.replace("\r", "").replace("\n", "")
            lines.append(f"{name}: {line}".encode(errors="surrogatepass"))
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        with suppress(OSError):  # it may have ended the connection already
            connection.sendall(b"\r\n".join([*lines, b"", body]))
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while piece := connection.recv(65536):
                answer += piece
    return answer
