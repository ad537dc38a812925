"""The downloader against the simulated site and against a host that breaks off."""

import asyncio
import io
import logging
import sys
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from asgi_support import serving
from blobs import open_store
from contracts.errors import ErrorCode
from contracts.tasks import Stored, StoreFailed, StoreResults
from contracts.values import Item
from downloader.app import create_app
from downloader.settings import Settings
from jimeng import Jimeng, Upstream
from runtime.settings import load
from workers_support import account_of, read_settings, running

TASK = "0190a000"


@pytest.fixture
def store(tmp_path):
    return open_store(f"file:{tmp_path / 'data' / 'blobs'}")


def stored_names(store):
    folder = store.path(f"{TASK}/x").parent
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


async def bytes_of(store, key):
    return b"".join([chunk async for chunk in store.read(key)])


@asynccontextmanager
async def downloading(nats, origin, folder, **more):
    settings = read_settings(Settings, nats, folder, jimeng_upstream=origin, **more)
    async with running(create_app(settings)) as app:
        yield app


# against the simulated site


class Finished:
    """A video the site has made, and its links as the poller tells them."""

    def __init__(self, site, submit_id, links):
        self.site = site
        self.submit_id = submit_id
        self.links = links

    def command(self, *urls):
        item = Item(id=self.id, urls=urls or tuple(self.links))
        return StoreResults(
            task=TASK,
            attempt=1,
            session="one",
            submit_id=self.submit_id,
            items=(item,),
        )

    @property
    def job(self):
        return next(iter(self.site.world.jobs.values()))

    @property
    def best(self):
        return self.site.world.studio.path(self.job, "best.mp4").read_bytes()

    def asked(self):
        """The Range headers of the downloads so far."""
        notes = self.site.world.traffic.recent
        return [n.detail.get("range") for n in notes if n.kind == "download"]


@pytest.fixture
async def finished(site):
    submit_id = await site.submit()
    await site.finish(submit_id)
    async with Jimeng(account_of("one"), Upstream(site.origin)) as client:
        item = (await client.history([submit_id]))[submit_id].outcome.items[0]
        best = await client.best_url(item.id)
    found = Finished(site, submit_id, [best, *(link.url for link in item.links)])
    found.id = item.id
    return found


@pytest.fixture
async def downloader(nats, scheduler, site, tmp_path, request):
    settings = getattr(request, "param", {})
    async with downloading(nats, site.origin, tmp_path, **settings) as app:
        yield app


async def test_the_best_link_is_stored_and_described(
    downloader, scheduler, finished, store
):
    event = await scheduler.wants(finished.command())
    assert isinstance(event, Stored)
    (result,) = event.results
    assert result.key == f"{TASK}/result-0.mp4"
    assert result.sha256 == sha256(finished.best).hexdigest()
    assert (result.mime, result.size) == ("video/mp4", len(finished.best))
    assert result.width
    assert result.height
    assert result.duration_ms
    assert await bytes_of(store, result.key) == finished.best
    assert stored_names(store) == ["poster-0.jpg", "result-0.mp4"]
    assert result.poster == f"{TASK}/poster-0.jpg"
    with Image.open(store.path(result.poster)) as picture:
        assert picture.format == "JPEG"


@pytest.mark.parametrize(
    "downloader",
    [{"ffmpeg_path": "/nowhere/ffmpeg"}, {"ffmpeg_path": "/bin/false"}],
    indirect=True,
)
async def test_without_a_poster_the_film_is_stored_nevertheless(
    downloader, scheduler, finished, store, caplog
):
    event = await scheduler.wants(finished.command())
    assert isinstance(event, Stored)
    assert event.results[0].poster is None
    assert stored_names(store) == ["result-0.mp4"]
    assert "no poster" in caplog.text


async def test_a_poster_that_is_missing_is_made_without_fetching_again(
    downloader, scheduler, finished, store
):
    first = await scheduler.wants(finished.command())
    store.path(first.results[0].poster).unlink()
    again = await scheduler.wants(finished.command())
    assert again.results == first.results
    assert await store.exists(again.results[0].poster)
    assert finished.site.seen("download") == 1


async def test_what_is_stored_is_not_fetched_twice(downloader, scheduler, finished):
    first = await scheduler.wants(finished.command())
    again = await scheduler.wants(finished.command())
    assert again.results == first.results
    assert finished.site.seen("download") == 1


async def test_a_stored_file_that_is_damaged_is_fetched_again(
    downloader, scheduler, finished, store
):
    first = await scheduler.wants(finished.command())
    store.path(first.results[0].key).write_bytes(finished.best[:1000])
    again = await scheduler.wants(finished.command())
    assert again.results == first.results
    assert await bytes_of(store, first.results[0].key) == finished.best


async def test_a_transfer_that_was_cut_goes_on_where_it_stopped(
    downloader, scheduler, finished, store
):
    finished.site.fault("download", "truncated", times=1)
    event = await scheduler.wants(finished.command())
    assert await bytes_of(store, event.results[0].key) == finished.best
    first, second = finished.asked()
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) < len(finished.best)


async def test_an_expired_link_is_renewed(downloader, scheduler, finished, store):
    finished.site.world.advance(4000)
    event = await scheduler.wants(finished.command())
    assert isinstance(event, Stored)
    assert await bytes_of(store, event.results[0].key) == finished.best
    assert finished.site.seen("download") == 2


async def test_links_that_are_all_dead_are_renewed(downloader, scheduler, finished):
    dead = f"{finished.site.origin}/cdn/none/best.mp4"
    event = await scheduler.wants(finished.command(dead, dead + "?again"))
    assert isinstance(event, Stored)
    assert finished.site.seen("download") == 3


async def test_what_no_item_was_kept_of_is_asked_for(
    downloader, scheduler, finished, store
):
    command = finished.command().model_copy(update={"items": ()})
    event = await scheduler.wants(command)
    (result,) = event.results
    assert await bytes_of(store, result.key) == finished.best


async def test_what_no_item_was_kept_of_and_the_site_never_made_fails(
    downloader, scheduler, site
):
    command = StoreResults(
        task=TASK,
        attempt=1,
        session="one",
        submit_id=await site.submit(prompt="[[fail:2038]]"),
        items=(),
    )
    site.world.advance(60)
    event = await scheduler.wants(command)
    assert isinstance(event, StoreFailed)
    assert event.detail == "the site told of no result"


async def test_what_can_never_be_had_fails(downloader, scheduler, finished, store):
    finished.site.fault("download", "html_404")
    event = await scheduler.wants(finished.command())
    assert isinstance(event, StoreFailed)
    assert event.code is ErrorCode.DOWNLOAD_FAILED
    assert "404" in event.detail
    assert stored_names(store) == []
    assert await scheduler.dead() == 0


async def test_a_site_in_trouble_is_tried_again(
    downloader, scheduler, finished, store, caplog
):
    finished.site.fault("download", "html_502", times=3)
    with caplog.at_level(logging.WARNING):
        event = await scheduler.wants(finished.command())
    assert await bytes_of(store, event.results[0].key) == finished.best
    assert any("again in" in record.message for record in caplog.records)


async def test_a_silent_history_is_no_reason_to_give_up(
    downloader, scheduler, finished
):
    finished.site.world.advance(4000)
    finished.site.fault("history", "html_502", times=1)
    assert isinstance(await scheduler.wants(finished.command()), Stored)


# against a host of our own


def pictures(size):
    out = io.BytesIO()
    Image.effect_noise((size, size), 90).save(out, "PNG")
    return out.getvalue()


IMAGE = pictures(900)  # some 700 KB: several chunks


# The job was deleted on the site: there will be no new links.
DELETED = '{"ret":"0","data":{"s":{"status":100,"submit_id":"s"}}}'


class Host:
    """Serves one file, in ways a test chooses; history is empty."""

    def __init__(self):
        self.seen = []
        self.history = '{"ret":"0","data":{}}'
        self.answers = []

    def app(self):
        return Starlette(
            routes=[
                Route("/f/{name}", self.file),
                Route("/{rest:path}", self.api, methods=["POST"]),
            ]
        )

    async def file(self, request):
        self.seen.append(dict(request.headers))
        answer = self.answers.pop(0) if self.answers else self.whole
        return answer(request)

    async def api(self, request):
        return Response(self.history, media_type="application/json")

    @staticmethod
    def whole(request):
        return Response(IMAGE, headers={"etag": '"1"'})


def partial(start, data=IMAGE, etag='"1"', total=None):
    span = f"bytes {start}-{len(data) - 1}/{total or len(data)}"
    return lambda request: Response(
        data[start:], 206, {"content-range": span, "etag": etag}
    )


def cut_after(size, **headers):
    """Tell the whole length and break off."""

    class Cut(Response):
        async def __call__(self, scope, receive, send):
            length = str(len(IMAGE)).encode()
            told = [(b"content-length", length)]
            told += [(k.encode(), v.encode()) for k, v in headers.items()]
            start = {"type": "http.response.start", "status": 200, "headers": told}
            await send(start)
            body = {"type": "http.response.body", "body": IMAGE[:size]}
            await send(body | {"more_body": True})

    return lambda request: Cut()


@pytest.fixture
async def host():
    host = Host()
    async with serving(host.app()) as host.origin:
        yield host


@pytest.fixture
def wanting(nats, scheduler, host, tmp_path):
    """Ask for links of the host to be stored; return what is said."""

    async def want(*paths, kind="image", **settings):
        urls = tuple(p if "://" in p else f"{host.origin}{p}" for p in paths)
        command = StoreResults(
            task=TASK,
            attempt=1,
            session="one",
            submit_id="s",
            items=(Item(id="1", urls=urls),),
            kind=kind,
        )
        async with downloading(nats, host.origin, tmp_path, **settings):
            return await scheduler.wants(command)

    return want


async def test_a_cut_transfer_is_resumed_with_the_same_bytes_only(wanting, host, store):
    host.answers = [cut_after(300_000, etag='"1"'), partial(300_000)]
    event = await wanting("/f/a")
    assert await bytes_of(store, event.results[0].key) == IMAGE
    assert event.results[0].mime == "image/png"
    assert host.seen[1]["range"] == "bytes=300000-"
    assert host.seen[1]["if-range"] == '"1"'


async def test_other_bytes_than_before_are_taken_from_the_start(wanting, host, store):
    host.answers = [cut_after(300_000, etag='"0"'), partial(300_000)]
    event = await wanting("/f/a")
    assert await bytes_of(store, event.results[0].key) == IMAGE
    assert [h.get("range") for h in host.seen] == [None, "bytes=300000-", None]


async def test_bytes_nobody_can_name_are_taken_from_the_start(wanting, host, store):
    host.answers = [cut_after(300_000)]
    event = await wanting("/f/a")
    assert await bytes_of(store, event.results[0].key) == IMAGE
    assert [h.get("range") for h in host.seen] == [None, None]


async def test_a_transfer_goes_on_after_a_restart_of_the_downloader(
    wanting, host, store
):
    async with store.draft(f"{TASK}/result-0") as draft:
        await draft.restart('"1"')
        await draft.write(IMAGE[:400_000])
    host.answers = [partial(400_000)]
    event = await wanting("/f/a")
    assert event.results[0].sha256 == sha256(IMAGE).hexdigest()
    assert host.seen[0]["range"] == "bytes=400000-"


async def test_a_transfer_that_only_lacked_its_name_is_not_fetched_again(
    wanting, host, store
):
    async with store.draft(f"{TASK}/result-0") as draft:
        await draft.restart('"1"')
        await draft.write(IMAGE)
    span = {"content-range": f"bytes */{len(IMAGE)}"}
    host.answers = [lambda request: Response(b"", 416, span)]
    event = await wanting("/f/a")
    assert event.results[0].sha256 == sha256(IMAGE).hexdigest()
    assert len(host.seen) == 1


async def test_a_file_of_another_size_than_told_is_not_stored(wanting, host, store):
    async with store.draft(f"{TASK}/result-0") as draft:
        await draft.restart('"1"')
        await draft.write(IMAGE[:400_000])
    host.answers = [partial(400_000, total=len(IMAGE) + 7)]
    event = await wanting("/f/a")
    assert event.results[0].size == len(IMAGE)
    assert len(host.seen) == 2  # the second time from the start


async def test_what_is_no_media_file_is_not_stored(wanting, host, store):
    page = Response("<html>come back later</html>", headers={"etag": '"p"'})
    host.answers = [lambda request: page]
    event = await wanting("/f/a", "/f/b")
    assert event.results[0].size == len(IMAGE)  # by the second link


async def test_a_picture_is_no_video(wanting, host, store):
    host.history = DELETED
    event = await wanting("/f/a", kind="video")
    assert isinstance(event, StoreFailed)
    assert stored_names(store) == []


@pytest.mark.parametrize(("misses", "said"), [(2, Stored), (3, StoreFailed)])
async def test_a_result_counts_as_lost_when_it_was_not_there_three_times(
    wanting, host, misses, said
):
    host.history = DELETED
    host.answers = [lambda request: Response("gone", 404)] * misses
    assert isinstance(await wanting("/f/a"), said)
    assert len(host.seen) == 3


async def test_a_result_that_is_too_large_is_not_stored(nats, host, wanting, store):
    host.history = DELETED
    event = await wanting("/f/a", download_max_bytes=100_000)
    assert isinstance(event, StoreFailed)
    assert stored_names(store) == []


async def test_foreign_hosts_are_not_asked(wanting, host, store):
    host.history = DELETED
    event = await wanting("http://127.0.0.1:1/f/a", "http://evil.example/a")
    assert isinstance(event, StoreFailed)
    assert "DOWNLOAD_HOSTS" in event.detail
    assert host.seen == []


async def test_redirects_are_followed_only_where_links_may_lead(wanting, host, store):
    host.answers = [
        lambda request: RedirectResponse("http://127.0.0.1:1/inside"),
        lambda request: RedirectResponse("/f/c"),
    ]
    event = await wanting("/f/a", "/f/b")
    assert isinstance(event, Stored)
    assert len(host.seen) == 3


async def test_results_come_through_the_sessions_proxy(
    wanting, host, scheduler, caplog
):
    async def refusing(reader, writer):
        await reader.readline()
        writer.write(b"HTTP/1.1 502 no\r\ncontent-length: 0\r\n\r\n")
        scheduler.proxy = None  # the session gets another one
        writer.close()

    async with await asyncio.start_server(refusing, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        scheduler.proxy = f"http://127.0.0.1:{port}"
        with caplog.at_level(logging.WARNING):
            event = await wanting("/f/a")
    assert isinstance(event, Stored)
    assert "HTTP 502" in caplog.text or "again in" in caplog.text


async def test_the_sessions_proxy_can_be_left_out(wanting, host, scheduler):
    scheduler.proxy = "http://127.0.0.1:1"
    assert isinstance(await wanting("/f/a", download_proxy=False), Stored)


def test_the_settings_take_hosts_as_a_list(monkeypatch):
    monkeypatch.setenv("DOWNLOAD_HOSTS", "a.example, b.example")
    assert load(Settings, _env_file=None).download_hosts == ("a.example", "b.example")


async def test_without_room_a_result_waits_and_is_not_asked_for(
    wanting, scheduler, host, until, caplog
):
    with caplog.at_level(logging.WARNING):
        asking = asyncio.create_task(wanting("/f/a", min_free_disk="900000TiB"))
        await until(lambda: "results wait for room: the disk has" in caplog.text)
        assert await scheduler.left() == 1
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert (host.seen, await scheduler.dead()) == ([], 0)
    assert scheduler.events.empty()


async def test_what_is_stored_already_is_told_without_room(host, wanting):
    first = await wanting("/f/a")
    again = await wanting("/f/a", min_free_disk="900000TiB")
    assert again.results == first.results
    assert len(host.seen) == 1


async def stored_by_a_process(host, store):
    """Start a process that stores the host's file."""
    script = Path(__file__).with_name("storing_process.py")
    command = (sys.executable, str(script), host.origin, str(store.folder))
    return await asyncio.create_subprocess_exec(*command)


async def test_a_killed_downloader_goes_on_where_it_was(host, store, until):
    large = pictures(1600)
    written = 1024 * 1024

    class Hanging(Response):
        async def __call__(self, scope, receive, send):
            told = {"content-length": str(len(large)), "etag": '"1"'}
            headers = [(k.encode(), v.encode()) for k, v in told.items()]
            head = {"type": "http.response.start", "status": 200, "headers": headers}
            await send(head)
            body = {"type": "http.response.body", "body": large[:1_500_000]}
            await send(body | {"more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass

    draft = store.folder / TASK / ".result-0.draft"
    host.answers = [lambda request: Hanging()]
    process = await stored_by_a_process(host, store)
    await until(lambda: draft.exists() and draft.stat().st_size >= written, 30)
    process.kill()
    await process.wait()
    assert stored_names(store) == [".result-0.draft", ".result-0.tag"]
    kept = draft.stat().st_size

    host.answers = [partial(kept, large)]
    process = await stored_by_a_process(host, store)
    assert await process.wait() == 0
    assert host.seen[1]["range"] == f"bytes={kept}-"
    assert stored_names(store) == ["result-0.png"]
    assert await bytes_of(store, f"{TASK}/result-0.png") == large
