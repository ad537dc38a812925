import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import httpx
import pytest

from jimeng import Account, Jimeng, Unreachable, Upstream, draft, fit, transport

SESSION = "0123456789abcdef0123456789abcdef"
CREDITS = "/commerce/v1/benefits/user_credit"
CREDIT = {"credit": {"gift_credit": 1}}
NOWHERE = "http://site.invalid"  # a name that only the proxy could know


def through(site, scheme="http"):
    host = site.origin.removeprefix("http://")
    return Account.parse(f"{scheme}://user:word@{host}@{SESSION}")


async def test_an_http_proxy_carries_reads_uploads_and_downloads(site, ok, say):
    store = {"StoreUri": "tos/aa", "Auth": "SpaceKey/x"}
    address = {"StoreInfos": [store], "UploadHosts": ["tos.invalid"]}
    keys = ("access_key_id", "secret_access_key", "session_token")
    done = {"Results": [{"Uri": "tos/aa", "UriStatus": 2000}]}
    site.on(CREDITS, ok(CREDIT))
    site.on("/mweb/v1/get_upload_token", ok(dict.fromkeys(keys, "k")))
    site.on("ApplyImageUpload", say({"Result": {"UploadAddress": address}}))
    site.on("/upload/v1/tos/aa", say({"code": 2000}))
    site.on("CommitImageUpload", say({"Result": done}))
    site.on("/video.mp4", say(b"bytes"))
    async with Jimeng(through(site), Upstream(NOWHERE)) as client:
        await client.credits()
        await client.upload_image(b"png")
        async with client.stream("http://cdn.invalid/video.mp4") as response:
            assert await response.aread() == b"bytes"
    hosts = [httpx.URL(seen.target).host for seen in site.seen]
    assert hosts == ["site.invalid"] * 3 + ["tos.invalid", "site.invalid"] + [
        "cdn.invalid"
    ]


async def test_a_caller_s_own_client_can_use_the_proxy(site, say):
    site.on("/a", say(b"bytes"))
    own = transport(through(site).proxy)
    async with httpx.AsyncClient(transport=own) as client:
        assert (await client.get("http://cdn.invalid/a")).content == b"bytes"


async def test_the_environment_s_proxy_is_not_used(site, account, ok, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    site.on(CREDITS, ok(CREDIT))
    async with Jimeng(account, Upstream(site.origin)) as client:
        assert (await client.credits()).total == 1


@pytest.fixture
async def socks4(site):
    """A SOCKS 4a proxy that sends every name to the site, and what it was asked."""
    asked = []

    async def serve(reader, writer):
        head = await reader.readexactly(8)
        user = (await reader.readuntil(b"\0"))[:-1]
        name = (await reader.readuntil(b"\0"))[:-1]
        asked.append((head, user, name))
        if name == b"refused.invalid":
            writer.write(b"\0\x5b" + b"\0" * 6)
            writer.close()
            return
        writer.write(b"\0\x5a" + b"\0" * 6)
        await _carry_on(site, reader, writer)

    async with _listening(serve) as host:
        yield host, asked


@asynccontextmanager
async def _listening(serve):
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def _carry_on(site, reader, writer):
    """Carry bytes between a client and the site until both have ended."""
    port = int(site.origin.rpartition(":")[2])
    there, back = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_pump(reader, back), _pump(there, writer))


async def _pump(reader, writer):
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_a_socks4_proxy_is_asked_by_name(site, socks4, ok):
    host, asked = socks4
    site.on(CREDITS, ok(CREDIT))
    account = Account.parse(f"socks4://me@{host}@{SESSION}")
    async with Jimeng(account, Upstream("http://site.invalid:81")) as client:
        assert (await client.credits()).total == 1
    ((head, user, name),) = asked
    assert head == b"\x04\x01\x00\x51\x00\x00\x00\x01"
    assert (user, name) == (b"me", b"site.invalid")


async def test_a_proxy_that_refuses_leaves_nothing_sent(site, socks4):
    host, _ = socks4
    account = Account.parse(f"socks4://{host}@{SESSION}")
    async with Jimeng(account, Upstream("http://refused.invalid")) as client:
        with pytest.raises(Unreachable) as caught:
            await client.credits()
    assert host not in str(caught.value)
    assert site.seen == []


@pytest.fixture
async def socks5(site):
    """A SOCKS 5 proxy with a password that sends every name to the site."""
    asked = []

    async def serve(reader, writer):
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x02")
        _, length = await reader.readexactly(2)
        user = await reader.readexactly(length)
        word = await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(b"\x01\x00")
        *_, length = await reader.readexactly(5)
        name = await reader.readexactly(length)
        await reader.readexactly(2)
        asked.append((user, word, name))
        writer.write(b"\x05\x00\x00\x01" + b"\0" * 6)
        await _carry_on(site, reader, writer)

    async with _listening(serve) as host:
        yield host, asked


@pytest.mark.parametrize("scheme", ["socks5", "socks", "SOCKS5"])
async def test_a_socks5_proxy_is_asked_by_name(site, socks5, ok, scheme):
    host, asked = socks5
    site.on(CREDITS, ok(CREDIT))
    account = Account.parse(f"{scheme}://me:word@{host}@{SESSION}")
    async with Jimeng(account, Upstream(NOWHERE)) as client:
        assert (await client.credits()).total == 1
    assert asked == [(b"me", b"word", b"site.invalid")]


async def test_a_dead_proxy_leaves_nothing_sent_and_is_not_named(unused):
    account = Account.parse(f"{unused}@{SESSION}")
    async with Jimeng(account, Upstream(NOWHERE)) as client:
        with pytest.raises(Unreachable) as caught:
            await client.credits()
    assert unused.removeprefix("http://") not in str(caught.value)


async def test_a_tunnel_that_is_refused_is_not_yet_the_request(site):
    asked = []
    account = through(site)
    submission = draft(
        fit(prompt="a cat"),
        [],
        submit_id="s1",
        account=account,
        now=datetime.now(UTC),
        ids=lambda: "id",
    )
    async with Jimeng(account, Upstream("https://site.invalid")) as client:
        with pytest.raises(Unreachable):
            await client.submit(submission, gate=lambda: asked.append(1))
    assert [seen.method for seen in site.seen] == ["CONNECT"]
    assert asked == []
