"""The material a draft refers to: committed by the same account, or refused."""

from simulator import tree
from simulator.catalogue import VideoModel
from simulator.errors import RefusedError, invalid
from simulator.records import Json, Reference, Upload
from simulator.settings import Account
from simulator.world import World

_KINDS = ("image", "video", "audio")
_MAX_VIDEO_MS = 15_400
_AUDIO_MS = range(1_800, 15_401)
_LONG_MS = 30_200


def image(world: World, account: Account, node: Json) -> Reference:
    """An image object of the draft; `uri` and `image_uri` say the same."""
    tree.identified(node, "image")
    uri = tree.filled(node, "image_uri")
    if node.get("type") != "image" or node.get("uri") != uri:
        raise invalid("image: type, or uri differs from image_uri")
    tree.integer(node, "width")
    tree.integer(node, "height")
    _uploaded(world, account, uri, "imagex")
    return Reference(kind="image", key=uri)


def omni(
    world: World, account: Account, model: VideoModel, node: Json
) -> tuple[list[Reference], str]:
    """The material and the whole prompt of an all-in-one reference input."""
    listed = tree.objects(node, "material_list")
    references = [_material(world, account, one) for one in listed]
    _check_amounts(model, references)
    _check_lengths(model, listed)
    return references, _sentence(node, references)


def _material(world: World, account: Account, node: Json) -> Reference:
    tree.identified(node, "material")
    kind = node.get("material_type")
    if kind == "image":
        return image(world, account, tree.mapping(node, "image_info"))
    if kind not in _KINDS:
        raise invalid("material_type")
    info = tree.identified(tree.mapping(node, f"{kind}_info"), f"{kind}_info")
    vid = tree.filled(info, "vid")
    upload = _uploaded(world, account, vid, "vod")
    if tree.integer(info, "duration") <= 0:
        raise invalid(f"{kind}: duration is in milliseconds and positive")
    if (kind == "video") != ("width" in upload.meta):
        raise invalid(f"the upload is no {kind}")
    return Reference(kind=kind, key=vid)


def _uploaded(world: World, account: Account, key: str, service: str) -> Upload:
    """Another account's file is as good as none (1000); an uncommitted one 3020."""
    upload = world.uploads.get(key)
    if not upload or upload.uid != account.uid or upload.service != service:
        raise invalid("no such upload")
    if upload.state != "committed":
        raise RefusedError("3020")
    return upload


def _check_amounts(model: VideoModel, references: list[Reference]) -> None:
    kinds: list[str] = [reference.kind for reference in references]
    for kind, most in zip(_KINDS, model.materials, strict=True):
        if kinds.count(kind) > most:
            raise invalid(f"more than {most} of {kind}")
    if not set(kinds) & {"image", "video"}:
        raise invalid("at least one image or video is needed")


def _check_lengths(model: VideoModel, listed: list[Json]) -> None:
    """Videos together, and each sound, within what the model takes."""
    long = model.materials[1] > 3  # noqa: PLR2004 - only Seedance 2.5 takes so many
    videos = [one["video_info"]["duration"] for one in listed if "video_info" in one]
    if sum(videos) > (_LONG_MS if long else _MAX_VIDEO_MS):
        raise invalid("the reference videos are too long together")
    sounds = [one["audio_info"]["duration"] for one in listed if "audio_info" in one]
    if not long and any(length not in _AUDIO_MS for length in sounds):
        raise invalid("a sound is 2 to 15 s")


def _sentence(node: Json, references: list[Reference]) -> str:
    """The prompt, put together from meta_list, whose references must exist."""
    parts = [_part(meta, references) for meta in tree.objects(node, "meta_list")]
    if not any(parts):
        raise invalid("meta_list is empty")
    return "".join(parts)


def _part(meta: Json, references: list[Reference]) -> str:
    kind = meta.get("meta_type")
    if kind == "text":
        return tree.text(meta, "text")
    index = tree.integer(tree.mapping(meta, "material_ref"), "material_idx")
    if not 0 <= index < len(references) or references[index].kind != kind:
        raise invalid("material_ref does not fit the material_list")
    return f"@{index + 1}"
