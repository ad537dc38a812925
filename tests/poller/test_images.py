"""Image jobs among those that are followed."""

import pytest

from contracts.tasks import Generated, PollSession
from contracts.workers import DueAttempt, DueAttempts
from poller.app import create_app
from poller.settings import Settings
from workers_support import credential_of, read_settings, running

SHAPE = {"model": "jimeng-5.0", "resolution": "1k", "ratio": "16:9"}


@pytest.fixture
async def poller(nats, scheduler, site, tmp_path):
    pace = {"poll_interval_secs": 0.1, "poll_min_secs": 0.05}
    settings = read_settings(
        Settings, nats, tmp_path, jimeng_upstream=site.origin, **pace
    )
    async with running(create_app(settings)) as app:
        yield app


def due_once(*attempts):
    """Give these attempts to the first who asks, and nothing afterwards."""
    left = [DueAttempts(attempts=attempts, credential=credential_of("one"))]
    return lambda _: left.pop() if left else DueAttempts()


async def test_an_image_job_is_told_with_a_link_to_each_picture(
    poller, scheduler, site
):
    film, pictures = await site.submit(), await site.submit(**SHAPE)
    await site.finish(film)
    await site.finish(pictures)
    scheduler.due = due_once(
        DueAttempt(task="film", attempt=1, submit_id=film, round=1),
        DueAttempt(
            task="pictures", attempt=1, submit_id=pictures, round=1, kind="image"
        ),
    )
    await scheduler.bus.send(PollSession(session="one"), "1")
    facts = {
        fact.task: fact for fact in [await scheduler.next(), await scheduler.next()]
    }
    told = facts["pictures"]
    assert isinstance(told, Generated)
    assert [(i.width, i.height) for i in told.items] == [(1024, 576)] * 4
    assert len({url for item in told.items for url in item.urls}) == 4
    assert isinstance(facts["film"], Generated)
    assert site.seen("best_url") == 1  # the film's


async def test_pictures_the_check_refused_are_not_told(poller, scheduler, site):
    submit_id = await site.submit("[[pictures:3]] a cat", **SHAPE)
    await site.finish(submit_id)
    due = DueAttempt(task="t", attempt=1, submit_id=submit_id, round=1, kind="image")
    scheduler.due = due_once(due)
    await scheduler.bus.send(PollSession(session="one"), "1")
    assert len((await scheduler.next(Generated)).items) == 3
