"""Links that need no key: they open one file, for a while, and nothing else."""

import string
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.message import now
from contracts.requests import Task
from contracts.values import Job
from gateway_http.access import ANYBODY, Caller, may_or_signed
from gateway_http.links import LinkKeys, Links, Target, signed
from gateway_http.problems import Problem
from gateway_http.views import task_view
from runtime.sealing import derived

ROOT = "0123456789abcdef0123456789abcdef"
KEYS = LinkKeys(ROOT)
MOMENT = datetime(2026, 11, 21, 4, tzinfo=UTC)
FILM, PICTURE = b"film" * 100, b"picture"


@pytest.fixture
async def made(gateway, scheduler):
    """Store two results of a task, the first with a poster."""
    first = gateway.store("t1/result-0.mp4", FILM)
    gateway.store("t1/poster.jpg", PICTURE)
    second = gateway.store("t1/result-1.mp4", b"other")
    scheduler.tasks["t1"] = Task(
        id="t1",
        status="succeeded",
        job=Job(model="m", prompt="p", duration=4, ratio="9:16"),
        revision=1,
        created_at=now(),
        updated_at=now(),
        results=(
            first.model_copy(update={"poster": "t1/poster.jpg"}),
            second.model_copy(update={"index": 1}),
        ),
    )


async def make(gateway, **wanted):
    return await gateway.http.post("/api/v1/tasks/t1/links", json=wanted)


def query_of(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def test_each_result_has_a_route_and_the_video_is_the_first(gateway, made):
    for path, content in {
        "video": FILM,
        "results/0": FILM,
        "results/1": b"other",
        "video?index=1": b"other",
        "poster": PICTURE,
    }.items():
        answer = await gateway.http.get(f"/api/v1/tasks/t1/{path}")
        assert (answer.status_code, answer.content) == (200, content), path
        part = await gateway.http.get(
            f"/api/v1/tasks/t1/{path}", headers={"Range": "bytes=1-2"}
        )
        assert (part.status_code, part.content) == (206, content[1:3])
        head = await gateway.http.head(f"/api/v1/tasks/t1/{path}")
        assert head.headers["etag"] == answer.headers["etag"]
    for wrong, status in {
        "results/2": 404,
        "results/x": 422,
        "results/-1": 422,
    }.items():
        answer = await gateway.http.get(f"/api/v1/tasks/t1/{wrong}")
        assert answer.status_code == status


async def test_a_link_opens_its_file_with_range_and_head_and_nothing_else(
    gateway, made
):
    link = (await make(gateway, index=1, expires_in=60)).json()
    answer = await gateway.http.get(link["url"], headers={"Range": "bytes=0-1"})
    assert (answer.status_code, answer.content) == (206, b"ot")
    assert (await gateway.http.head(link["url"])).status_code == 200

    query = urlsplit(link["url"]).query
    for path in ("results/0", "video", "video?index=0", "poster", "poster?index=1"):
        joint = "&" if "?" in path else "?"
        answer = await gateway.http.get(f"/api/v1/tasks/t1/{path}{joint}{query}")
        assert answer.status_code == 403, path
        assert answer.json()["type"] == "link_invalid"
    # The same file by its other route is no other file.
    same = await gateway.http.get(f"/api/v1/tasks/t1/video?index=1&{query}")
    assert same.status_code == 200


async def test_a_link_lives_as_long_as_was_chosen(gateway, made):
    before = now()
    link = (await make(gateway, kind="poster", expires_in=3600)).json()
    until = datetime.fromisoformat(link["expires_at"])

    assert timedelta(0) <= until - before - timedelta(seconds=3599) < timedelta(0, 60)
    assert int(query_of(link["url"])["expires"]) == until.timestamp()
    assert (await gateway.http.get(link["url"])).content == PICTURE


async def test_an_expired_link_is_refused_in_words(gateway, made):
    keys = LinkKeys((gateway.blobs.parent / "secret.key").read_text().strip())
    old = signed(gateway.url, keys, Target("t1"), now() - timedelta(seconds=1))
    answer = await gateway.http.get(old)

    assert answer.status_code == 403
    assert answer.json()["type"] == "link_expired"


async def test_a_link_is_made_only_of_what_is_there(gateway, made, scheduler):
    assert (await make(gateway, index=7)).status_code == 404
    assert (await make(gateway, kind="poster", index=1)).status_code == 404
    for wrong in (
        {"expires_in": 0},
        {"expires_in": 10**9},
        {"expires_in": "60"},
        {"index": True},
        {"kind": "file"},
        {"life": 60},
    ):
        assert (await make(gateway, **wrong)).status_code == 422, wrong
    scheduler.change("t1", status="polling", results=())
    assert (await make(gateway)).status_code == 409


@pytest.fixture
def replica(run_gateway, gateway, tmp_path):
    """Run gateways with folders of their own, over one store and one secret."""

    def run(name):
        store = f"file:{gateway.blobs}"
        folder = tmp_path / name
        return run_gateway(data_dir=folder, storage_url=store, secret_key=ROOT)

    return run


async def test_replicas_with_one_secret_open_each_others_links(
    gateway, made, replica, tmp_path
):
    async with replica("a") as one, replica("b") as two:
        link = (await make(one)).json()["url"]
        assert (await two.http.get(link.replace(one.url, two.url))).content == FILM
        stranger = await gateway.http.get(link.replace(one.url, gateway.url))
    assert stranger.status_code == 403
    assert not (tmp_path / "a" / "secret.key").exists()


def test_where_results_need_a_key_a_task_shows_signed_links_made_anew():
    result = {"key": "t1/r", "mime": "video/mp4", "size": 1, "sha256": "0"}
    task = Task.model_validate(
        {
            "id": "t1",
            "status": "succeeded",
            "job": {"model": "m", "prompt": "p", "duration": 4, "ratio": "9:16"},
            "revision": 1,
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "results": [{"index": 0, "poster": "t1/p", **result}],
        }
    )
    shown = task_view(task, Links("http://x", KEYS, lambda: MOMENT))
    later = task_view(task, Links("http://x", KEYS, lambda: MOMENT + timedelta(1)))

    assert shown.video_url.startswith("http://x/api/v1/tasks/t1/video?expires=")
    query = query_of(shown.video_url)
    assert int(query["expires"]) == (MOMENT + timedelta(days=1)).timestamp()
    KEYS.check(Target("t1"), query, MOMENT + timedelta(hours=23))
    KEYS.check(Target("t1", 0, "poster"), query_of(shown.poster_url), MOMENT)
    assert later.video_url != shown.video_url
    plain = task_view(task, Links("http://x"))
    assert plain.video_url == "http://x/api/v1/tasks/t1/video"


targets = st.builds(
    Target,
    st.text(string.printable, min_size=1, max_size=8),
    st.integers(0, 99),
    st.sampled_from(["video", "poster"]),
)


@given(one=targets, other=targets, seconds=st.integers(1, 10**6))
def test_a_signature_opens_exactly_what_it_was_made_for(one, other, seconds):
    expires = int(MOMENT.timestamp()) + seconds
    query = {"expires": str(expires), "signature": KEYS.sign(one, expires)}
    KEYS.check(one, query, MOMENT)
    changed = [(other, query)] if other != one else []
    changed += [(one, query | {"expires": str(expires + 1)})]
    changed += [(one, query | {"signature": query["signature"][:-1]})]
    for target, given_ in changed:
        with pytest.raises(Problem):
            KEYS.check(target, given_, MOMENT)
    with pytest.raises(Problem):
        KEYS.check(one, query, MOMENT + timedelta(seconds=seconds))


@given(expires=st.text(max_size=20), signature=st.text(max_size=60))
def test_no_hostile_query_opens_or_breaks_anything(expires, signature):
    with pytest.raises(Problem):
        KEYS.check(Target("t1"), {"expires": expires, "signature": signature}, MOMENT)


def test_a_key_is_for_links_alone_and_an_earlier_root_still_opens():
    assert len({derived(ROOT, each) for each in ("links", "credentials")}) == 2
    expires = int(MOMENT.timestamp()) + 60
    query = {"expires": str(expires), "signature": KEYS.sign(Target("t"), expires)}
    LinkKeys("another root", ROOT).check(Target("t"), query, MOMENT)
    with pytest.raises(Problem):
        LinkKeys("another root").check(Target("t"), query, MOMENT)


def test_a_request_with_a_signature_is_nobody_until_the_route_has_looked():
    class Asked:
        def __init__(self, caller, **query):
            self.scope, self.query_params = {"caller": caller}, query

    check = may_or_signed("task:read")
    assert check(Asked(Caller(), signature="x")) is None
    assert check(Asked(ANYBODY)) is ANYBODY
    with pytest.raises(Problem):
        check(Asked(Caller()))
