"""A secret that comes back is taken out, whichever way it is written."""

import base64
import html
import json
import time
from urllib.parse import quote, quote_plus

import pytest

from jimeng.answers import read_answer
from jimeng.echoes import MASK, without

SECRET = "pl4nted/+%<&>'secret0123456789"
PLAIN = "0123456789abcdef0123456789abcdef"


def escaped(text):
    return "".join(f"\\u{ord(c):04X}" if c in "<>&'+" else c for c in text)


@pytest.mark.parametrize(
    "write",
    [
        str,
        json.dumps,
        lambda s: json.dumps(json.dumps(s)),
        lambda s: s.replace("/", r"\/"),
        escaped,
        quote,
        lambda s: quote(s, safe=""),
        lambda s: quote(quote(s, safe=""), safe=""),
        lambda s: quote(s, safe="").lower(),
        quote_plus,
        html.escape,
        lambda s: base64.b64encode(s.encode()).decode(),
        lambda s: base64.b64encode(b"a" + s.encode() + b"z").decode(),
        lambda s: base64.urlsafe_b64encode(b"ab" + s.encode()).decode(),
    ],
)
@pytest.mark.parametrize("secret", [SECRET, PLAIN])
def test_an_echo_is_taken_out(write, secret):
    found = without(f"before {write(secret)} after", [secret])
    assert found.startswith("before ")
    assert found.endswith(" after")
    assert MASK in found
    assert secret[7:-7] not in found


def test_an_answer_that_escapes_an_echo_is_read_without_it():
    text = f'{{"ret":"1000","errmsg":"no: {escaped(SECRET)}"}}'
    answer = read_answer(200, text, [SECRET])
    assert answer.body["errmsg"] == f"no: {MASK}"
    assert "secret" not in answer.kept


def test_other_texts_are_left_alone():
    text = json.dumps({"prompt": "0123456789abcdef 雪 %2B <a&b>"})
    assert without(text, [SECRET, PLAIN, ""]) == text


def test_a_large_answer_costs_next_to_nothing():
    text = json.dumps({"a": ["x" * 50 + "0123456789abcde"] * 20_000})
    began = time.perf_counter()
    without(text, [SECRET, PLAIN])
    assert time.perf_counter() - began < 0.5


def test_a_short_secret_masks_itself_and_no_text_by_chance():
    assert without("a text, abcdef", ("k", "")) == "a text, abcdef"
    assert without("the key is k", ("k",)) == "the ***ey is ***"
