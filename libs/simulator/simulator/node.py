"""The history node of a job: what a submit answers with, and what every poll shows."""

import hashlib
import math
from typing import Any

from simulator import timeline
from simulator.call import Call, log_id
from simulator.catalogue import IMAGE_COUNT
from simulator.errors import failure_fields
from simulator.items import image_item, video_item
from simulator.records import Job, Json
from simulator.timeline import Phase

_TIMEOUT_SECONDS = 86_400
_SLOWEST_ADVICE = 30
"""The site's own advice for a job of minutes: poll every 30 s."""


def phase_of(call: Call, job: Job) -> Phase:
    """Where the job stands now, credits given back if it has just failed."""
    world = call.world
    world.settle(job)
    return timeline.phase(job, world.now(), finished=world.studio.finished(job))


def build(call: Call, job: Job, *, items: str | None = None) -> Json:
    """The node. `items` overrides what is shown: a fresh submit shows none."""
    phase = phase_of(call, job)
    status = timeline.PROCESSING if items == "none" else phase.status
    shown = _items(call, job, items or phase.items)
    node = {
        "generate_type": _generate_type(job),
        "history_record_id": job.id,
        "origin_history_record_id": None,
        "created_time": round(job.times.created, 3),
        "item_list": shown,
        "origin_item_list": [],
        "task": _task(job, status),
        "mode": "workbench",
        "uid": job.uid,
        "status": status,
        "history_group_key": job.order.prompt,
        "history_group_key_md5": _md5(job.order.prompt),
        "submit_id": job.submit_id,
        "generate_id": log_id(),
        "model_info": {"model_name": job.order.model, "model_req_key": job.order.model},
        "forecast_generate_cost": phase.generate_seconds,
        "forecast_queue_cost": phase.wait_seconds,
        "queue_info": queue_info(call, phase),
        "total_image_count": len(job.item_ids),
        "finished_image_count": len(shown),
    }
    return node | (failure_fields(job.fail_code) if _failed(status) else {})


def queue_info(call: Call, phase: Phase) -> Json:
    """Place and length of the queue, and how often to ask."""
    polling = {
        "interval_seconds": interval_seconds(call),
        "timeout_seconds": _TIMEOUT_SECONDS,
    }
    return {
        "queue_idx": phase.queue_idx,
        "priority": 3 if call.account.vip else 7,
        "queue_status": phase.queue_status,
        "queue_length": phase.queue_length,
        "polling_config": polling,
    }


def interval_seconds(call: Call) -> int:
    """1 s for a video of 8 s; a stretched one is to be asked for as rarely as real."""
    knobs = call.world.knobs
    if knobs.interval_seconds is not None:
        return knobs.interval_seconds
    return min(max(1, math.ceil(knobs.scale)), _SLOWEST_ADVICE)


def _failed(status: int) -> bool:
    return status in (
        timeline.PRE_CHECK_REJECT,
        timeline.FAILED,
        timeline.POST_CHECK_REJECT,
    )


def _items(call: Call, job: Job, which: str) -> list[Json]:
    """All items; or those ready early: one of four images, a video without its link."""
    if which == "none":
        return []
    if job.order.kind == "video":
        return [video_item(call, job, ready=which == "all")]
    count = IMAGE_COUNT if which == "all" else 1
    ready = which == "all" or call.world.studio.finished(job)
    return [image_item(call, job, index) for index in range(count)] if ready else []


def _task(job: Job, status: int) -> Json:
    over = status == timeline.SUCCESS or _failed(status)
    task: dict[str, Any] = {
        "task_id": job.id,
        "submit_id": job.submit_id,
        "aid": 0,
        "status": status,
        "finish_time": int(job.times.done) if over else 0,
        "history_id": job.id,
        "task_payload": None,
        "original_input": None,
        "req_first_frame_image": None,
    }
    if _failed(status):
        code = job.fail_code.partition(":")[0]
        task["resp_ret"] = {"ret": code, "errmsg": "generate failed"}
    return task


def _generate_type(job: Job) -> int:
    if job.order.kind == "video":
        return 10
    return 12 if job.order.mode == "blend" else 1


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - a group key only
