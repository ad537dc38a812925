"""A machine whose clock is wrong goes by the site's."""

import time
from datetime import UTC, datetime
from email.utils import formatdate
from uuid import uuid4

import pytest

from asgi_support import serving
from jimeng import Account, Jimeng, Refused, Upstream, draft, fit
from jimeng.clock import APART_SECONDS, SiteClock
from simulator import DEMO_SESSIONS, Settings, create_app
from simulator.world import World

HOUR = 3600.0


@pytest.fixture
def ahead():
    """Give a clock that is an hour fast."""
    return SiteClock(lambda: time.time() + HOUR)


def test_it_is_put_right_and_back_again():
    now = [1000.0 + HOUR]
    clock = SiteClock(lambda: now[0])

    assert clock.heard(formatdate(1000.0))
    assert clock() == 1000.0
    assert not clock.heard(formatdate(1000.0))

    now[0] = 1005.0  # somebody has set it
    assert clock.heard(formatdate(1005.0))
    assert clock() == 1005.0


@pytest.mark.parametrize("date", ["", "yesterday", formatdate(1000.0 + APART_SECONDS)])
def test_what_tells_nothing_changes_nothing(date):
    clock = SiteClock(lambda: 1000.0)
    assert not clock.heard(date)
    assert clock() == 1000.0


@pytest.fixture
async def client(tmp_path, ahead):
    settings = Settings(data=tmp_path, renders=0)
    account = Account.parse(DEMO_SESSIONS[0])
    async with (
        serving(create_app(settings, World(settings))) as origin,
        Jimeng(account, Upstream(origin), clock=ahead) as client,
    ):
        yield client


async def test_a_read_that_was_signed_at_the_wrong_time_is_asked_again(client, ahead):
    assert (await client.credits()).total == 10_000
    assert ahead() == pytest.approx(time.time(), abs=5)


async def test_a_submit_is_sent_once_and_the_next_one_is_right(client):
    job = fit(prompt="a cat", model="jimeng-video-3.0")

    def submission():
        return draft(
            job,
            (),
            submit_id=str(uuid4()),
            account=client.account,
            now=datetime.now(UTC),
            ids=lambda: str(uuid4()),
        )

    with pytest.raises(Refused) as no:
        await client.submit(submission())
    assert no.value.code == "1014"
    assert (await client.submit(submission())).history_id
