"""The life of an image task, told by a client: from words and pictures to pictures.

Every service runs as a process of its own; only the site is simulated.
"""

import io

import httpx
import pytest
from PIL import Image

from jimeng_client import Client
from support import PLAIN, http

pytestmark = pytest.mark.slow


@pytest.fixture
def gateway(deployment):
    with Client(deployment.url) as client:
        yield client


@pytest.fixture
def site(deployment):
    with httpx.Client(
        base_url=deployment.site, verify=PLAIN, trust_env=False
    ) as client:
        yield client


def ended(gateway, task):
    *_, last = gateway.follow(task)
    assert last.status == "succeeded", last
    return last


def order_of(site, task):
    """What the site took it for."""
    jobs = site.get("/_sim/jobs").json()
    return next(job["order"] for job in jobs if job["id"] == task.history_record_id)


def test_four_pictures_from_words(deployment, gateway, site, tmp_path):
    shape = {"model": "jimeng-5.0", "resolution": "1k", "ratio": "16:9"}
    task = ended(gateway, gateway.create("一只狐狸 in the snow", **shape))
    assert (task.kind, task.duration, task.video_url) == ("image", None, None)
    assert len({each.sha256 for each in task.results}) == 4
    for each in task.results:
        path = gateway.download(task, tmp_path / f"{each.index}.jpg", each.index)
        with Image.open(path) as picture:
            picture.load()
            assert picture.size == (1024, 576) == (each.width, each.height)
    order = order_of(site, task)
    assert (order["kind"], order["mode"]) == ("image", "generate")
    submits = site.get("/_sim/requests", params={"kind": "submit"}).json()
    assert [each["verdict"] for each in submits] == ["0"]


def test_pictures_from_a_picture_of_which_the_site_refuses_one(gateway, site, tmp_path):
    body = io.BytesIO()
    Image.new("RGB", (640, 640), "orange").save(body, "PNG")
    source = tmp_path / "fox.png"
    source.write_bytes(body.getvalue())
    shape = {"model": "jimeng-4.5", "resolution": "1k", "files": [source]}
    task = ended(gateway, gateway.create("[[pictures:3]] in the snow", **shape))
    assert [each.index for each in task.results] == [0, 1, 2]
    order = order_of(site, task)
    assert (order["mode"], len(order["references"])) == ("blend", 1)


def test_one_request_waits_for_its_pictures(deployment):
    sent = {"prompt": "a fox in the rain", "size": "1024x576", "n": 2}
    url = f"{deployment.url}/v1/images/generations"
    answer = http.post(url, json=sent, timeout=60)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert [each["revised_prompt"] for each in data] == ["a fox in the rain"] * 2
    for each in data:
        picture = http.get(each["url"])
        assert picture.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(picture.content)) as found:
            assert found.size == (1024, 576)


def test_a_prompt_the_site_refuses_is_told_in_one_answer(deployment):
    sent = {"prompt": "[[fail:2038]] x", "size": "1024x576"}
    url = f"{deployment.url}/v1/images/generations"
    answer = http.post(url, json=sent, timeout=60)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["code"] == "content_policy_violation"
    assert error["upstream_code"] == "2038"
