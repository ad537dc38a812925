"""Whatever a client of the family sends is a wish, or is refused by name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway_http.family import chat
from gateway_http.family.forms import LISTS, NUMBERED, from_given
from gateway_http.prefer import LONGEST_SECONDS, wanted
from gateway_http.problems import Problem

NAMES = ["prompt", "model", "duration", "ratio", "functionMode", "response_format"]
NAMES += ["files", *LISTS, *NUMBERED[:3], "size", "width", "metadata", "webhook_url"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["url", "data", "type", "text"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(NAMES), values))
def test_any_fields_are_read_or_refused(fields):
    try:
        wish = from_given({"prompt": "a fox"} | fields)
    except (Problem, ValidationError):
        return
    assert wish.prompt.strip()
    assert all((file.url is None) != (file.data is None) for file in wish.files)


@given(values | st.lists(st.fixed_dictionaries({"content": values}), min_size=1))
def test_any_messages_are_read_or_refused(messages):
    body = json.dumps({"messages": messages, "model": "jimeng-video-3.0"})
    try:
        wish = chat._from_json(body.encode())
    except (Problem, ValidationError):
        return
    assert wish.prompt.strip()


@given(st.text(), st.text())
def test_any_model_and_size_are_read_or_refused(model, size):
    message = {"role": "user", "content": "a fox"}
    body = {"model": model, "size": size, "messages": [message]}
    try:
        wish = chat._from_json(json.dumps(body).encode())
    except (Problem, ValidationError):
        return
    assert wish.prompt == "a fox"


@given(st.lists(st.text(), max_size=3))
def test_any_preference_is_a_wait_of_some_length(headers):
    assert 0 <= wanted(headers, 7).seconds <= LONGEST_SECONDS


@pytest.mark.parametrize("length", [1_000, 100_000])
def test_a_preference_that_leads_astray_is_read_at_once(length):
    for text in ("a" * length, '"' * length, "a," * length, 'a="' * length):
        assert wanted([text], 7).seconds == 7
