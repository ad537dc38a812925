"""Ends tasks of a stand-in scheduler as the site and the services behind would."""

import pytest

from contracts.tasks import TaskChanged

FILM = bytes(range(256)) * 5_000  # more than one chunk, and no multiple of three


class Site:
    """Changes tasks, and tells of it."""

    def __init__(self, gateway, scheduler):
        self.gateway = gateway
        self.scheduler = scheduler

    async def change(self, task, **fields):
        revision = self.scheduler.tasks[task].revision + 1
        changed = self.scheduler.change(task, revision=revision, **fields)
        told = changed.model_dump(include=set(TaskChanged.model_fields) - {"job"})
        what = changed.status if "status" in fields else "progressed"
        await self.scheduler.bus.emit(TaskChanged(task=task, what=what, **told))

    async def finish(self, task, *others):
        results = []
        for index, mime in enumerate(("video/mp4", *others)):
            found = self.gateway.store(f"{task}/result-{index}", FILM)
            update = {"index": index, "mime": mime}
            results.append(found.model_copy(update=update))
        given = {"status": "succeeded", "stage": None, "results": tuple(results)}
        await self.change(task, **given)

    async def fail(self, task, code, message="the site refused", upstream="2038"):
        await self.change(
            task,
            status="failed",
            stage=None,
            error_code=code,
            error_kind=code.kind,
            error_message=message,
            upstream_code=upstream,
        )


@pytest.fixture
def site(gateway, scheduler):
    """Give what ends tasks."""
    return Site(gateway, scheduler)
