"""One verb for many tasks: counted first, in pieces, and safe to repeat."""

from contracts.requests import RetryTask
from gateway_http import batches


async def ask(gateway, verb, **body):
    answer = await gateway.http.post(f"/api/v1/tasks/{verb}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_dry_run_counts_and_changes_nothing(gateway, scheduler, tasks):
    tasks(3, "queued", "q")
    tasks(2, "failed", "f")
    told = await ask(gateway, "cancel", all=True, dry_run=True)

    assert (told["dry_run"], told["matched"], told["done"]) == (True, 3, 0)
    assert (await ask(gateway, "retry", all=True, dry_run=True))["matched"] == 2
    assert {t.status for t in scheduler.tasks.values()} == {"queued", "failed"}


async def test_what_fits_is_cancelled_and_the_same_again_finds_nothing(
    gateway, scheduler, tasks
):
    tasks(batches.PIECE + 5, "queued", "q")
    tasks(2, "polling", "p")
    first = await ask(gateway, "cancel", status="queued")
    again = await ask(gateway, "cancel", status=["queued"])

    assert (first["matched"], first["done"]) == (batches.PIECE + 5,) * 2
    assert (first["failed"], first["next_cursor"]) == (0, None)
    assert (again["matched"], again["done"]) == (0, 0)
    left = [t.id for t in scheduler.tasks.values() if t.status == "polling"]
    assert left == ["p000", "p001"]


async def test_a_piece_ends_at_its_limit_and_the_next_goes_on(gateway, tasks):
    tasks(7, "queued", "q")
    first = await ask(gateway, "cancel", all=True, limit=3)
    second = await ask(
        gateway, "cancel", all=True, limit=3, cursor=first["next_cursor"]
    )
    assert (first["matched"], first["done"], second["done"]) == (7, 3, 3)
    assert first["task_ids"] == ["q000", "q001", "q002"]
    assert second["task_ids"] == ["q003", "q004", "q005"]


async def test_failed_tasks_are_made_anew_once_however_often_it_is_asked(
    gateway, scheduler, tasks
):
    tasks(3, "failed", "f")
    tasks(1, "cancelled", "c")
    first = await ask(gateway, "retry", all=True)
    again = await ask(gateway, "retry", all=True)

    assert (first["matched"], first["done"], again["matched"]) == (3, 3, 0)
    assert {scheduler.tasks[t].retry_of for t in first["task_ids"]} == {
        "f000",
        "f001",
        "f002",
    }
    assert all(r.first for r in scheduler.asked if isinstance(r, RetryTask))
    cancelled = await ask(gateway, "retry", status="cancelled", again=True)
    assert cancelled["done"] == 1
    assert scheduler.asked[-1].again


async def test_who_was_quicker_is_no_failure_and_a_no_is_told(
    gateway, scheduler, tasks
):
    tasks(4, "queued", "q")

    def meanwhile():  # once they were found
        scheduler.change("q001", status="succeeded")
        del scheduler.tasks["q002"]
        scheduler.refused["q003"] = 507, "storage-full"

    scheduler.on_listed = meanwhile
    told = await ask(gateway, "cancel", all=True)

    assert (told["done"], told["skipped"], told["failed"]) == (1, 2, 1)
    [failure] = told["failures"]
    assert (failure["task_id"], failure["type"]) == ("q003", "storage_full")
    assert failure["status"] == "queued"


async def test_a_batch_must_say_what_it_is_about(gateway, tasks):
    tasks(1, "queued", "q")
    for verb, body, field in (
        ("cancel", {}, ""),
        ("cancel", {"status": []}, ""),
        ("cancel", {"stauts": "queued"}, "stauts"),
        ("cancel", {"status": "succeeded"}, "status"),
        ("retry", {"status": ["failed", "queued"]}, "status"),
        ("retry", {"all": "true"}, "all"),
        ("cancel", {"all": True, "limit": 0}, "limit"),
        ("cancel", {"all": True, "limit": 1001}, "limit"),
        ("cancel", {"all": True, "again": True}, "again"),
        ("cancel", {"created_before": "yesterday"}, "created_before"),
    ):
        answer = await gateway.http.post(f"/api/v1/tasks/{verb}", json=body)
        assert answer.status_code == 422, (verb, body)
        assert field in {e["field"] for e in answer.json()["errors"]}, (verb, body)


async def test_a_filter_that_says_no_is_a_filter(gateway, scheduler, tasks):
    tasks(1, "failed", "f")
    assert (await ask(gateway, "retry", retried=False))["done"] == 1


async def test_without_a_scheduler_nothing_is_done_and_that_is_said(
    nats, all_beat, run_gateway
):
    await nats.provision()
    await all_beat()
    async with run_gateway() as gateway:
        answer = await gateway.http.post("/api/v1/tasks/cancel", json={"all": True})

    assert answer.status_code == 503
