"""What the site tells its page about itself: models, and checks of content."""

from simulator.call import Call
from simulator.catalogue import (
    IMAGE_COUNT,
    IMAGE_MODELS,
    RATIOS,
    VIDEO_MODELS,
    VideoModel,
)
from simulator.errors import RefusedError, invalid
from simulator.image_sizes import sizes
from simulator.records import Json
from simulator.tree import objects


async def video_models(call: Call) -> Json:
    """The video models of the account's region, with the options of each."""
    region = call.account.region
    models = [one for one in VIDEO_MODELS.values() if region in one.regions]
    return {"model_list": [_video_model(call, one) for one in models]}


async def image_models(_call: Call) -> Json:
    """The image models."""
    return {"model_list": [_image_model(key) for key in sorted(IMAGE_MODELS)]}


async def content_check(call: Call) -> Json:
    """algo_proxy: whether an uploaded image may be used."""
    for file in objects(call.body, "file_list"):
        upload = call.world.uploads.get(str(file.get("file_uri")))
        if upload is None or upload.uid != call.account.uid:
            raise RefusedError("3020")
    return {"result": {"is_pass": True}}


async def audit(call: Call) -> Json:
    """imagex/submit_audit_job: asked for by the page after an upload."""
    if not call.body:
        raise invalid("empty body")
    return {"job_id": "0"}


def _video_model(call: Call, model: VideoModel) -> Json:
    confirm = model.key in call.account.unconfirmed
    options = [
        _option("duration", "int_value", sorted(model.durations)),
        _option("resolution", "string_value", list(model.resolutions)),
        _option("video_aspect_ratio", "string_value", list(RATIOS)),
    ]
    return {
        "model_req_key": model.key,
        "model_name": model.key,
        "options": options,
        "extra": {"model_source": "", "aigc_compliance_confirmation_required": confirm},
        "model_status": 0 if model.key in call.account.lacks else 1,
    }


def _option(key: str, kind: str, values: list[str] | list[int]) -> Json:
    return {"key": key, "enum_val": {kind: values}}


def _image_model(key: str) -> Json:
    return {
        "model_req_key": key,
        "model_name": key,
        "generate_count_options": [IMAGE_COUNT],
        "default_generate_count": IMAGE_COUNT,
        "default_resolution_type": "2k",
        "resolution_map": {name: _resolution(key, name) for name in ("1k", "2k", "4k")},
    }


def _resolution(key: str, name: str) -> Json:
    shapes = enumerate(sizes(key, name), 1)
    listed = [{"ratio_type": n, "width": w, "height": h} for n, (w, h) in shapes]
    return {"image_ratio_sizes": listed}
