"""Image tasks: each picture is stored for itself, and what can be had is delivered."""

import io
from hashlib import sha256

import pytest
from PIL import Image

from blobs import open_store
from contracts.errors import ErrorCode
from contracts.tasks import Stored, StoreFailed, StoreResults
from contracts.values import Item
from downloader.app import create_app
from downloader.settings import Settings
from jimeng import Jimeng, Upstream
from workers_support import account_of, read_settings, running

TASK = "0190a000"


class Pictures:
    """Four pictures the site has made, and their files there."""

    def __init__(self, site, submit_id, items):
        self.site = site
        self.command = StoreResults(
            task=TASK,
            attempt=1,
            session="one",
            submit_id=submit_id,
            kind="image",
            items=tuple(Item(id=i.id, urls=(i.links[0].url,)) for i in items),
        )

    def at_the_site(self, number):
        (job,) = self.site.world.jobs.values()
        return self.site.world.studio.path(job, f"{number}.jpg")


@pytest.fixture
async def pictures(site):
    shape = {"model": "jimeng-5.0", "resolution": "1k", "ratio": "21:9"}
    submit_id = await site.submit(**shape)
    await site.finish(submit_id)
    async with Jimeng(account_of("one"), Upstream(site.origin)) as client:
        nodes = await client.history([submit_id], images=True)
    return Pictures(site, submit_id, nodes[submit_id].outcome.items)


@pytest.fixture
async def downloader(nats, scheduler, site, tmp_path):
    settings = read_settings(Settings, nats, tmp_path, jimeng_upstream=site.origin)
    async with running(create_app(settings)) as app:
        yield app


@pytest.fixture
def store(tmp_path):
    return open_store(f"file:{tmp_path / 'data' / 'blobs'}")


async def test_all_four_are_stored_with_what_they_are(
    downloader, scheduler, pictures, store
):
    event = await scheduler.wants(pictures.command)
    assert isinstance(event, Stored)
    assert [r.index for r in event.results] == [0, 1, 2, 3]
    for result in event.results:
        data = store.path(result.key).read_bytes()
        assert data == pictures.at_the_site(result.index + 1).read_bytes()
        assert (result.size, result.sha256) == (len(data), sha256(data).hexdigest())
        assert (result.mime, result.key[-4:]) == ("image/jpeg", ".jpg")
        assert (result.width, result.height) == (1195, 512)
        assert result.poster is result.duration_ms is None
    assert pictures.site.seen("best_url") == 0


async def test_a_picture_that_is_cut_off_is_gone_on_with(
    downloader, scheduler, pictures, store
):
    pictures.site.fault("download", "truncated", times=2)
    event = await scheduler.wants(pictures.command)
    assert isinstance(event, Stored)
    for result in event.results:
        with Image.open(store.path(result.key)) as picture:
            picture.load()


async def test_expired_links_of_pictures_are_renewed(downloader, scheduler, pictures):
    pictures.site.world.advance(4000)
    event = await scheduler.wants(pictures.command)
    assert isinstance(event, Stored)
    assert len(event.results) == 4
    assert pictures.site.seen("best_url") == 0


@pytest.mark.parametrize("kind", ["page", "half", "text", "film"])
async def test_what_is_no_picture_is_left_out_and_the_others_come(
    downloader, scheduler, pictures, store, kind
):
    path = pictures.at_the_site(2)
    whole = path.read_bytes()
    path.write_bytes(
        {
            "page": b"<!doctype html><title>404</title>",
            "half": whole[: len(whole) // 2],
            "text": whole[:4] + b"x" * 2000,
            "film": b"\0\0\0\x18ftypmp42" + bytes(500),
        }[kind]
    )
    event = await scheduler.wants(pictures.command)
    assert isinstance(event, Stored)
    assert [r.index for r in event.results] == [0, 1, 2]
    names = [r.key.rpartition("/")[2] for r in event.results]
    assert names == ["result-0.jpg", "result-2.jpg", "result-3.jpg"]
    kept = sorted(each.name for each in store.path(f"{TASK}/x").parent.iterdir())
    assert kept == names
    again = await scheduler.wants(pictures.command)
    assert again.results == event.results


async def test_a_task_none_of_whose_pictures_can_be_had_fails(
    downloader, scheduler, pictures
):
    pictures.site.fault("download", "html_404")
    event = await scheduler.wants(pictures.command)
    assert isinstance(event, StoreFailed)
    assert event.code is ErrorCode.DOWNLOAD_FAILED


async def test_a_picture_of_another_type_is_told_as_what_it_is(
    downloader, scheduler, pictures, store
):
    body = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(body, "WEBP")
    pictures.at_the_site(1).write_bytes(body.getvalue())
    event = await scheduler.wants(pictures.command)
    first = event.results[0]
    assert (first.mime, first.width, first.height) == ("image/webp", 40, 30)
    assert store.path(first.key).read_bytes() == body.getvalue()
