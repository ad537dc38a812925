"""Reads a video draft as strictly as the site does, into an order."""

from simulator import materials, tree
from simulator.catalogue import (
    RATIOS,
    VIDEO_MODELS,
    VideoModel,
    nearest_ratio,
    video_size,
)
from simulator.errors import invalid
from simulator.records import Json, Order, Reference
from simulator.settings import Account
from simulator.world import World

_OMNI, _FRAMES, _SUBJECT = (
    "AIGC_Video_UnifiedEdit",
    "AIGC_GenerateType_VideoMultiFrame",
    "AIGC_GenerateType_VideoIdipFrame",
)
_FEATURES = {"omni": _OMNI, "multi_frame": _FRAMES, "subject": _SUBJECT}
_OMNI_VERSION = (3, 3, 9)
_MAX_FRAMES, _MAX_SUBJECTS = 20, 4
_MAX_PROMPT = 15_000
_FPS = 24


def read(world: World, account: Account, draft: Json, component: Json) -> Order:
    """The order in a `video_base_component`; anything not as it must be is refused."""
    video = tree.mapping(tree.mapping(component, "abilities"), "gen_video")
    tree.identified(video, "gen_video")
    tree.embedded(video, "video_task_extra")
    params = tree.mapping(video, "text_to_video_params")
    wanted = tree.one(params, "video_gen_inputs")
    model = _model(params)
    mode = _mode(wanted)
    _check_version(draft, model, mode)
    _check_input(wanted, mode)
    references, prompt = _content(world, account, model, mode, wanted)
    ratio = _ratio(world, params, mode, references)
    resolution = wanted.get("resolution", model.resolutions[0])
    if resolution not in model.resolutions:
        raise invalid(f"resolution {resolution} for {model.key}")
    width, height = video_size(resolution, ratio)
    return Order(
        kind="video",
        model=model.key,
        prompt=prompt,
        width=width,
        height=height,
        ratio=ratio,
        seconds=_seconds(wanted, model, mode),
        resolution=resolution,
        seed=_seed(params),
        mode=mode,
        references=references,
        inputs=wanted,
    )


def _model(params: Json) -> VideoModel:
    tree.identified(params, "text_to_video_params")
    key = tree.filled(params, "model_req_key")
    if key not in VIDEO_MODELS:
        raise invalid(f"model_req_key {key}")
    return VIDEO_MODELS[key]


def _mode(wanted: Json) -> str:
    """Which of the five ways of asking this input is; two at once is none."""
    marks = {
        "unified_edit_input": "omni",
        "multi_frames": "multi_frame",
        "idip_frames": "subject",
        "first_frame_image": "frames",
    }
    found = [mode for key, mode in marks.items() if wanted.get(key)]
    if len(found) > 1 or (wanted.get("end_frame_image") and found != ["frames"]):
        raise invalid("the input mixes modes")
    return found[0] if found else "text"


def _check_version(draft: Json, model: VideoModel, mode: str) -> None:
    """A draft declares the version its model came with, and the features it uses."""
    least = tuple(int(part) for part in model.draft_version.split("."))
    least = max(least, _OMNI_VERSION) if mode == "omni" else least
    if tree.version(draft, "version") < least:
        raise invalid(f"version below {least}")
    if tree.version(draft, "min_version") > tree.version(draft, "version"):
        raise invalid("min_version above version")
    if mode in _FEATURES and _FEATURES[mode] not in draft.get("min_features", []):
        raise invalid(f"min_features lacks {_FEATURES[mode]}")


def _check_input(wanted: Json, mode: str) -> None:
    tree.identified(wanted, "video_gen_inputs[0]")
    tree.version(wanted, "min_version")
    if tree.integer(wanted, "fps") != _FPS:
        raise invalid("fps")
    if tree.integer(wanted, "video_mode") not in (
        (1, 2) if mode == "multi_frame" else (2,)
    ):
        raise invalid("video_mode")
    prompt = tree.text(wanted, "prompt")
    if bool(prompt) and mode in _FEATURES:
        raise invalid("prompt must be empty here")
    if len(prompt) > _MAX_PROMPT:
        raise invalid("prompt is too long")


def _content(
    world: World, account: Account, model: VideoModel, mode: str, wanted: Json
) -> tuple[list[Reference], str]:
    if mode == "omni":
        if not model.omni:
            raise invalid(f"{model.key} takes no references")
        edit = tree.identified(tree.mapping(wanted, "unified_edit_input"), "edit")
        return materials.omni(world, account, model, edit)
    if mode == "multi_frame":
        return _multi_frame(world, account, wanted)
    if mode == "subject":
        return _subject(world, account, wanted)
    return _frames(world, account, model, wanted), tree.text(wanted, "prompt")


def _frames(
    world: World, account: Account, model: VideoModel, wanted: Json
) -> list[Reference]:
    if wanted.get("end_frame_image") and not model.end_frame:
        raise invalid(f"{model.key} takes no end frame")
    keys = ("first_frame_image", "end_frame_image")
    nodes = [tree.mapping(wanted, key) for key in keys if wanted.get(key)]
    if not nodes and not wanted["prompt"].strip():
        raise invalid("prompt is empty")
    return [materials.image(world, account, node) for node in nodes]


def _multi_frame(
    world: World, account: Account, wanted: Json
) -> tuple[list[Reference], str]:
    frames = tree.objects(wanted, "multi_frames")
    if not 2 <= len(frames) <= _MAX_FRAMES:  # noqa: PLR2004 - one image is no sequence
        raise invalid("multi_frames")
    if sum(tree.integer(one, "duration_ms") for one in frames) < wanted["duration_ms"]:
        raise invalid("duration_ms is more than the frames give")
    media = [tree.mapping(one, "media_info") for one in frames]
    images = [tree.mapping(one, "image_info") for one in media]
    prompt = " → ".join(tree.text(one, "prompt") for one in frames)
    return [materials.image(world, account, one) for one in images], prompt


def _subject(
    world: World, account: Account, wanted: Json
) -> tuple[list[Reference], str]:
    frames = tree.objects(wanted, "idip_frames")
    if not 1 <= len(frames) <= _MAX_SUBJECTS:
        raise invalid("idip_frames")
    images = [materials.image(world, account, one) for one in frames]
    metas = tree.objects(wanted, "idip_meta_list")
    return images, "".join(tree.text(meta, "text") for meta in metas)


def _ratio(world: World, params: Json, mode: str, references: list[Reference]) -> str:
    """The ratio asked for; with a first frame, the image's own shape decides."""
    ratio = tree.text(params, "video_aspect_ratio")
    if ratio not in RATIOS:
        raise invalid("video_aspect_ratio")
    if mode != "frames":
        return ratio
    meta = world.uploads[references[0].key].meta
    return nearest_ratio(meta["ImageWidth"], meta["ImageHeight"])


def _seconds(wanted: Json, model: VideoModel, mode: str) -> float:
    duration = tree.integer(wanted, "duration_ms")
    whole = duration % 1000 == 0 and duration // 1000 in model.durations
    if not whole and not (mode == "multi_frame" and duration >= 2000):  # noqa: PLR2004
        raise invalid(f"duration_ms {duration} for {model.key}")
    return duration / 1000


def _seed(params: Json) -> int:
    seed = tree.integer(params, "seed")
    if not 0 <= seed < 2**32:
        raise invalid("seed")
    return seed
