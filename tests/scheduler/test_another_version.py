"""What another version of the scheduler left in its rows."""

from datetime import UTC, datetime

import pytest

from contracts.requests import ReadTask, RequestRefusedError
from contracts.tasks import CreateTask, Job
from scheduler.app import create_app
from scheduler.settings import SchedulerSettings
from workers_support import read_settings, running


@pytest.fixture
async def hands(nats, make_bus, tmp_path):
    """Give a bus to speak to a running scheduler."""
    await nats.provision()
    hands = make_bus("hands")
    await hands.start()
    async with running(create_app(read_settings(SchedulerSettings, nats, tmp_path))):
        yield hands


async def test_a_task_of_a_model_that_is_gone_holds_up_no_other(hands, until, caplog):
    for task, model in (("t1", "gone"), ("t2", "jimeng-video-3.0")):
        job = Job(model=model, prompt="a fox", duration=5, ratio="16:9")
        create = CreateTask(task=task, job=job, created_at=datetime.now(UTC))
        await hands.send(create, task)

    async def stages():
        try:
            return [(await hands.ask(ReadTask(task=t))).stage for t in ("t1", "t2")]
        except RequestRefusedError:  # not there yet
            return []

    async def looked_at():
        return await stages() == ["waiting", "no_session"]

    await until(looked_at)
    assert "t1" in {getattr(r, "task", "") for r in caplog.records}
