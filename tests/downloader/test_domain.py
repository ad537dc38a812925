"""Which links are followed, and what answers mean, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.tasks import StoreResults
from contracts.values import Item
from downloader import domain
from downloader.domain import Place
from downloader.settings import RESULT_HOSTS
from jimeng import Finished, Link, Node, Running
from jimeng import Item as SiteItem
from jimeng import Progress as Standing
from jimeng.poll import Node as PollNode

LOCAL = "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    "url",
    [
        "https://v9-artist.vlabvod.com/a/b.mp4?x=1&y=%20",
        "https://p3-dreamina-sign.byteimg.com/a~tplv.webp",
        "https://v26-dreamnia.jimeng.com:443/x",
        "https://V26-default.365YG.com/视频",
        "https://vlabvod.com",
    ],
)
def test_links_to_where_results_lie_are_followed(url):
    assert domain.allowed(url, None, RESULT_HOSTS)
    assert not domain.allowed(url, LOCAL, RESULT_HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://v9-artist.vlabvod.com/a",
        "https://evilvlabvod.com/a",
        "https://vlabvod.com.evil.com/a",
        "https://evil.com/vlabvod.com",
        "https://evil.com?vlabvod.com",
        "https://evil.com#.vlabvod.com",
        "https://evil.com\\.vlabvod.com/a",
        "https://evil.com\\@vlabvod.com/a",
        "https://vlabvod.com@evil.com/a",
        "https://user:pass@vlabvod.com/a",
        "https://v9.vlabvod.com:8443/a",
        "https://v9.vlabvod.com./a",
        "https://127.0.0.1/a",
        "https://[::1]/a",
        "https://169.254.169.254/latest",
        "https://v9.vlabvod.com/a b",
        "https://v9.vlabvod.com/a\nHost: x",
        "file:///etc/passwd",
        "ftp://v9.vlabvod.com/a",
        "//v9.vlabvod.com/a",
        "https:///v9.vlabvod.com",
        "https://\uff56labvod.com/a",
    ],
)
def test_no_other_link_is_followed(url):
    assert not domain.allowed(url, None, RESULT_HOSTS)


@pytest.mark.parametrize(
    ("url", "upstream", "followed"),
    [
        (f"{LOCAL}/cdn/1?x=2", LOCAL, True),
        (LOCAL, LOCAL, True),
        ("HTTP://127.0.0.1:9000/x", LOCAL, True),
        ("http://127.0.0.1:9001/x", LOCAL, False),
        ("http://127.0.0.1:90000/x", LOCAL, False),
        ("https://127.0.0.1:9000/x", LOCAL, False),
        ("http://127.0.0.1/x", LOCAL, False),
        ("http://127.0.0.1:9000@evil.com/x", LOCAL, False),
        ("http://localhost:9000/x", LOCAL, False),
        ("http://[::1]:9000/x", "http://[::1]:9000", True),
    ],
)
def test_with_an_upstream_only_its_own_links_are_followed(url, upstream, followed):
    assert domain.allowed(url, upstream, RESULT_HOSTS) is followed


@given(st.text(), st.sampled_from(["", "@", "\\", "/", "?", "#", ":", ".", "%2e"]))
def test_no_prefix_makes_a_foreign_host_a_known_one(text, mark):
    url = f"https://evil.example{mark}{text}"
    if domain.allowed(url, None, RESULT_HOSTS):
        host = url.removeprefix("https://").split("/")[0].split("?")[0].split(":")[0]
        assert host.lower().endswith(RESULT_HOSTS)


def test_links_of_the_real_site_are_made_secure():
    assert domain.secured("http://a.365yg.com/x", None) == "https://a.365yg.com/x"
    assert domain.secured(f"{LOCAL}/x", LOCAL) == f"{LOCAL}/x"


ETAG = '"abc"'


@pytest.mark.parametrize(
    ("status", "headers", "size", "tag", "wanted"),
    [
        (200, {}, 0, "", "all"),
        (200, {}, 5, ETAG, "all"),
        (200, {"content-encoding": "gzip"}, 0, "", "useless"),
        (206, {"content-range": "bytes 5-9/10", "etag": ETAG}, 5, ETAG, "rest"),
        (206, {"content-range": "bytes 5-9/10"}, 5, ETAG, "rest"),
        (206, {"content-range": "bytes 4-9/10", "etag": ETAG}, 5, ETAG, "anew"),
        (206, {"content-range": "bytes 5-9/10", "etag": '"x"'}, 5, ETAG, "anew"),
        (206, {}, 5, ETAG, "anew"),
        (416, {"content-range": "bytes */5"}, 5, ETAG, "complete"),
        (416, {"content-range": "bytes */4"}, 5, ETAG, "anew"),
        (416, {}, 0, "", "anew"),
        (403, {}, 0, "", "expired"),
        (410, {}, 0, "", "expired"),
        (404, {}, 0, "", "useless"),
        (400, {}, 0, "", "useless"),
        (304, {}, 0, "", "useless"),
        (429, {}, 0, "", "later"),
        (500, {}, 5, ETAG, "later"),
        (503, {}, 0, "", "later"),
    ],
)
def test_an_answer_is_read_by_its_status_and_ranges(status, headers, size, tag, wanted):
    assert domain.meaning(status, headers, size, tag) == wanted


def test_a_transfer_is_only_resumed_when_it_is_known_of_what():
    assert "Range" not in domain.resuming(0, ETAG)
    assert "Range" not in domain.resuming(5, "")
    asked = domain.resuming(5, ETAG)
    assert (asked["Range"], asked["If-Range"]) == ("bytes=5-", ETAG)


def test_only_strong_validators_tell_bytes_apart():
    assert domain.tag_of({"etag": ETAG}) == ETAG
    assert domain.tag_of({"etag": 'W/"abc"'}) == ""
    assert domain.tag_of({"etag": 'W/"abc"', "last-modified": "then"}) == "then"


def test_the_total_is_the_ranges_or_the_length():
    assert domain.total_of({"content-range": "bytes 5-9/10"}) == 10
    assert domain.total_of({"content-length": "7"}) == 7
    assert domain.total_of({}) is None
    assert domain.total_of({"content-length": "x"}) is None


def node(outcome):
    return Node(submit_id="s", history_id="h", outcome=outcome)


def test_fresh_links_are_those_of_the_same_item():
    one = SiteItem("1", (Link("https://a/1"), Link("https://a/2")))
    two = SiteItem("2", (Link("https://a/3"),))
    finished = node(Finished((one, two)))
    assert domain.fresh_links(finished, 0, Item(id="2", urls=())) == ["https://a/3"]
    assert domain.fresh_links(finished, 1, Item(id="", urls=())) == ["https://a/3"]
    assert domain.fresh_links(finished, 5, Item(id="9", urls=())) == []
    assert domain.fresh_links(None, 0, Item(id="1", urls=())) is None
    assert (
        domain.fresh_links(node(Running(Standing())), 0, Item(id="", urls=())) is None
    )
    deleted = PollNode.read({"status": 100})
    assert domain.fresh_links(deleted, 0, Item(id="1", urls=())) == []


def test_a_result_is_found_by_its_number():
    place = Place("t", 1)
    assert place.among(["t/result-0.mp4", "t/result-1.mp4", "t/result-10.mp4"]) == (
        "t/result-1.mp4"
    )
    assert place.among(["t/result-10.mp4", "t/result-1"]) is None


def test_a_command_of_before_is_about_a_video():
    old = {"task": "t", "attempt": 1, "session": "s", "submit_id": "x", "items": []}
    assert StoreResults.model_validate(old).kind == "video"
