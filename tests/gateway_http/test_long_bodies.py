"""Long JSON bodies: taken in without keeping others waiting, refused by name."""

import asyncio
import base64
import gc
import json
import threading
import time
import tracemalloc

from gateway_http import inline
from gateway_http.inline import STEP_BYTES

TASKS = "/api/v1/tasks"
MIB = 1024 * 1024
BMP = base64.b64decode(
    "Qk06AAAAAAAAADYAAAAoAAAAAQAAAAEAAAABABgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAD/AA=="
)


def film(size):
    """Give a WAV of silence as large as sound can be: 8 channels, 32 bit, 96 kHz."""
    rate = (96_000).to_bytes(4, "little") + (96_000 * 32).to_bytes(4, "little")
    form = b"\1\0\x08\0" + rate + b"\x20\0\x20\0"
    head = b"WAVEfmt \x10\0\0\0" + form + b"data" + size.to_bytes(4, "little")
    return b"RIFF" + (36 + size).to_bytes(4, "little") + head + bytes(size)


def large_body():
    """Give 31 MiB with line breaks and escapes, as some encoders write them."""
    encoded = base64.encodebytes(film(int(22.9 * MIB)))
    files = [base64.b64encode(BMP), encoded.replace(b"\n", b"\\n")]
    files = b",".join(b'{"filename": "a", "data": "%s"}' % file for file in files)
    body = b'{"prompt": "@1 hears @2", "files": [' + files + b"]}"
    assert 31 * MIB < len(body) < 32 * MIB
    return body


async def post(gateway, body):
    async def chunks():
        for start in range(0, len(body), 64 * 1024):
            yield body[start : start + 64 * 1024]
            await asyncio.sleep(0)

    kind = {"content-type": "application/json"}
    return await gateway.http.post(TASKS, content=chunks(), headers=kind)


async def test_no_step_of_a_31_mib_body_keeps_others_waiting(gateway):
    body = large_body()
    longest = 0.0

    async def tick():
        nonlocal longest
        while True:
            before = time.thread_time()  # of the loop alone: a busy machine adds none
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    gc.collect()
    gc.disable()
    ticking = asyncio.create_task(tick())
    answer = await post(gateway, body)
    ticking.cancel()
    gc.enable()

    assert answer.status_code == 201, answer.text
    assert answer.json()["task"]["files"][1]["size"] == len(film(int(22.9 * MIB)))
    assert longest < 0.05  # 0.15 s when it was decoded at once


async def test_no_call_on_the_loop_handles_more_than_a_step(gateway, monkeypatch):
    seen = []

    def note(module, name):
        inside = getattr(module, name)

        def noting(data, **options):
            here = threading.current_thread() is threading.main_thread()
            seen.append((name if here else "beside", len(data)))
            return inside(data, **options)

        monkeypatch.setattr(module, name, noting)

    note(inline, "b64decode")
    note(inline, "_parsed")
    answer = await post(gateway, large_body())

    assert answer.status_code == 201, answer.text
    assert len(seen) > 3 * 31 * MIB / STEP_BYTES  # checked, parsed and decoded
    assert max(size for _, size in seen) <= STEP_BYTES


async def test_a_31_mib_body_needs_little_memory_beside_its_own(gateway):
    body = large_body()
    tracemalloc.start()
    answer = await post(gateway, body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert answer.status_code == 201, answer.text
    assert peak < 10 * MIB  # without the mapping that the body is in, of 32 MiB


LONG = base64.b64encode(bytes(MIB // 3 * 3)).decode()


def file(data):
    return f'{{"prompt": "a", "files": [{{"data": "{data}"}}]}}'


def body(**fields):
    return json.dumps({"prompt": "a", **fields})


BAD = [
    (file(LONG + "!"), 422, "files.0.data"),
    (file(LONG + "A"), 422, "files.0.data"),
    (file(LONG + "AA==" + LONG), 422, "files.0.data"),
    (file("data:image/png," + LONG), 422, "files.0.data"),
    (file("狐" * 100_000), 422, "files.0.data"),
    (file(LONG), 422, "files.0"),
    (file(LONG + "\\q"), 400, ""),
    (file(LONG + "\\ud83e"), 400, ""),
    (file(LONG + "\n"), 400, ""),
    (file(LONG) + "x", 400, ""),
    ('{"prompt": "' + LONG, 400, ""),
    (body(files=[LONG]), 422, "files.0.url"),
    (body(files=LONG), 422, "files"),
    (body(files=[{"data": "", "filename": LONG}]), 422, "files.0.filename"),
    (body(files=[[]] * 5000), 400, ""),
    (body(file_paths=[LONG]), 422, "file_paths.0"),
    (body(files=[{"url": LONG}]), 422, "files.0.url"),
    (body(prompt=LONG), 422, "prompt"),
    (body(prompt="x" * 20_000), 422, "prompt"),
    (body(model=LONG), 422, "model"),
    (body(metadata={"data": LONG}), 422, "metadata.data"),
    (body(metadata=LONG), 422, "metadata"),
    (body(metadata="[]," * 30_000), 422, "metadata"),
    (body(**{f"n{n}": 0 for n in range(5000)}), 400, ""),
    (body(file_paths=["x" * 16_000] * 200), 413, None),
    (" " * 2 * MIB, 413, None),
]


async def test_each_bad_long_body_is_refused_by_name_and_leaves_no_blob(
    gateway, scheduler
):
    found = []
    for sent, *_ in BAD:
        answer = await post(gateway, sent.encode())
        assert answer.headers["content-type"] == "application/problem+json"
        errors = answer.json()["errors"]
        found.append((answer.status_code, errors[0]["field"] if errors else None))
        assert len(answer.content) < 2000

    assert found == [tuple(expected) for _, *expected in BAD]
    assert gateway.files() == []
    assert scheduler.created == []


async def test_a_long_prompt_is_taken_however_it_is_written(gateway):
    for prompt in ("🦊" * 15_000, "a\n" * 7500):
        for ascii_only in (True, False):
            body = json.dumps({"prompt": prompt}, ensure_ascii=ascii_only).encode()
            answer = await post(gateway, body)
            assert answer.json()["task"]["prompt"] == prompt


async def test_a_form_keeps_no_field_that_does_not_exist(gateway):
    answer = await gateway.http.post(
        TASKS, files=[(f"n{n}", (None, "x")) for n in range(3000)]
    )
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["n0"]
