"""aigc_draft/generate: the one call that costs money, checked the way the site does."""

import re
import time
from fnmatch import fnmatch
from typing import Any

from simulator import bogus, image_draft, prompts, timeline, tree, video_draft
from simulator.call import Call, check_web_id, noted
from simulator.catalogue import (
    IMAGE_COST,
    IMAGE_COUNT,
    VIDEO_MODELS,
    image_regions,
)
from simulator.errors import RefusedError, invalid
from simulator.node import build
from simulator.records import Entry, Job, Json, Movement, Order
from simulator.studio import shared_clip
from simulator.world import World, new_id

REQUIRED = (
    "aid",
    "device_platform",
    "region",
    "da_version",
    "web_version",
    "aigc_features",
)
"""What the page's own generate carries, without what only some builds send."""

_MODEL = re.compile(r'"model(?:_req_key)?"\s*:\s*"([^"]+)"')


async def generate(call: Call) -> Json:
    """Take a job, or refuse it; the same `submit_id` again gets the same job."""
    submit_id = _submit_id(call.body)
    entry = _received(call, submit_id)
    try:
        job = _take(call, entry)
    except RefusedError as refusal:
        entry.verdicts.append(refusal.ret)
        raise
    finally:
        call.world.save_entry(entry)
    noted(call.request).detail |= {"submit_id": submit_id, "job_id": job.id}
    return {"aigc_data": build(call, job, items="none")}


def _take(call: Call, entry: Entry) -> Job:
    _check_gate(call)
    again = call.world.job_of(call.account.uid, entry.submit_id)
    if again and call.world.knobs.dedupe and not _struck(call, "charge_twice"):
        entry.verdicts.append("duplicate")
        return again
    order = _order(call)
    _check_account(call, order)
    job = _accept(call, entry, order)
    entry.verdicts.append("0")
    return job


def _check_gate(call: Call) -> None:
    """The anti-abuse layers, before anybody looks at what is asked."""
    world, request = call.world, call.request
    if request.client and request.client.host in world.knobs.block_ip:
        raise RefusedError("-6")
    if call.account.punished:
        raise RefusedError("1018")
    if call.account.region == "cn" and not request.query_params.get("webId"):
        raise invalid("query lacks webId")
    check_web_id(call)
    if "a_bogus" in request.query_params:
        bogus.check(world, request, call.raw_body)
    elif _must_be_signed(call) and not _tolerated(call):
        raise RefusedError(world.knobs.deny_code)


def _must_be_signed(call: Call) -> bool:
    """Whether a model that the body names anywhere needs the page's signature."""
    extend = call.body.get("extend")
    told = extend.get("root_model", "") if isinstance(extend, dict) else ""
    named = [str(told), *_MODEL.findall(str(call.body.get("draft_content", "")))]
    patterns = call.world.knobs.require_abogus
    return any(fnmatch(model, pattern) for model in named for pattern in patterns)


def _tolerated(call: Call) -> bool:
    """The first unsigned submits of an account may pass, by `unsigned_allowed`."""
    keys = (f"{call.account.uid} {n}" for n in range(call.world.knobs.unsigned_allowed))
    return any(call.world.store.add("unsigned", key) for key in keys)


def _order(call: Call) -> Order:
    """What the draft asks for, when every part of the body agrees with it."""
    body, query = call.body, call.request.query_params
    extra = tree.embedded(body, "metrics_extra")
    draft = tree.embedded(body, "draft_content")
    common = tree.mapping(body, "http_common_info")
    if str(common.get("aid")) != query["aid"] or not isinstance(extra, dict):
        raise invalid("http_common_info.aid")
    order = _read(call, draft)
    if tree.mapping(body, "extend").get("root_model") != order.model:
        raise invalid("root_model differs from the model of the draft")
    return order


def _read(call: Call, draft: Json) -> Order:
    if tree.identified(draft, "draft")["type"] != "draft":
        raise invalid("draft.type")
    component = tree.identified(tree.one(draft, "component_list"), "component")
    if component["id"] != draft.get("main_component_id"):
        raise invalid("main_component_id")
    tree.identified(tree.mapping(component, "metadata"), "metadata")
    if component.get("process_type", 1) != 1:
        raise invalid("process_type: only generation is simulated")
    match component["type"], component.get("generate_type"):
        case "video_base_component", "gen_video":
            return video_draft.read(call.world, call.account, draft, component)
        case "image_base_component", _:
            return image_draft.read(call.world, call.account, draft, component)
        case _:
            raise invalid("component type or generate_type")


def _check_account(call: Call, order: Order) -> None:
    """What the account may do, and what the prompt asks this site to say."""
    world, account = call.world, call.account
    if code := prompts.switches(order.prompt).get("submit"):
        raise RefusedError(code)
    if order.model in account.lacks or _elsewhere(call, order):
        raise RefusedError("3021")
    if order.model in account.unconfirmed:
        raise RefusedError("4010")
    if order.kind == "video":
        _check_benefit(call.body, order)
    if world.running(account.uid) >= account.concurrency:
        raise RefusedError(world.knobs.busy_code)
    limit = account.daily_limit
    if limit is not None and world.started_today(account.uid) >= limit:
        raise RefusedError("121101")
    if account.credits.total < cost(order):
        raise RefusedError("1006")


def _elsewhere(call: Call, order: Order) -> bool:
    if order.kind == "image":
        return call.account.region not in image_regions(order.model)
    return call.account.region not in VIDEO_MODELS[order.model].regions


def _check_benefit(body: Json, order: Order) -> None:
    """The billing key must be one of the model's own for this kind of order (5001)."""
    extend = tree.mapping(body, "extend")
    info = tree.mapping(extend, "m_video_commerce_info")
    listed = tree.objects(extend, "m_video_commerce_info_list")
    if listed != [info]:
        raise invalid("m_video_commerce_info_list differs")
    if info.get("resource_id") != "generate_video":
        raise invalid("resource_id")
    video = any(one.kind == "video" for one in order.references)
    benefits = VIDEO_MODELS[order.model].benefits
    if info.get("benefit_type") not in benefits(
        order.resolution, order.mode == "omni", video
    ):
        raise RefusedError("5001")


def cost(order: Order) -> int:
    """Credits of an order, taken before it starts."""
    if order.kind == "image":
        return IMAGE_COST
    return max(1, round(VIDEO_MODELS[order.model].cost * order.seconds))


def _accept(call: Call, entry: Entry, order: Order) -> Job:
    world = call.world
    job = _new_job(world, call, entry.submit_id, order)
    _charge(world, call, entry, job)
    world.save_job(job)
    world.note_peak(job.uid)
    world.studio.start(job)
    return job


def _new_job(world: World, call: Call, submit_id: str, order: Order) -> Job:
    status, code = timeline.ending(order.prompt)
    late = call.fault.seconds if _struck(call, "invisible") else 0.0
    pace, knobs = world.settings.pace, world.knobs
    job_id = new_id()
    return Job(
        id=job_id,
        submit_id=submit_id,
        uid=call.account.uid,
        order=order,
        times=timeline.plan(world.now(), pace, knobs, order.prompt, late),
        cost=cost(order),
        item_ids=[new_id(19) for _ in range(_items(order))],
        end_status=status,
        fail_code=code,
        shown_empty=knobs.instant,
        clip=shared_clip(order) if knobs.instant or knobs.share_films else job_id,
        pictures=_pictures(order),
    )


def _items(order: Order) -> int:
    return IMAGE_COUNT if order.kind == "image" else 1


def _pictures(order: Order) -> int:
    """All, or as many as `[[pictures:…]]` in the prompt says."""
    found = prompts.switches(order.prompt)
    return int(prompts.number(found, "pictures", IMAGE_COUNT))


def _charge(world: World, call: Call, entry: Entry, job: Job) -> None:
    purse, left = call.account.credits, job.cost
    for name in ("vip", "gift", "purchase"):
        part = min(left, getattr(purse, name))
        setattr(purse, name, getattr(purse, name) - part)
        left -= part
    world.save_account(call.account)
    entry.charges.append(Movement(amount=job.cost, at=world.now(), job_id=job.id))
    entry.job_id = job.id
    entry.job_ids.append(job.id)
    entry.model = job.order.model


def _submit_id(body: Json) -> str:
    return tree.check_uuid(body, "submit_id")


def _received(call: Call, submit_id: str) -> Entry:
    """The ledger's line, counted up each time this `submit_id` comes in."""
    now = time.time()
    entry = call.world.ledger.get(submit_id) or Entry(
        submit_id=submit_id, uid=call.account.uid, first_at=now, last_at=now
    )
    entry.received += 1
    entry.last_at = now
    return entry


def _struck(call: Call, name: str) -> bool:
    fault: Any = call.fault
    return fault is not None and fault.fault == name
