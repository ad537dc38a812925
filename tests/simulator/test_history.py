"""Polling: from nothing through the queue to the items, and every way to fail."""

import pytest

from simulator import DEMO_SESSIONS, Knobs, Settings


async def submitted(visitor, kit, prompt="a cat"):
    body = kit.body_of(kit.text_input(prompt))
    answer = await visitor.submit(body)
    return body["submit_id"], answer["data"]["aigc_data"]["history_record_id"]


async def after(visitor, submit_id, seconds):
    visitor.world.advance(seconds)
    return await visitor.poll(submit_id)


async def test_a_job_is_absent_then_queued_then_runs_to_its_items(studio, kit):
    submit_id, job_id = await submitted(studio, kit)
    assert await studio.poll(submit_id) is None
    seen = [await after(studio, submit_id, step) for step in (1, 1.5, 1.2, 2)]
    await studio.world.studio.rendered(studio.world.jobs[job_id])
    seen += [await after(studio, submit_id, step) for step in (2, 0)]
    assert [node["status"] for node in seen] == [20, 20, 42, 45, 50, 50]
    assert [len(node["item_list"]) for node in seen] == [0, 0, 0, 1, 0, 1]
    assert [node["queue_info"]["queue_status"] for node in seen] == [1, 2, 2, 2, 3, 3]
    assert seen[3]["item_list"][0]["video"]["transcoded_video"] == {}
    assert [node["task"]["finish_time"] > 0 for node in seen] == [False] * 4 + [
        True
    ] * 2


async def test_the_job_waits_at_45_until_its_file_is_made(visitor, kit):
    submit_id, _ = await submitted(visitor, kit)
    assert (await after(visitor, submit_id, 60))["status"] == 45


async def test_a_long_queue_counts_down_from_real_magnitudes(visitor, kit):
    submit_id, job_id = await submitted(visitor, kit, "[[queue:7200]]")
    first = await after(visitor, submit_id, 1)
    later = await after(visitor, submit_id, 3600)
    body = {"history_ids": [job_id]}
    answer = await visitor.post("/mweb/v1/get_history_queue_info", body)
    alone = answer["data"][job_id]
    assert first["queue_info"]["queue_idx"] == pytest.approx(26_780, abs=20)
    assert first["queue_info"]["queue_length"] == pytest.approx(91_870, abs=20)
    assert first["forecast_queue_cost"] == pytest.approx(7199, abs=2)
    assert later["queue_info"]["queue_idx"] < first["queue_info"]["queue_idx"] / 1.9
    place = later["queue_info"]["queue_idx"]
    assert alone["queue_info"]["queue_idx"] == pytest.approx(place, abs=20)
    assert alone["forecast_cost_time"]["forecast_queue_cost"] > 3000


@pytest.mark.parametrize(
    ("switch", "status", "fields"),
    [
        ("fail:2038", 10, {"fail_code": "2038"}),
        ("fail:2039", 30, {"fail_code": 2039}),
        ("fail:2043", 40, {"fail_code": 2043}),
        ("fail:100402", 30, {"fail_code": "100402"}),
        ("fail", 30, {"fail_code": "100402"}),
        ("fail:starling:inputtextrisk", 30, {"fail_starling_key": "inputtextrisk"}),
    ],
)
async def test_a_failed_job_says_why_in_each_of_the_sites_forms(
    visitor, kit, switch, status, fields
):
    submit_id, _ = await submitted(visitor, kit, f"[[{switch}]]")
    node = await after(visitor, submit_id, 60)
    assert node["status"] == node["task"]["status"] == status
    assert node | fields == node
    assert ("fail_code" in node) == ("fail_code" in fields)


async def test_polling_by_either_id_answers_under_the_id_asked(visitor, kit):
    submit_id, job_id = await submitted(visitor, kit)
    visitor.world.advance(5)
    body = {"submit_ids": [submit_id, kit.new()], "history_ids": [job_id, "7"]}
    answer = await visitor.post("/mweb/v1/get_history_by_ids", body)
    assert set(answer["data"]) == {submit_id, job_id}


async def test_another_accounts_job_is_absent(visitor, other, kit):
    submit_id, job_id = await submitted(visitor, kit)
    visitor.world.advance(5)
    assert await other.poll(submit_id) is None
    body = {"history_ids": [job_id]}
    assert (await other.post("/mweb/v1/get_history_by_ids", body))["data"] == {}


@pytest.mark.parametrize(
    ("path", "ret"), [("get_history_by_ids", "1000"), ("get_history", "2008")]
)
async def test_asking_for_nothing_is_refused(visitor, path, ret):
    assert (await visitor.post(f"/mweb/v1/{path}"))["ret"] == ret


async def test_lists_show_the_newest_first_page_by_page(visitor, kit):
    ids = [(await submitted(visitor, kit))[1] for _ in range(3)]
    body = {"count": 2}
    first = (await visitor.post("/mweb/v1/get_history", body))["data"]
    assets = (await visitor.post("/mweb/v1/get_asset_list", body))["data"]
    shown = [node["history_record_id"] for node in first["records_list"]]
    assert (shown, first["has_more"]) == (ids[:0:-1], True)
    assert [one["id"] for one in assets["asset_list"]] == shown
    assert assets["asset_list"][0]["type"] == 7


async def test_an_instant_site_is_done_at_the_first_poll(tmp_path, serve, kit):
    settings = Settings(data=tmp_path, knobs=Knobs(instant=True))
    async with serve(settings) as (http, world):
        visitor = kit.Visitor(http, world, DEMO_SESSIONS[0])
        submit_id, _ = await submitted(visitor, kit)
        node = await visitor.poll(submit_id)
        video = node["item_list"][0]["video"]
        film = await http.get(video["transcoded_video"]["origin"]["video_url"])
    assert node["status"] == 50
    assert film.content[4:8] == b"ftyp"


async def test_a_scale_stretches_time_and_the_advice(visitor, kit):
    visitor.world.knobs.scale = 3600.0
    submit_id, _ = await submitted(visitor, kit)
    assert await visitor.poll(submit_id) is None
    node = await after(visitor, submit_id, 3600)
    assert node["status"] == 20
    assert node["forecast_queue_cost"] == pytest.approx(3600, abs=5)
    assert node["queue_info"]["polling_config"]["interval_seconds"] == 30


async def test_jobs_and_ledger_outlive_a_restart(tmp_path, serve, kit):
    settings = Settings(data=tmp_path, renders=0)
    async with serve(settings) as (http, world):
        visitor = kit.Visitor(http, world, DEMO_SESSIONS[0])
        submit_id, job_id = await submitted(visitor, kit)
    async with serve(Settings(data=tmp_path)) as (http, world):
        visitor = kit.Visitor(http, world, DEMO_SESSIONS[0])
        await world.studio.rendered(world.jobs[job_id])
        world.advance(60)
        await visitor.poll(submit_id)
        node = await visitor.poll(submit_id)
        ledger = (await http.get("/_sim/ledger")).json()
        assert visitor.account.credits.total == 9_990
    assert (node["status"], len(node["item_list"])) == (50, 1)
    assert len(ledger[submit_id]["charges"]) == 1
