"""What comes is bounded, and every way to misbehave has its own ending."""

import asyncio
import gzip
import socket
import ssl
import tracemalloc
from datetime import UTC, datetime, timedelta

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from fetch import (
    Fetcher,
    Internet,
    NotFoundError,
    TooLargeError,
    TroubleError,
    UselessError,
)
from fetch_support import PUBLIC, FakeNetwork, answering, file, redirect

URL = "https://files.example/a.png?signature=SECRET"
MIB = 1024 * 1024


async def read(network, url=URL, limit=MIB, seconds=5):
    async with Fetcher(network=network).open(url, limit=limit, seconds=seconds) as body:
        return b"".join([chunk async for chunk in body])


async def size_of(network, limit):
    size = 0
    async with Fetcher(network=network).open(URL, limit=limit, seconds=30) as body:
        async for chunk in body:
            size += len(chunk)
    return size


async def test_a_file_is_given_as_it_is():
    network = FakeNetwork(script=file(b"a picture"))
    assert await read(network) == b"a picture"
    [wire] = network.wires
    assert wire.tls == "files.example"  # the certificate is the name's
    assert wire.closed
    head = wire.sent.decode()
    assert head.startswith("GET /a.png?signature=SECRET HTTP/1.1\r\n")
    assert "Host: files.example\r\n" in head
    assert "Accept-Encoding: identity\r\n" in head
    for unwanted in ("Cookie", "Authorization", "Referer"):
        assert unwanted not in head


async def test_three_redirects_are_followed_and_no_more():
    async def leading(request):
        step = int(request.split(b"/")[1].split(b" ")[0] or 0)
        if step < 3:
            yield b"HTTP/1.1 302 Found\r\nLocation: /%d\r\n\r\n" % (step + 1)
        else:
            yield b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    assert await read(FakeNetwork(script=leading), "http://files.example/0") == b"ok"
    network = FakeNetwork(script=redirect("/again", 308))
    with pytest.raises(UselessError, match="more than 3 times"):
        await read(network)
    assert len(network.dialled) == 4


async def test_the_next_address_is_tried_when_one_does_not_answer():
    network = FakeNetwork({"two.example": ["2606:4700::1", PUBLIC]}, file(b"ok"))
    network.down.add("2606:4700::1")
    assert await read(network, "http://two.example/") == b"ok"
    network.down.add(PUBLIC)
    with pytest.raises(TroubleError, match="cannot be reached"):
        await read(network, "http://two.example/")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (204, NotFoundError),
        (206, NotFoundError),
        (300, NotFoundError),
        (302, NotFoundError),  # without a place to go to
        (401, NotFoundError),
        (403, NotFoundError),
        (404, NotFoundError),
        (410, NotFoundError),
        (408, TroubleError),
        (425, TroubleError),
        (429, TroubleError),
        (500, TroubleError),
        (502, TroubleError),
        (503, TroubleError),
        (599, TroubleError),
    ],
)
async def test_a_status_says_whether_trying_again_may_help(status, error):
    answer = f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode()
    with pytest.raises(error, match=f"answers {status}") as no:
        await read(FakeNetwork(script=answering(answer)))
    assert "SECRET" not in str(no.value)
    assert str(no.value).startswith("https://files.example/a.png?…: ")


async def test_a_gzip_bomb_is_refused_unread():
    bomb = gzip.compress(bytes(10 * MIB))
    network = FakeNetwork(script=file(bomb, "Content-Encoding: gzip"))
    with pytest.raises(UselessError, match="compressed"):
        await read(network)


async def test_an_endless_body_ends_at_the_limit_with_flat_memory():
    async def endless(_):
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        while True:
            yield b"10000\r\n" + b"x" * 65536 + b"\r\n"

    network = FakeNetwork(script=endless)
    tracemalloc.start()
    with pytest.raises(TooLargeError, match="larger than 20 MiB"):
        await size_of(network, limit=20 * MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * MIB
    assert network.wires[0].closed
    assert network.wires[0].given < 21 * MIB


async def test_a_length_beyond_the_limit_is_refused_before_the_body():
    async def told(_):
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"
        pytest.fail("the body was asked for")

    with pytest.raises(TooLargeError):
        await read(FakeNetwork(script=told))


async def test_a_slow_body_ends_with_its_time():
    async def slow(_):
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    network = FakeNetwork(script=slow)
    with pytest.raises(TroubleError, match=r"within 0\.1 s"):
        await read(network, seconds=0.1)
    assert network.wires[0].closed


async def test_a_head_that_never_ends_ends_with_its_time_or_size():
    async def silent(_):
        await asyncio.Event().wait()
        yield b""

    with pytest.raises(TroubleError, match="within"):
        await read(FakeNetwork(script=silent), seconds=0.1)

    async def headers(_):
        yield b"HTTP/1.1 200 OK\r\n"
        while True:
            yield b"x: " + b"y" * 60_000 + b"\r\n"

    with pytest.raises(TroubleError, match="does not speak HTTP"):
        await read(FakeNetwork(script=headers))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"",
    ],
)
async def test_an_answer_that_is_not_whole_is_trouble(answer):
    with pytest.raises(TroubleError):
        await read(FakeNetwork(script=answering(answer)))


async def test_no_more_is_read_than_was_told():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more"
    assert await read(FakeNetwork(script=answering(answer))) == b"ok"


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), NotFoundError),
        (socket.gaierror(socket.EAI_AGAIN, "x"), TroubleError),
        (OSError("x"), TroubleError),
        (UnicodeError("label too long"), TroubleError),
    ],
)
async def test_a_name_without_address_says_whether_it_may_come(raised, error):
    class Failing(FakeNetwork):
        async def resolve(self, host):
            raise raised

    with pytest.raises(error):
        await read(Failing())


async def test_a_broken_connection_is_trouble():
    class Broken(FakeNetwork):
        async def dial(self, address, port, seconds):
            raise self.error

    network = Broken()
    for network.error in (
        httpcore.ConnectTimeout(),
        httpcore.ReadError(),
        httpcore.ReadTimeout(),
    ):
        with pytest.raises(TroubleError):
            await read(network)


async def test_a_certificate_nobody_vouches_for_is_refused_for_good(tmp_path):
    class Here(FakeNetwork):
        async def dial(self, address, port, seconds):
            return await Internet().dial("127.0.0.1", place[1], seconds)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(self_signed(tmp_path / "server.pem"))
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    )
    place = server.sockets[0].getsockname()
    async with server:
        with pytest.raises(UselessError, match="certificate"):
            await read(Here())


def self_signed(path):
    """Write a key and a certificate of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "files.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key.private_bytes(*form) + certificate.public_bytes(Encoding.PEM))
    return path


async def test_what_the_reader_raises_passes_through():
    with pytest.raises(ZeroDivisionError):
        async with Fetcher(network=FakeNetwork(script=file(b"x"))).open(
            URL, limit=1, seconds=1
        ):
            raise ZeroDivisionError
