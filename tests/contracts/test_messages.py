"""What has been released stays readable; what changes shows in the diff."""

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr, ValidationError

from contracts.answering import answer_to
from contracts.errors import ErrorCode
from contracts.message import Command, Event, token
from contracts.pool import AddSession
from contracts.requests import Request
from contracts.schemas import messages, replies, shapes, snapshot
from contracts.streams import COMMANDS, WORKERS_FACTS, streams
from contracts.tasks import PollSession
from contracts.workers import Credential

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SAMPLES = sorted((HERE / "samples").glob("*.json"))
CLASSES = {kind.__name__: kind for kind in [*messages(), *replies()]}


def _class_of(sample):
    return CLASSES[sample.stem.split("-")[0]]


def _contains(whole, part):
    """Nothing of `part` is missing from `whole`, which may have more."""
    if isinstance(part, dict):
        return all(k in whole and _contains(whole[k], v) for k, v in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(_contains, whole, part))
    return whole == part


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.stem)
def test_every_sample_ever_released_is_read_and_loses_nothing(sample):
    kind, text = _class_of(sample), sample.read_text()
    told = kind.model_validate_json(text)
    again = told.model_dump_json()
    assert kind.model_validate_json(again) == told
    assert _contains(json.loads(again), json.loads(text))


@pytest.mark.parametrize("kind", CLASSES.values(), ids=lambda kind: kind.__name__)
def test_every_message_has_a_sample(kind):
    assert any(_class_of(sample) is kind for sample in SAMPLES)


def test_the_schemas_are_those_of_the_snapshot():
    kept = json.loads((HERE / "schemas.json").read_text())
    assert snapshot() == kept, "a contract changed: `make contracts-snapshot`"


def test_what_cannot_be_read_is_not_repeated():
    secret = "0123456789abcdef"
    for kind in (AddSession, Credential):
        body = json.dumps({"credential": [secret], "sessionid": [secret]})
        with pytest.raises(ValidationError) as wrong:
            kind.model_validate_json(body)
        assert secret not in str(wrong.value)
        with pytest.raises(ValidationError) as wrong:
            kind.model_validate({"credential": [secret], "sessionid": [secret]})
        assert secret not in repr(wrong.value)


async def test_a_request_that_cannot_be_read_is_not_repeated_nor_logged(caplog):
    secret = "0123456789abcdef"
    reached = []
    body = json.dumps({"credential": [secret]}).encode()
    answer = await answer_to(AddSession, reached.append, body)
    assert answer.refused.type == "unreadable"
    assert secret not in answer.model_dump_json() + caplog.text

    async def trip(_):
        AddSession.model_validate({"credential": [secret]})

    whole = AddSession(credential=secret).body()
    answer = await answer_to(AddSession, trip, whole)
    assert answer.refused.type == "internal"
    assert "ValidationError" in caplog.text
    assert secret not in answer.model_dump_json() + caplog.text


def test_no_two_messages_share_a_subject():
    for one, other in combinations(messages(), 2):
        if {one.__name__, other.__name__} & {"TaskChanged", "SessionChanged", "Died"}:
            continue  # what stands for their `*` is a closed list
        assert not _overlap(one.pattern(), other.pattern()), (one, other)


def _overlap(one, other):
    left, right = one.split("."), other.split(".")
    return len(left) == len(right) and all(
        a == b or "*" in (a, b) for a, b in zip(left, right, strict=True)
    )


def test_every_command_has_a_consumer_and_a_place_in_the_queue():
    commands = {m for m in messages() if issubclass(m, Command)}
    assert commands == set(COMMANDS)
    assert len({c.durable() for c in COMMANDS}) == len(COMMANDS)
    [queue] = [s for s in streams() if s.name == "CMD"]
    assert {f"cmd.{c.service()}.>" for c in COMMANDS} == set(queue.subjects)


def test_the_scheduler_hears_every_fact_of_the_workers_and_none_of_its_own():
    for event in (m for m in messages() if issubclass(m, Event)):
        heard = any(_overlap(event.pattern(), fact) for fact in WORKERS_FACTS)
        assert heard is (".scheduler." not in event.SUBJECT), event


@pytest.mark.parametrize("kind", messages(), ids=lambda kind: kind.__name__)
def test_a_subject_is_made_of_its_own_fields_and_matches_its_pattern(kind):
    sample = next(s for s in SAMPLES if _class_of(s) is kind)
    told = kind.parse(sample.read_text())
    assert _overlap(told.subject, kind.pattern())
    assert "{" not in told.subject


@pytest.mark.parametrize("kind", CLASSES.values(), ids=lambda kind: kind.__name__)
def test_a_reader_ignores_what_it_does_not_know_yet(kind):
    sample = next(s for s in SAMPLES if _class_of(s) is kind)
    body = json.loads(sample.read_text())
    told = kind.model_validate(body | {"invented_tomorrow": {"x": 1}})
    if kind.__name__ != "LogLine":  # further fields of a line travel with it
        assert told == kind.model_validate(body)


def test_a_message_cannot_be_changed():
    told = PollSession(session="s1")
    with pytest.raises(ValidationError, match="frozen"):
        told.session = "s2"


def test_an_event_says_what_makes_it_unique():
    for sample in SAMPLES:
        if issubclass(kind := _class_of(sample), Event):
            told = kind.parse(sample.read_text())
            assert told.id.count(":") >= 2
            assert told.correlation == told.subject.split(".")[2]


def test_secrets_travel_in_requests_and_replies_only():
    for kind in messages():
        if not issubclass(kind, Request):
            assert '"password"' not in json.dumps(kind.model_json_schema()), kind
    secret = {name for name, s in shapes().items() if '"password"' in json.dumps(s)}
    assert secret == {
        "AddEndpoint",
        "AddSession",
        "Credential",
        "DueDelivery",
        "EndpointReply",
        "ReplaceCredential",
        "SetEndpoint",
        "SetProxy",
    }


def test_a_secret_is_open_on_the_wire_and_nowhere_else():
    added = AddSession(credential=SecretStr("us-0123456789abcdef"))
    assert b"us-0123456789abcdef" in added.body()
    assert "0123456789abcdef" not in f"{added} {added!r} {added.model_dump()}"
    sample = (HERE / "samples" / "Credential.json").read_text()
    credential = Credential.model_validate_json(sample)
    assert "0123456789abcdef" not in f"{credential!r}"
    assert "u:p@" not in f"{credential!r}"


def test_every_error_code_belongs_to_one_of_the_words_clients_know():
    assert all(code.kind for code in ErrorCode)


@pytest.mark.parametrize("text", ["a.b", "a b", "a*", ">", "", "中", "a\r\nb", "a\tb"])
def test_a_value_in_a_subject_stays_one_token(text):
    assert token(text)
    assert not set(token(text)) & set(". *>\r\n\t")
    assert token(text).isascii()


def test_the_asyncapi_document_is_current():
    made = subprocess.run(
        [sys.executable, ROOT / "deploy" / "tools" / "asyncapi.py"],
        check=True,
        capture_output=True,
        text=True,
    )
    kept = (ROOT / "docs" / "asyncapi.yaml").read_text()
    assert made.stdout == kept, "a contract changed: `make asyncapi`"


def test_every_reference_in_the_asyncapi_document_leads_somewhere():
    document = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())
    assert document["asyncapi"] == "3.0.0"
    references = list(_references(document))
    assert references
    for reference in references:
        place = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
    for channel in document["channels"].values():
        address = channel["address"] or ""
        for name in channel.get("parameters", {}):
            assert f"{{{name}}}" in address


def _references(node):
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _references(each)
