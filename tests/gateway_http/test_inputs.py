"""What is refused, and how: every no names its field and leaves nothing behind."""

import asyncio
import base64
import json
import struct
import tracemalloc

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TASKS = "/api/v1/tasks"
URL = "https://example.org/a.png"
B64 = base64.b64encode(b"x").decode()
MIB = 1024 * 1024

BAD_FIELDS = [
    ({"prompt": ""}, "prompt"),
    ({"prompt": " \n\t"}, "prompt"),
    ({"prompt": None}, "prompt"),
    ({"prompt": "x" * 15_001}, "prompt"),
    ({"prompt": "a\0b"}, "prompt"),
    ({"prompt": "@1 runs"}, "prompt"),
    ({"prompt": "@video_file_2"}, "prompt"),
    ({"model": "seedance-9"}, "model"),
    ({"model": ""}, "model"),
    ({"model": 7}, "model"),
    ({"duration": 0}, "duration"),
    ({"duration": -4}, "duration"),
    ({"duration": 10**30}, "duration"),
    ({"duration": 4.5}, "duration"),
    ({"duration": True}, "duration"),
    ({"duration": "four"}, "duration"),
    ({"ratio": "9:17"}, "ratio"),
    ({"resolution": "8k"}, "resolution"),
    ({"function_mode": "magic"}, "function_mode"),
    ({"function_mode": "first_frame"}, "files"),
    ({"priority": 10}, "priority"),
    ({"priority": -1}, "priority"),
    ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
    ({"metadata": {"k": "v" * 513}}, "metadata.k"),
    ({"metadata": {"k": 1}}, "metadata.k"),
    ({"metadata": ["k"]}, "metadata"),
    ({"files": [7]}, "files.0"),
    ({"files": [{}]}, "files.0"),
    ({"files": [{"data": B64, "url": URL}]}, "files.0"),
    ({"files": [{"image_url": URL}]}, "files.0.image_url"),
    ({"files": [{"data": URL}]}, "files.0.data"),
    ({"files": [{"url": None}]}, "files.0"),
    ({"files": [{"url": ""}]}, "files.0.url"),
    ({"files": [{"url": "ftp://files.example/a.png"}]}, "files.0.url"),
    ({"files": [{"url": "https://me:SECRET@files.example/"}]}, "files.0.url"),
    ({"files": [{"url": "http://127.1/a.png"}]}, "files.0.url"),
    ({"files": [{"url": "https://①②⑦.0.0.1/"}]}, "files.0.url"),
    ({"files": [{"url": "https://files.example/" + "x" * 4096}]}, "files.0.url"),
    ({"files": [{"url": URL + "\n"}]}, "files.0.url"),
    ({"files": [{"url": URL}, "data:image/png;base64,AA=="]}, "files.1.url"),
    ({"files": [URL] * 51}, "files"),
    ({"files": [{"url": URL}], "prompt": "@2"}, "prompt"),
    ({"files": [{"url": URL}], "prompt": "@图2"}, "prompt"),
    ({"files": [{"url": URL}], "prompt": "@video_file_1"}, "prompt"),
    ({"files": [{"url": URL, "mime_type": "audio/wav"}]}, "files"),
    ({"files": [{"data": "not base64!"}]}, "files.0.data"),
    ({"files": [{"data": "data:image/png,abc"}]}, "files.0.data"),
    ({"files": [{"data": ""}]}, "files.0"),
    ({"files": [{"data": B64}]}, "files.0"),
    ({"files": [{"filename": "a.png"}]}, "files.0"),
    ({"files": "a.png"}, "files"),
    ({"file_paths": ["file:///etc/passwd"]}, "file_paths.0"),
    ({"filePaths": [URL, "a.png"]}, "filePaths.1"),
    ({"filePaths": URL}, "filePaths"),
    ({"seeds": 1}, "seeds"),
    ({"webhook_url": "ftp://files.example/"}, "webhook_url"),
]


async def test_each_bad_field_is_refused_by_name_and_leaves_no_blob(gateway, scheduler):
    found = {}
    for fields, field in BAD_FIELDS:
        body = {"prompt": "a fox", **fields}
        answer = await gateway.http.post(TASKS, json=body)
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "errors", "request_id"} <= set(
            problem
        )
        assert problem["request_id"] == answer.headers["x-request-id"]
        first = problem["errors"][0] if problem["errors"] else {}
        found[str(fields)[:60]] = (answer.status_code, first.get("field"))
        expected_pointer = "/" + field.replace(".", "/")
        assert first.get("pointer") == expected_pointer, problem

    assert found == {str(f)[:60]: (422, field) for f, field in BAD_FIELDS}
    assert gateway.files() == []
    assert scheduler.created == []


async def test_a_refused_url_is_not_repeated(gateway):
    url = "https://me:SECRET@files.example/?sig=SECRET"
    answer = await gateway.http.post(TASKS, json={"prompt": "x", "files": [url]})

    assert "must not hold a user name or password" in answer.json()["detail"]
    assert "SECRET" not in answer.text


BAD_BODIES = [
    (b"{", "application/json", 400),
    (b'{"prompt": "\\ud800"}', "application/json", 400),
    (b"\xff\xfe", "application/json", 400),
    (b"[" * 100_000, "application/json", 400),
    (b"[]", "application/json", 422),
    (b"prompt=fox", "application/x-www-form-urlencoded", 415),
    (b"{}", "text/plain", 415),
    (b"{}", "", 415),
    (b"", "multipart/form-data", 400),
    (b"--x\r\n", "multipart/form-data; boundary=x", 400),
    (b"nonsense", "multipart/form-data; boundary=x", 400),
    (b"--x--\r\n", "multipart/form-data; boundary=x", 422),
    (b"--" + b"x" * 300 + b"\r\n", "multipart/form-data; boundary=" + "x" * 300, 400),
    (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nabc',
        "multipart/form-data; boundary=x",
        400,
    ),
    (
        b"--x\r\nContent-Disposition: attachment\r\n\r\nabc\r\n--x--\r\n",
        "multipart/form-data; boundary=x",
        400,
    ),
]


async def test_a_body_that_cannot_be_read_is_a_problem_and_leaves_no_blob(gateway):
    for body, kind, status in BAD_BODIES:
        answer = await gateway.http.post(
            TASKS, content=body, headers={"content-type": kind}
        )
        assert answer.status_code == status, (body[:40], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert gateway.files() == []


FORMS = [
    ([("prompt", (None, "a")), ("prompt", (None, "b"))], "prompt"),
    ([("prompt", (None, "a")), ("prompt2", (None, "b"))], "prompt2"),
    ([("prompt", ("a.txt", b"a"))], "prompt"),
    ([("image", ("a.png", b"a"))], "image"),
    ([("prompt", (None, "a")), ("files", (None, "file:///a"))], "files.0"),
    ([("prompt", (None, "a")), ("files", (None, ""))], "files.0"),
    ([("prompt", (None, "a")), ("file_paths", (None, "a.png"))], "files.0"),
    ([("prompt", (None, "x" * 300_000))], "prompt"),
    ([("prompt", (None, b"\xff"))], "prompt"),
    ([("prompt", (None, "@1")), ("files", ("a.png", b""))], "files.0"),
    ([("prompt", (None, "@1")), ("files", ("a.png", b"no image"))], "files.0"),
    ([("prompt", (None, "a")), ("metadata", (None, "{"))], "metadata"),
    ([("prompt", (None, "a")), ("duration", (None, "x"))], "duration"),
    ([("prompt", (None, "a")), ("files", ("a", b"GIF89a"))], "files.0"),
]


async def test_each_bad_form_names_its_part_and_leaves_no_blob(gateway):
    for parts, field in FORMS:
        answer = await gateway.http.post(TASKS, files=parts)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] == field
    assert gateway.files() == []


async def test_a_json_body_ends_at_32_mib_and_says_to_send_a_form(gateway):
    async def endless():
        for _ in range(40):
            yield b'"' + b"x" * MIB

    declared = await gateway.http.post(
        TASKS,
        content=b"x" * (32 * MIB + 1),
        headers={"content-type": "application/json"},
    )
    chunked = await gateway.http.post(
        TASKS, content=endless(), headers={"content-type": "application/json"}
    )

    for answer in (declared, chunked):
        assert answer.status_code == 413
        assert answer.json()["type"] == "too_large"
        assert "as a form" in answer.json()["detail"]


async def test_a_form_of_40_mib_is_taken_in_with_flat_memory(gateway, tmp_path):
    sound = tmp_path / "rain.wav"
    write_wav(sound, 40 * MIB)
    tracemalloc.start()
    with sound.open("rb") as file:
        answer = await gateway.http.post(
            TASKS,
            data={"prompt": "@1 with @2"},
            files=[("files", ("fox.bmp", bmp())), ("files", ("rain.wav", file))],
        )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert answer.status_code == 201, answer.text
    assert answer.json()["task"]["files"][1]["size"] == sound.stat().st_size
    assert peak < 10 * MIB


def write_wav(path, size):
    """Write 14 s of silence, as large as sound can be: 8 channels, 32 bit, 96 kHz."""
    channels, rate, width = 8, 96_000, 4
    form = struct.pack(
        "<HHIIHH", 1, channels, rate, rate * channels * width, channels * width, 32
    )
    head = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVE"
    with path.open("wb") as file:
        file.write(head + b"fmt " + struct.pack("<I", len(form)) + form)
        file.write(b"data" + struct.pack("<I", size))
        file.truncate(44 + size)


def bmp():
    """Make the smallest picture there is."""
    info = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + info + b"\0\0\xff\0"


async def test_a_client_that_hangs_up_within_a_form_leaves_no_blob(
    gateway, until, caplog
):
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.app.port)
    head = (
        f"POST {TASKS} HTTP/1.1\r\nHost: 127.0.0.1:{gateway.app.port}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000000\r\n"
        '\r\n--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    )
    writer.write(head.encode() + b"a" * MIB)
    await until(gateway.files)
    writer.close()

    await until(lambda: not gateway.files())
    assert "a request failed" not in caplog.text


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    name=st.text(max_size=300),
    prompt=st.text(max_size=50),
    duration=st.one_of(st.integers(), st.floats(), st.text(max_size=5), st.none()),
    extra=st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=2),
)
def test_whatever_stands_in_a_wish_it_is_read_or_refused_by_name(
    name, prompt, duration, extra
):
    from pydantic import ValidationError

    from gateway_http import intake, wish
    from gateway_http.problems import from_validation, problem_response

    body = json.dumps({"prompt": prompt, "duration": duration, **extra}).encode()
    try:
        found = wish.from_json(body)
    except ValidationError as error:
        problem = from_validation(error.errors(include_input=False))
        assert problem.status in {400, 422}
        json.loads(problem_response(problem, "r").body)
    else:
        assert found.prompt.strip()
    kept = intake._name(name)
    assert len(kept) <= 200
    assert kept.isprintable()
    assert not {"/", "\\"} & set(kept)


async def test_a_name_from_a_stranger_s_disk_comes_back_harmless(gateway):
    picture = bmp()
    names = ["a/b/c.png", "C:\\fox.png", "\u202egnp.exe", 'a"b.png', "fuchs-狐狸.png"]
    answer = await gateway.http.post(
        TASKS,
        data={"prompt": "foxes"},
        files=[("files", (name, picture)) for name in names],
    )
    assert answer.status_code == 201, answer.text
    kept = [f["name"] for f in answer.json()["task"]["files"]]
    assert kept[:3] == ["c.png", "fox.png", "gnp.exe"]
    assert kept[4] == names[4]
