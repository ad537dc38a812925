"""Reading jobs back: polling by id, the queue, lists, and the download link."""

from collections.abc import Iterator

from simulator.call import Call
from simulator.errors import RefusedError, invalid
from simulator.items import image_item, video_item
from simulator.node import build, phase_of, queue_info
from simulator.records import Job, Json
from simulator.timeline import SUCCESS

_MOST_IDS = 100
_VIDEO_ASSET, _IMAGE_ASSET = 7, 1


async def by_ids(call: Call) -> Json:
    """get_history_by_ids: an object keyed by the ids asked for, without absent ones."""
    if not isinstance(call.body.get("image_info", {}), dict):
        raise invalid("image_info")
    if call.fault and call.fault.fault == "absent":
        return {}
    return {asked: _shown(call, job) for asked, job in _asked(call)}


async def records(call: Call) -> Json:
    """get_history_records: the older form of the same, a list."""
    ids = _ids(call.body, "history_record_ids")
    return {"history_records": [_shown(call, job) for _, job in _visible(call, ids)]}


async def queue(call: Call) -> Json:
    """get_history_queue_info: the queue alone, its forecasts nested differently."""
    found = {}
    for asked, job in _asked(call):
        phase = phase_of(call, job)
        display = {"vip_queuing_time_threshold": 300, "waiting_time_threshold": 60}
        info = queue_info(call, phase)
        info |= {"priority_queue_display_threshold": display, "debug_info": "{}"}
        forecast = {
            "forecast_generate_cost": phase.generate_seconds,
            "forecast_queue_cost": phase.wait_seconds,
        }
        fields = {"queue_info": info, "forecast_cost_time": forecast}
        found[asked] = {"status": 0, **fields}
    return found


async def local_items(call: Call) -> Json:
    """get_local_item_list: items by their own id, with the link of best quality."""
    wanted = _ids(call.body, "item_id_list")
    if not wanted:
        raise invalid("item_id_list")
    known = ((item, call.world.by_item.get(item)) for item in wanted)
    jobs = [(item, call.world.jobs[job]) for item, job in known if job]
    own = [(item, job) for item, job in jobs if job.uid == call.account.uid]
    items = [_item(call, job, item) for item, job in own if _over(call, job)]
    return {"item_list": items}


async def history(call: Call) -> Json:
    """get_history: the account's jobs, newest first; an empty body is ret 2008."""
    if not call.body:
        raise RefusedError("2008")
    page, more = _page(call)
    nodes = [build(call, job) for job in page]
    return {"records_list": nodes, "has_more": more, "next_offset": _next(call, page)}


async def assets(call: Call) -> Json:
    """get_asset_list: the same under `video` or `image`."""
    page, more = _page(call)
    listed = [_asset(call, job) for job in page]
    return {"has_more": more, "next_offset": _next(call, page), "asset_list": listed}


async def unread(_call: Call) -> Json:
    """get_unread_count: nothing is ever unread."""
    return {"total_count": 0}


def _asked(call: Call) -> Iterator[tuple[str, Job]]:
    """The account's own visible jobs among the ids asked for, under those ids."""
    history_ids = _ids(call.body, "history_ids")
    submit_ids = _ids(call.body, "submit_ids")
    if not 0 < len(history_ids) + len(submit_ids) <= _MOST_IDS:
        raise invalid("history_ids or submit_ids")
    yield from _visible(call, history_ids)
    for submit_id in submit_ids:
        job = call.world.job_of(call.account.uid, submit_id)
        if job and job.times.visible <= call.world.now():
            yield submit_id, job


def _visible(call: Call, history_ids: list[str]) -> Iterator[tuple[str, Job]]:
    for job_id in history_ids:
        job = call.world.jobs.get(job_id)
        own = job and job.uid == call.account.uid
        if job and own and job.times.visible <= call.world.now():
            yield job_id, job


def _shown(call: Call, job: Job) -> Json:
    """The node as polled: the first that says 50 has an empty item_list."""
    node = build(call, job)
    if node["status"] == SUCCESS and not job.shown_empty:
        job.shown_empty = True
        call.world.save_job(job)
        return node | {"item_list": [], "finished_image_count": 0}
    return node


def _over(call: Call, job: Job) -> bool:
    return phase_of(call, job).status == SUCCESS


def _item(call: Call, job: Job, item_id: str) -> Json:
    if job.order.kind == "image":
        return image_item(call, job, job.item_ids.index(item_id))
    return video_item(call, job, ready=True, best=True)


def _asset(call: Call, job: Job) -> Json:
    kind = job.order.kind
    number = _VIDEO_ASSET if kind == "video" else _IMAGE_ASSET
    return {"id": job.id, "uid": "0", "type": number, kind: build(call, job)}


def _page(call: Call) -> tuple[list[Job], bool]:
    count = int(call.body.get("count") or 20)
    before = int(call.body.get("offset") or 0) / 1000
    own = [job for job in call.world.jobs.values() if job.uid == call.account.uid]
    own = [job for job in own if not before or job.times.created < before]
    own.sort(key=lambda job: -job.times.created)
    return own[:count], len(own) > count


def _next(call: Call, page: list[Job]) -> int:
    return int((page[-1].times.created if page else call.world.now()) * 1000)


def _ids(body: Json, key: str) -> list[str]:
    ids = body.get(key, [])
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise invalid(key)
    return ids
