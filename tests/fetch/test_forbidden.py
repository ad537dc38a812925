"""No form of a URL, and no redirect to one, is dialled unless it is public."""

from contextlib import suppress
from pathlib import Path

import pytest

from fetch import Allowed, Fetcher, FetchError, ForbiddenURLError, Guard, Sender
from fetch_support import PUBLIC, FakeNetwork, file, redirect

LOCAL_NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "localhost.localdomain": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "intranet": ["10.1.2.3"],
    "router.local": ["192.168.1.1"],
    "metadata.google.internal": ["169.254.169.254"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "xn--fiq228c.example": ["::ffff:127.0.0.1"],
    "mixed.example": [PUBLIC, "127.0.0.1"],
    "mixed6.example": [PUBLIC, "fd00::1"],
    "zero.example": ["0.0.0.0"],
    "sixtofour.example": ["2002:7f00:1::"],
    "teredo.example": ["2001:0:7f00:1::1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "scoped.example": ["fe80::1%eth0"],
    "none.example": [],
}
HOSTS = Path(__file__).with_name("forbidden_hosts.txt").read_text().split()
WHOLE = [
    "",
    "http",
    "http:",
    "http:/",
    "http://",
    "http:///",
    "https:///127.0.0.1/",
    "http:127.0.0.1",
    "http:/127.0.0.1",
    "http:\\\\127.0.0.1",
    "http:/\\127.0.0.1",
    "http://127.0.0.1\\@files.example/",
    "http://127.0.0.1#@files.example/",
    "http://127.0.0.1?@files.example/",
    "http://127.0.0.1/;@files.example",
    "http://files.example #@127.0.0.1/",
    "http://files.example\t@127.0.0.1/",
    "http://\t127.0.0.1/",
    "http://127.0.0.1\n/",
    "http://127.0.0.1\r\nHost: files.example/",
    "ht\ntp://127.0.0.1/",
    " http://127.0.0.1/",
    "http://127.0.0.1/ ",
    "\x00http://127.0.0.1/",
    "\ufeffhttp://127.0.0.1/",
    "http://\u200b127.0.0.1/",
    "http://127.0.0\u00ad.1/",
    "http://\u3000127.0.0.1/",
    "http://files.example\ud800/",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "ftp://files.example/a.png",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/stats",
    "ldap://127.0.0.1/",
    "jar:http://127.0.0.1!/",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "ws://127.0.0.1/",
    "http\u017f://127.0.0.1/",
    "blob:http://127.0.0.1/1",
    "view-source:http://127.0.0.1/",
    "http://" + "a" * 64 + ".example/",
    "http://" + "a." * 200 + "example/",
    "http://127.0.0.1/" + "x" * 5000,
]
FORMS = [f"http://{host}/" for host in HOSTS] + WHOLE
FORMS += [f"https://{host}/latest/meta-data?a=1" for host in HOSTS if "@" in host]


@pytest.fixture(autouse=True)
def nothing_leaves(monkeypatch):
    """Whoever dials or resolves by himself fails: there is the fake network alone."""

    def no(*_, **__):
        pytest.fail("the real network was asked")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(f"socket.socket.{name}", no)
    for name in ("getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(f"socket.{name}", no)


def test_there_are_more_than_200_forms():
    assert len(set(FORMS)) > 200


@pytest.mark.parametrize("url", FORMS, ids=ascii)
async def test_the_form_is_refused_and_nothing_is_dialled(url):
    network = FakeNetwork(LOCAL_NAMES, file(b"secret"))
    with pytest.raises(FetchError) as no:
        await read(Fetcher(network=network), url)
    assert network.dialled == []
    assert "pass" not in str(no.value).replace("password", "")
    assert "127.0.0.1:" not in str(no.value).replace("//127.0.0.1:", "")


@pytest.mark.parametrize("url", FORMS, ids=ascii)
async def test_a_redirect_to_the_form_dials_only_where_it_came_from(url):
    network = FakeNetwork(LOCAL_NAMES, redirect(url))
    with pytest.raises(FetchError):
        await read(Fetcher(network=network), "http://files.example/a.png")
    # What is no URL at all may be a path on the same host.
    assert {address for address, _ in network.dialled} == {PUBLIC}
    assert len(network.dialled) <= 4


@pytest.mark.parametrize("url", FORMS, ids=ascii)
async def test_nothing_is_posted_to_the_form(url):
    network = FakeNetwork(LOCAL_NAMES, file(b"secret"))
    with pytest.raises(FetchError) as no:
        await posted(network, url)
    assert network.dialled == []
    assert "pass" not in str(no.value).replace("password", "")


@pytest.mark.parametrize("url", FORMS, ids=ascii)
async def test_a_receivers_redirect_to_the_form_is_not_followed(url):
    network = FakeNetwork(LOCAL_NAMES, redirect(url, 307))
    with suppress(FetchError):  # a line that breaks the answer's head
        assert (await posted(network, "http://files.example/hook")).status == 307
    assert network.dialled == [(PUBLIC, 80)]
    assert network.resolved == ["files.example"]


async def posted(network, url):
    return await Sender(Allowed(), network).post(url, b"{}", [], seconds=5)


class Flipping(FakeNetwork):
    """A resolver whose every third answer is a forbidden address."""

    async def resolve(self, host):
        self.resolved.append(host)
        bad = ["127.0.0.1", "169.254.169.254"][len(self.resolved) % 2]
        return [PUBLIC if len(self.resolved) % 3 else bad]


async def test_a_resolver_that_flips_its_answers_never_gets_a_forbidden_dial():
    network = Flipping()
    guard, refused = Guard(network), 0
    for _ in range(1000):
        try:
            await guard.connect_tcp("rebind.example", 80)
        except ForbiddenURLError:
            refused += 1
    assert (refused, len(network.dialled)) == (333, 667)
    assert {address for address, _ in network.dialled} == {PUBLIC}
    # One question for each connection: the answer that was checked is the one used.
    assert len(network.resolved) == 1000


async def test_neither_is_anything_posted_there():
    network, refused = Flipping(script=file(b"ok")), 0
    for _ in range(300):
        try:
            await posted(network, "https://rebind.example/hook")
        except ForbiddenURLError:
            refused += 1
    assert (refused, len(network.dialled)) == (100, 200)
    assert {address for address, _ in network.dialled} == {PUBLIC}
    assert len(network.resolved) == 300


async def test_neither_does_it_by_redirects_to_itself():
    network = Flipping(script=redirect("http://rebind.example/again"))
    fetcher = Fetcher(network=network)
    for _ in range(30):
        with pytest.raises(FetchError):
            await read(fetcher, "http://rebind.example/a.png")
    assert {address for address, _ in network.dialled} == {PUBLIC}
    assert len(network.resolved) > len(network.dialled) > 30


async def test_exactly_the_upstreams_origin_is_excepted():
    network = FakeNetwork(LOCAL_NAMES, file(b"ok"))
    fetcher = Fetcher("http://127.0.0.1:9000", network)
    assert await read(fetcher, "http://127.0.0.1:9000/a") == b"ok"
    assert network.dialled == [("127.0.0.1", 9000)]
    for other in (
        "https://127.0.0.1:9000/",
        "http://127.0.0.1/",
        "http://127.0.0.1:9001/",
        "http://127.0.0.2:9000/",
        "http://localhost:9000/",
        "http://[::1]:9000/",
        "http://files.example:9000/",
    ):
        with pytest.raises(FetchError):
            await read(fetcher, other)
    assert len(network.dialled) == 1


async def test_the_environments_proxy_is_not_used(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:3128")
    network = FakeNetwork(script=file(b"ok"))
    assert await read(Fetcher(network=network), "http://files.example/") == b"ok"
    assert network.dialled == [(PUBLIC, 80)]


async def read(fetcher, url):
    """Return everything behind a URL."""
    async with fetcher.open(url, limit=10_000, seconds=5) as body:
        return b"".join([chunk async for chunk in body])
