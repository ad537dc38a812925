import io
import json
import logging
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime import logs

SECRETS = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%_-.", min_size=12
)
PLACES = (
    "cookie: a=1; sessionid={}; b=2",
    "Set-Cookie: sid_guard={}; Path=/",
    "Cookie: ttwid={}",
    "Authorization: Bearer {}",
    "authorization=Bearer {}",
    "got bearer {} from them",
    "https://user:{}@proxy.example.com:8080 refused",
    "socks5h://{}@127.0.0.1:1080",
    "http://u:p@{}@h:1/path",
    '{{"sessionid": "{}", "x": 1}}',
    '{{\\"sessionid\\": \\"{}\\"}}',
    "{{'password': '{}'}}",
    "https://x.example.com/a?msToken={}&b=1",
    "/api?a_bogus={}",
    "api_key={}",
    "sessionid_ss={}",
)


class _Lines:
    def __init__(self, stream):
        self._stream = stream

    def read(self):
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def lines():
    root = logging.getLogger()
    kept, level = root.handlers, root.level
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    yield _Lines(stream)
    root.handlers = kept
    root.setLevel(level)


@pytest.mark.parametrize("place", PLACES)
@given(secret=SECRETS)
def test_no_secret_is_shown_where_secrets_stand(place, secret):
    assume(secret not in place)  # else what stands around it shows it
    assert secret not in logs.scrub_text(place.format(secret))


@pytest.mark.parametrize("place", PLACES)
@given(secret=SECRETS)
def test_no_secret_is_shown_in_a_field_however_deep(place, secret):
    assume(secret not in place)
    text = place.format(secret)
    line = {"a": text, "b": {"c": [text, (text,)]}, "d": ValueError(text)}
    assert secret not in json.dumps(logs.scrub(None, "", line))


@pytest.mark.parametrize("name", ["password", "cookies", "sessionid", "api_key"])
def test_a_field_named_for_a_secret_is_hidden_whole(name):
    line = {"x": {name: "hunter2"}, name: ["hunter2"]}
    assert "hunter2" not in json.dumps(logs.scrub(None, "", line))


def test_of_an_api_key_only_its_beginning_is_shown_wherever_it_stands():
    key = "gw_1a2b3c4d" + "5e" * 28
    assert logs.scrub_text(f"who has {key} may") == "who has gw_1a2b3c4d*** may"
    assert logs.scrub_text("gw_1a2b3c4d is a prefix") == "gw_1a2b3c4d is a prefix"


@pytest.mark.parametrize(
    "text",
    [
        "task 0190f3c2 is submitting on session s-1",
        "GET https://jimeng.jianying.com/mweb/v1/get_history_by_ids?aid=513695 200",
        "tokens: a cookie recipe",
        "user@example.com wrote",
    ],
)
def test_a_text_without_secrets_stays_as_it_is(text):
    assert logs.scrub_text(text) == text


def test_a_line_knows_its_service_task_and_session(lines):
    log = logging.getLogger("poller")
    with logs.service_scope("poller"), logs.about("cmd.poller.poll.s-1"):
        log.info("asked %d", 3, extra={"attempts": [1, 2], "where": Path("/x")})
    with (
        logs.service_scope("signer"),
        logs.about("cmd.signer.page.t-1-2", b'{"session": "s-2"}'),
    ):
        log.warning("slow")
    log.info("outside")
    polled, signed, outside = lines.read()
    assert polled.pop("time").endswith("Z")
    assert polled == {
        "level": "info",
        "logger": "poller",
        "service": "poller",
        "session": "s-1",
        "task": "-",
        "text": "asked 3",
        "attempts": [1, 2],
        "where": "/x",
    }
    assert (signed["service"], signed["task"]) == ("signer", "t-1")
    assert signed["session"] == "s-2"
    assert (outside["service"], outside["task"]) == ("-", "-")


def test_an_exception_is_one_line_and_scrubbed(lines):
    try:
        int("sessionid=0123456789abcdef")
    except ValueError:
        logging.getLogger("x").exception("failed")
    [line] = lines.read()
    assert "Traceback" in line["exception"]
    assert "0123456789abcdef" not in json.dumps(line)


def test_levels_are_set_by_logger():
    root = logging.getLogger()
    kept, level = root.handlers, root.level
    try:
        logs.configure("probed=debug,warning", "json", io.StringIO())
        assert logging.getLogger("probed").isEnabledFor(logging.DEBUG)
        assert not logging.getLogger("others").isEnabledFor(logging.INFO)
    finally:
        root.handlers = kept
        root.setLevel(level)
        logging.getLogger("probed").setLevel(logging.NOTSET)


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "fmt", "pretty"),
    [
        (_Terminal(), "", True),
        (io.StringIO(), "", False),
        (_Terminal(), "json", False),
        (io.StringIO(), "pretty", True),
    ],
)
def test_lines_are_pretty_on_a_terminal_unless_told_otherwise(stream, fmt, pretty):
    root = logging.getLogger()
    kept, level = root.handlers, root.level
    try:
        logs.configure("info", fmt, stream)
        logging.getLogger("x").info("hello")
    finally:
        root.handlers = kept
        root.setLevel(level)
    assert "hello" in stream.getvalue()
    assert stream.getvalue().startswith("{") is not pretty
