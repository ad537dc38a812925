"""How a URL is read, and what of it is shown."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetch import ForbiddenURLError, is_public, masked, parse


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("http://example.com", "http://example.com:80/"),
        ("HTTPS://Example.COM:443/A?b=c#d", "https://example.com:443/A?b=c"),
        ("https://example.com?x=1", "https://example.com:443/?x=1"),
        ("https://example.com/图 1.png".replace(" ", ""), None),
        ("https://xn--fiq228c.example/a", "https://xn--fiq228c.example:443/a"),
        ("http://8.8.8.8/a%20b", "http://8.8.8.8:80/a%20b"),
        ("http://[2606:4700::0001]/", "http://[2606:4700::1]:80/"),
        ("http://a_b.example/", "http://a_b.example:80/"),
    ],
)
def test_a_plain_url_is_read_in_one_way(url, read):
    assert parse(url).url == (read or "https://example.com:443/%E5%9B%BE1.png")


@pytest.mark.parametrize(
    ("location", "read"),
    [
        ("/b", "https://example.com:443/b"),
        ("b?c", "https://example.com:443/a/b?c"),
        ("//other.example/b", "https://other.example:443/b"),
        ("http://other.example", "http://other.example:80/"),
    ],
)
def test_a_redirect_is_read_against_where_it_comes_from(location, read):
    assert parse("https://example.com/a/x?y").joined(location).url == read


@pytest.mark.parametrize("location", ["http://[", "http://[::1", "ftp://x/", "//a@b/"])
def test_a_redirect_that_is_no_url_is_refused(location):
    with pytest.raises(ForbiddenURLError):
        parse("https://example.com/").joined(location)


def test_what_is_shown_holds_no_query_and_no_user():
    assert masked("https://a.example/b.png?sig=SECRET") == "https://a.example/b.png?…"
    assert masked("https://me:SECRET@a.example/b.png") == "the URL"
    assert masked(f"https://a.example/{'x' * 300}").endswith("x…")
    assert masked("https://a.example:8443/") == "https://a.example:8443/"


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "93.184.216.34",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2606:4700::1111",
        "2a00:1450:4001::1",
    ],
)
def test_an_address_out_there_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    Path(__file__).with_name("forbidden_addresses.txt").read_text().split(),
)
def test_every_other_address_is_not(address):
    assert not is_public(address)


@given(
    st.one_of(
        st.text(max_size=60),
        st.builds("http://{}/{}".format, st.text(max_size=30), st.text(max_size=30)),
        st.from_regex(r"https?://[a-z0-9.@:\[\]%\\/?#_-]{0,40}", fullmatch=True),
    )
)
def test_whatever_is_given_is_refused_or_read_the_same_by_every_parser(text):
    try:
        target = parse(text)
    except ForbiddenURLError:
        return
    assert parse(target.url) == target
    split = urlsplit(target.url)
    assert (split.scheme, split.port) == (target.scheme, target.port)
    assert split.hostname == target.name
    assert split.username is None
    assert httpx.URL(target.url).raw_host.decode() == target.name
    assert httpx.URL(text).host.strip("[]").lower() in {target.name, split.hostname}
