"""What is posted goes only where it may, once, and is not kept waiting."""

import asyncio

import pytest

from fetch import Allowed, ForbiddenURLError, Sender, TroubleError, check
from fetch_support import PUBLIC, FakeNetwork, answering, redirect

URL = "https://files.example/hook?key=SECRET"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


async def post(network, url=URL, seconds=5.0, allowed=()):
    sender = Sender(Allowed.parse(allowed), network)
    return await sender.post(url, b"{}", [("X-Own", "1")], seconds=seconds)


async def test_a_body_is_posted_as_it_is():
    network = FakeNetwork(
        script=answering(b"HTTP/1.1 202 OK\r\nRetry-After: 7\r\n\r\nyes")
    )
    answer = await post(network)
    assert (answer.status, answer.body, answer.retry_after) == (202, "yes", "7")
    [wire] = network.wires
    assert wire.tls == "files.example"
    head, _, body = wire.sent.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook?key=SECRET HTTP/1.1\r\n")
    assert b"Content-Length: 2" in head
    assert b"X-Own: 1" in head
    assert body == b"{}"
    assert wire.closed


async def test_a_redirect_is_an_answer_and_not_followed():
    network = FakeNetwork(script=redirect("https://files.example/other", 307))
    assert (await post(network)).status == 307
    assert len(network.dialled) == 1


async def test_a_body_that_never_ends_is_left():
    async def endless(_):
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        while True:
            yield b"x" * 300
            await asyncio.sleep(0)

    network = FakeNetwork(script=endless)
    answer = await post(network)
    assert (answer.status, answer.body) == (200, "x" * 1024)
    assert network.wires[0].given < 4096


async def test_a_body_that_stops_coming_is_left():
    async def stalling(_):
        yield b"HTTP/1.1 200 OK\r\n\r\nok"
        await asyncio.Event().wait()

    answer = await post(FakeNetwork(script=stalling))
    assert (answer.status, answer.body) == (200, "ok")


async def test_a_receiver_that_does_not_answer_is_not_waited_for():
    async def silent(_):
        await asyncio.Event().wait()
        yield b""

    with pytest.raises(TroubleError, match=r"did not answer within 0\.05 s") as late:
        await post(FakeNetwork(script=silent), seconds=0.05)
    assert "SECRET" not in str(late.value)


PRIVATE = [
    "http://127.0.0.1/",
    "http://[::1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://169.254.169.254/latest",
    "https://localhost/x",
    "https://hooks.internal/",
    "https://printer.local/",
]


@pytest.mark.parametrize("url", [*PRIVATE, "https://files.example:8443/", "ftp://a.b/"])
def test_what_cannot_be_posted_to_is_told_before_anybody_is_asked(url):
    with pytest.raises(ForbiddenURLError):
        check(url, Allowed())


@pytest.mark.parametrize("url", PRIVATE)
async def test_a_private_address_is_never_dialled(url):
    network = FakeNetwork({"localhost": ["127.0.0.1"]})
    with pytest.raises(ForbiddenURLError, match="WEBHOOK_ALLOW"):
        await post(network, url)
    assert network.dialled == []


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], [PUBLIC, "127.0.0.1"], ["fd00::1"], ["64:ff9b::a00:1"]]
)
async def test_a_name_that_leads_to_a_private_address_is_never_dialled(addresses):
    network = FakeNetwork({"sly.example": addresses})
    with pytest.raises(ForbiddenURLError, match="WEBHOOK_ALLOW"):
        await post(network, "https://sly.example/")
    assert network.dialled == []


async def test_a_name_that_changes_its_address_is_resolved_once():
    """Rebinding: what was checked is what is dialled."""

    class Flipping(FakeNetwork):
        async def resolve(self, host):
            await super().resolve(host)
            return [PUBLIC if len(self.resolved) == 1 else "127.0.0.1"]

    network = Flipping(script=answering(NO_CONTENT))
    assert (await post(network)).status == 204
    assert network.resolved == ["files.example"]
    assert network.dialled == [(PUBLIC, 443)]


@pytest.mark.parametrize(
    ("allowed", "url", "dialled"),
    [
        ("127.0.0.1", "http://127.0.0.1:9000/", ("127.0.0.1", 9000)),
        ("127.0.0.1:9000", "http://127.0.0.1:9000/", ("127.0.0.1", 9000)),
        ("10.0.0.0/8", "http://10.1.2.3/", ("10.1.2.3", 80)),
        ("[fd00::1]:81", "http://[fd00::1]:81/", ("fd00::1", 81)),
        ("fd00::/8", "http://[fd00::2]/", ("fd00::2", 80)),
        ("10.0.0.0/8", "http://inside.example/", ("10.0.0.9", 80)),
        ("inside.example:8080", "http://inside.example:8080/", ("10.0.0.9", 8080)),
    ],
)
async def test_what_an_operator_allows_is_dialled(allowed, url, dialled):
    network = FakeNetwork({"inside.example": ["10.0.0.9"]}, answering(NO_CONTENT))
    assert (await post(network, url, allowed=[allowed])).status == 204
    assert network.dialled == [dialled]


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("127.0.0.1:9000", "http://127.0.0.1:9001/"),
        ("127.0.0.1", "http://127.0.0.2/"),
        ("10.0.0.0/8", "http://mixed.example/"),
        ("10.0.0.1", "http://inside.example/"),
        ("side.example", "http://inside.example/"),
        ("::/0", "http://10.0.0.1/"),
    ],
)
async def test_nothing_beside_it_is(allowed, url):
    names = {"inside.example": ["10.0.0.9"], "mixed.example": ["10.0.0.1", "127.0.0.1"]}
    network = FakeNetwork(names)
    with pytest.raises(ForbiddenURLError):
        await post(network, url, allowed=[allowed])
    assert network.dialled == []


@pytest.mark.parametrize(
    "text", ["", "a b", "http://a", "a:0", "a:99999", "10.0.0.0/99"]
)
def test_what_is_no_place_cannot_be_allowed(text):
    with pytest.raises(ValueError, match=r"is no address|the port"):
        Allowed.parse([text])
