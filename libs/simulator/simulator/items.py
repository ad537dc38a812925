"""The items of a finished job, in the shapes the site gives a video and an image."""

import base64
import hashlib
import json
import math
from functools import lru_cache
from pathlib import Path

from simulator.call import Call
from simulator.cdn import link
from simulator.records import Job, Json
from simulator.studio import FPS

_VIDEO_EFFECT, _IMAGE_EFFECT = 53, 9
_PUBLISHED_STATUS = 144
_REFUSED = 2039
_COVER_SIZES = ("360", "480", "720", "1080", "2400", "4096")


def video_item(call: Call, job: Job, *, ready: bool, best: bool = False) -> Json:
    """A video; before it is ready the item is there, but nothing to download."""
    cover = link(call.world, call.origin, job, "cover.jpg") if ready else ""
    return {
        "common_attr": _common(job, job.item_ids[0], _VIDEO_EFFECT, cover),
        "author": None,
        "video": _video(call, job, cover, best=best) if ready else _unready(),
        "aigc_image_params": _params(job),
        "statistic": {"feedback_status": 0},
        "aigc_flow": {"version": "0.1.2"},
        "aigc_draft": {
            "version": "3.3.9",
            "uri": f"aigc-draft/{job.id}",
            "content": "",
        },
        "gen_result_data": {"result_code": 0, "result_msg": "Success"},
        "extra": {"template_type": "video"},
        "sharing_info": {"share_status": 2},
    }


def image_item(call: Call, job: Job, index: int) -> Json:
    """One of an image job's pictures, or what is said of one that was refused."""
    if index >= job.pictures:
        return _refused_item(job, index)
    url = link(call.world, call.origin, job, f"{index + 1}.jpg")
    large = {
        "image_url": url,
        "image_uri": f"tos-cn-i-tb4s082cfz/{job.item_ids[index]}",
        "width": job.order.width,
        "height": job.order.height,
        "format": "jpeg",
    }
    common = _common(job, job.item_ids[index], _IMAGE_EFFECT, url)
    common["cover_url_map"] = dict.fromkeys(_COVER_SIZES, url)
    return {
        "common_attr": common,
        "image": {"large_images": [large]},
        "aigc_image_params": {
            "generate_type": 1,
            "text2image_params": job.order.inputs,
        },
        "gen_result_data": {"result_code": 0, "result_msg": "Success"},
    }


def _refused_item(job: Job, index: int) -> Json:
    common = _common(job, job.item_ids[index], _IMAGE_EFFECT, "")
    common["review_info"] = {"review_status": 2, "review_code_list": [_REFUSED]}
    return {
        "common_attr": common,
        "image": {"large_images": []},
        "gen_result_data": {"result_code": _REFUSED, "result_msg": "image risk"},
    }


def _common(job: Job, item_id: str, effect: int, cover: str) -> Json:
    return {
        "id": item_id,
        "effect_id": item_id,
        "effect_type": effect,
        "title": "",
        "description": job.order.prompt,
        "cover_url": cover,
        "item_urls": [""],
        "create_time": int(job.times.created),
        "status": _PUBLISHED_STATUS,
        "review_info": {"review_status": 1, "review_code_list": []},
        "aspect_ratio": job.order.width / job.order.height,
        "publish_source": "user_post_mweb_item",
        "local_item_id": item_id,
        "cover_uri": f"tos-cn-p-148450/{item_id}",
        "cover_width": job.order.width,
        "cover_height": job.order.height,
    }


def _unready() -> Json:
    return {"video_id": "", "transcoded_video": {}, "transcode_status": 0}


def _video(call: Call, job: Job, cover: str, *, best: bool) -> Json:
    name = "best.mp4" if best else "preview.mp4"
    url = link(call.world, call.origin, job, name)
    origin = _definition(call, job, url, name)
    milliseconds = round(job.order.seconds * 1000)
    return {
        "video_id": f"v0{job.id}",
        "duration": math.ceil(job.order.seconds + 0.001),
        "origin_video": None,
        "transcoded_video": _definitions(job, origin),
        "video_size_type": 3,
        "cover_uri": f"tos-cn-p-148450/{job.id}",
        "cover_url": cover,
        "transcode_status": 1,
        "duration_ms": milliseconds,
        "watermark_type": 1,
        "duration_info": _duration_info(job),
        "vda_status": 10,
        "video_model": _model(call, job, url, origin),
        "has_audio": job.order.has_audio,
        "is_mute": False,
    }


def _definitions(job: Job, origin: Json) -> Json:
    """`origin`, and the same again under the name of its resolution."""
    named = {**origin, "definition": job.order.resolution}
    return {"origin": origin, job.order.resolution: named}


def _definition(call: Call, job: Job, url: str, name: str) -> Json:
    path = call.world.studio.path(job, name)
    size, md5 = _measure(path) if path.exists() else (0, "")
    return {
        "vid": "",
        "fps": FPS,
        "width": job.order.width,
        "height": job.order.height,
        "duration": 0,
        "video_url": url,
        "cover_url": "",
        "format": "mp4",
        "definition": "origin",
        "logo_type": "",
        "encryption_key": "",
        "md5": md5,
        "size": size,
        "video_id": "",
    }


def _model(call: Call, job: Job, url: str, origin: Json) -> str:
    """video_model: JSON in a string, its links in base64."""
    hidden = base64.b64encode(url.encode()).decode()
    rate = int(origin["size"] * 8 / job.order.seconds)
    entry = {
        "definition": "origin",
        "vtype": "mp4",
        "vwidth": origin["width"],
        "vheight": origin["height"],
        "bitrate": rate,
        "fps": FPS,
        "codec_type": "h264",
        "size": origin["size"],
        "main_url": hidden,
        "backup_url_1": hidden,
        "file_hash": origin["md5"],
    }
    return json.dumps(
        {
            "status": 10,
            "video_id": f"v0{job.id}",
            "video_duration": job.order.seconds,
            "url_expire": int(call.world.now() + call.world.knobs.link_seconds),
            "video_list": {"video_1": entry},
        }
    )


def _duration_info(job: Job) -> str:
    sound = job.order.seconds if job.order.has_audio else 0
    seconds = job.order.seconds
    info = {"play_info_duration": seconds, "v_duration": seconds, "a_duration": sound}
    return json.dumps(info)


def _params(job: Job) -> Json:
    return {
        "generate_type": 10,
        "text2video_params": {
            "video_gen_inputs": [job.order.inputs],
            "video_aspect_ratio": job.order.ratio,
            "seed": job.order.seed,
            "priority": 0,
            "model_req_key": job.order.model,
        },
    }


@lru_cache(maxsize=4096)
def _measure(path: Path) -> tuple[int, str]:
    data = path.read_bytes()
    return len(data), hashlib.md5(data).hexdigest()  # noqa: S324 - the site's choice
