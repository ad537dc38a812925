"""Requests that are sent again: one key is one task, on every replica."""

import asyncio
import base64
import json
import re
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from contracts.streams import streams
from contracts.values import FileRef
from gateway_http.access import Caller
from gateway_http.prefer import LONGEST_SECONDS
from gateway_http.problems import Problem
from gateway_http.repeats import MATCHED_SECONDS, Claim, fingerprint, mark_of, moved
from gateway_http.wish import from_form, from_json

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGA"
    "hKmMIQAAAABJRU5ErkJggg=="
)
FOX = {"prompt": "a fox in the snow"}


def asked(*headers, path="/api/v1/tasks"):
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "path": path, "headers": raw})


async def post(gateway, body=FOX, path="/api/v1/tasks", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await gateway.http.post(path, json=body, headers=named)


async def test_one_key_is_one_task_and_one_answer(gateway, scheduler, until):
    first = await post(gateway, Idempotency_Key="k1")
    again = await post(gateway, Idempotency_Key="k1")
    quoted = await post(gateway, Idempotency_Key='"k1"')
    other = await post(gateway, Idempotency_Key="k2")

    assert [a.status_code for a in (first, again, quoted, other)] == [201] * 4
    assert first.json() == again.json() == quoted.json()
    assert other.json()["task_id"] != first.json()["task_id"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    await until(lambda: len({c.task for c in scheduler.created}) == 2)


async def test_a_key_with_another_body_is_refused_and_leaves_nothing(gateway):
    first = await post(gateway, Idempotency_Key="k1")
    image = {"data": base64.b64encode(PNG).decode()}
    other = await post(gateway, FOX | {"files": [image]}, Idempotency_Key="k1")

    assert other.status_code == 422
    problem = other.json()
    assert problem["type"] == "idempotency_key_reused"
    assert problem["task_id"] == first.json()["task_id"]
    assert gateway.files() == []


@pytest.mark.parametrize("key", ["", "a b", '"', '"a', "k" * 256, '""'])
async def test_a_malformed_key_is_refused(gateway, key):
    answer = await post(gateway, Idempotency_Key=key)

    assert answer.status_code == 400
    assert answer.json()["type"] == "invalid_idempotency_key"


@given(st.text(st.characters(max_codepoint=255), max_size=300))
def test_no_key_whatever_it_holds_breaks_anything(key):
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    request = Request({"type": "http", "path": "/", "headers": headers})
    with suppress(Problem):
        mark = mark_of(request, Caller(), "body")
        assert re.fullmatch(r"\$KV\.idem\.[0-9a-f]{64}", mark.subject)


async def test_a_form_sent_again_is_one_task_with_its_first_files(gateway, until):
    def form():
        return gateway.http.post(
            "/api/v1/tasks",
            data={"prompt": "@1 runs"},
            files=[("files", ("a.png", PNG))],
            headers={"Idempotency-Key": "form"},
        )

    first, again = await form(), await form()

    assert first.json() == again.json()
    assert gateway.files() == [f"{first.json()['task_id']}/reference-1"]


async def test_replicas_that_race_for_a_key_make_one_task(
    scheduler, all_beat, run_gateway, until
):
    await all_beat()
    image = {"data": base64.b64encode(PNG).decode(), "filename": "a.png"}
    body = {"prompt": "@1 runs", "files": [image]}
    async with run_gateway() as one, run_gateway() as two:
        for key in ("k1", "k2", "k3"):
            answers = await asyncio.gather(
                *(post(each, body, Idempotency_Key=key) for each in [one, two] * 4)
            )
            assert {a.status_code for a in answers} == {201}
            tasks = {a.json()["task_id"] for a in answers}
            assert len(tasks) == 1
            new = [a for a in answers if "idempotency-replayed" not in a.headers]
            assert len(new) == 1
        await until(lambda: len({c.task for c in scheduler.created}) == 3)
        kept = {c.job.files[0].key for c in scheduler.created}
        assert set(one.files()) == kept


async def test_a_key_is_honoured_while_the_scheduler_is_away(
    nats, all_beat, run_gateway
):
    await nats.provision()
    await all_beat()
    async with run_gateway() as gateway:
        first = await post(gateway, Idempotency_Key="k1")
        again = await post(gateway, Idempotency_Key="k1")
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()


async def test_what_was_claimed_but_not_accepted_is_accepted_with_its_files(
    nats, all_beat, run_gateway
):
    await nats.provision()
    await all_beat()
    [queue] = [s for s in streams() if s.name == "CMD"]
    full = queue.evolve(max_bytes=1)
    image = {"data": base64.b64encode(PNG).decode()}
    body = {"prompt": "@1 runs", "files": [image]}
    async with run_gateway() as gateway:
        client = await nats.connect()
        await client.jetstream().update_stream(full)
        refused = await post(gateway, body, Idempotency_Key="k1")
        await client.jetstream().update_stream(queue)
        again = await post(gateway, body, Idempotency_Key="k1")
        waiting = await client.jetstream().stream_info("CMD")
        await client.close()

        assert refused.status_code == 503
        assert again.status_code == 201
        task = again.json()["task_id"]
        assert refused.json()["task_id"] == task
        assert gateway.files() == [f"{task}/reference-1"]
        assert waiting.state.messages == 1


async def test_a_key_is_kept_for_a_day(gateway, nats):
    await post(gateway, Idempotency_Key="k1")
    client = await nats.connect()
    kept = await client.jetstream().get_last_msg("KV_idem", "$KV.idem.*")
    await client.close()

    assert kept.headers["Nats-TTL"] == "86400"
    assert "k1" not in kept.subject + kept.data.decode()


async def test_without_a_key_only_what_says_it_is_a_retry_is_matched(gateway):
    alike = [await post(gateway) for _ in range(4)]
    sdk = [await post(gateway, X_Stainless_Retry_Count="0") for _ in range(3)]
    retry = await post(gateway, X_Stainless_Retry_Count="1")
    third = await post(gateway, X_Stainless_Retry_Count="2")
    other = await post(gateway, {"prompt": "a cat"}, X_Stainless_Retry_Count="1")

    assert len({a.json()["task_id"] for a in [*alike, *sdk]}) == 7
    assert retry.json() == third.json() == sdk[-1].json()
    assert retry.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in other.headers


async def test_a_retry_that_comes_before_its_first_try_is_still_one_task(gateway):
    answers = await asyncio.gather(
        *(post(gateway, X_Stainless_Retry_Count="1") for _ in range(6))
    )

    assert len({a.json()["task_id"] for a in answers}) == 1


async def test_a_first_try_that_is_slower_than_its_retry_is_one_task_with_it(gateway):
    text = json.dumps(FOX).encode()
    begun, retried = asyncio.Event(), asyncio.Event()

    async def slow():
        yield text[:5]
        begun.set()
        await retried.wait()
        yield text[5:]

    headers = {"content-type": "application/json", "x-stainless-retry-count": "0"}
    sending = gateway.http.post("/api/v1/tasks", content=slow(), headers=headers)
    first = asyncio.create_task(sending)
    await begun.wait()
    await gateway.http.get("/ping")  # once this is answered the other has arrived
    retry = await post(gateway, X_Stainless_Retry_Count="1")
    retried.set()
    late = await first
    another = await post(gateway, X_Stainless_Retry_Count="0")

    assert (retry.status_code, late.status_code) == (201, 201)
    assert late.json() == retry.json()
    assert late.headers["idempotency-replayed"] == "true"
    assert another.json()["task_id"] != late.json()["task_id"]


async def test_an_answer_is_given_again_after_its_deadline(gateway, nats):
    over = FOX | {"deadline": "2026-01-31T12:00:00Z"}
    body = fingerprint(from_json(json.dumps(over).encode()), [])
    mark = mark_of(asked(("Idempotency-Key", "k1")), Caller(), body)
    claim = Claim(task="t1", body=body, at=datetime(2026, 1, 31, 11, tzinfo=UTC))
    broker = await nats.connect()
    kept = claim.model_dump_json().encode()
    await broker.jetstream().publish(mark.subject, kept)
    await broker.close()
    again = await post(gateway, over, Idempotency_Key="k1")
    other = await post(gateway, over, Idempotency_Key="k2")

    assert (again.status_code, other.status_code) == (201, 422)
    assert again.json()["task_id"] == "t1"
    assert other.json()["errors"][0]["field"] == "deadline"


async def test_a_retry_of_a_task_is_one_by_its_key(gateway, scheduler, until):
    task = (await post(gateway)).json()["task_id"]
    await until(lambda: scheduler.tasks)
    scheduler.change(task, status="failed", stage=None)
    path = f"/api/v1/tasks/{task}/retry"
    first = await post(gateway, {}, path, Idempotency_Key="k1")
    again = await post(gateway, {}, path, Idempotency_Key="k1")
    other = await post(gateway, {"again": True}, path, Idempotency_Key="k1")
    anew = await post(gateway, FOX, path, Idempotency_Key="k1")  # it buys anew

    assert anew.status_code == 422
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["task_id"] == again.json()["task_id"] != task
    assert first.json()["retry_of"] == task
    assert again.headers["idempotency-replayed"] == "true"
    assert other.status_code == 422
    assert len(scheduler.tasks) == 2


def test_a_key_belongs_to_its_owner_and_route():
    key = ("Idempotency-Key", "k")
    marks = [
        mark_of(asked(key, path=path), Caller(owner=owner), "body")
        for path in ("/a", "/b")
        for owner in ("key:1", "key:2", None)
    ]

    assert len({mark.name for mark in marks}) == 6
    assert mark_of(asked(), Caller(), "body") is None
    with pytest.raises(Problem):
        mark_of(asked(key, key), Caller(), "body")


def test_without_a_key_a_body_is_remembered_longer_than_any_client_tries_again():
    first = mark_of(asked(("x-stainless-retry-count", "0")), Caller(), "body")
    again = mark_of(asked(("x-stainless-retry-count", "2")), Caller(), "body")
    strange = mark_of(asked(("x-stainless-retry-count", "many")), Caller(), "body")

    assert first.name == again.name
    assert (first.fresh, again.fresh) == (True, False)
    assert first.kept_seconds == again.kept_seconds == MATCHED_SECONDS
    assert MATCHED_SECONDS > 3 * LONGEST_SECONDS  # each of three tries waits so long
    assert strange is None


def test_a_body_comes_to_the_same_in_both_forms_and_wherever_its_files_lie():
    file = FileRef(
        key="t1/reference-1", name="a", kind="image", mime="", size=1, sha256="1"
    )
    json = from_json(b'{"prompt": "x", "duration": 5, "metadata": {"a": "b"}}')
    form = from_form({"prompt": "x", "duration": "5", "metadata": '{"a":"b"}'})
    [elsewhere] = moved([file], "t2")

    assert elsewhere.key == "t2/reference-1"
    assert fingerprint(json, [file]) == fingerprint(form, [elsewhere])
    other = file.model_copy(update={"sha256": "2"})
    assert fingerprint(json, [file]) != fingerprint(json, [other])
    hooked = [
        from_json(
            b'{"prompt": "x", "webhook_url": "https://a.example/", '
            b'"webhook_secret": "whsec_' + secret + b'"}'
        )
        for secret in (
            b"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
            b"eDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
        )
    ]
    assert fingerprint(hooked[0], []) != fingerprint(hooked[1], [])
    assert fingerprint(json, []) != fingerprint(from_json(b'{"prompt": "y"}'), [])
