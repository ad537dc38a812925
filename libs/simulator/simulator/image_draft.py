"""Reads an image draft, text to image or a blend of images, into an order."""

from simulator import materials, tree
from simulator.catalogue import IMAGE_MODELS
from simulator.errors import invalid
from simulator.records import Json, Order, Reference
from simulator.settings import Account
from simulator.world import World

_MAX_INPUTS = 10
_MAX_SIDE = 6200
_RESOLUTIONS = ("1k", "2k", "4k")


def read(world: World, account: Account, component: Json) -> Order:
    """The order in an `image_base_component`."""
    abilities = tree.mapping(component, "abilities")
    kind = tree.text(component, "generate_type")
    if kind not in ("generate", "blend"):
        raise invalid("generate_type")
    ability = tree.identified(tree.mapping(abilities, kind), kind)
    core = tree.identified(tree.mapping(ability, "core_param"), "core_param")
    blend = kind == "blend"
    references = _inputs(world, account, ability) if blend else []
    size = tree.mapping(core, "large_image_info")
    return Order(
        kind="image",
        model=_model(core),
        prompt=_prompt(core, references),
        width=_side(size, "width"),
        height=_side(size, "height"),
        ratio=str(core.get("image_ratio", "")),
        resolution=_resolution(size),
        seed=tree.integer(core, "seed"),
        mode=kind,
        references=references,
        inputs=core,
    )


def _model(core: Json) -> str:
    key = tree.filled(core, "model")
    if key not in IMAGE_MODELS:
        raise invalid(f"model {key}")
    return key


def _prompt(core: Json, references: list[Reference]) -> str:
    """A blend's prompt begins with one `##` per image; old clients sent one in all."""
    prompt = tree.text(core, "prompt")
    if references and not prompt.startswith("##"):
        raise invalid("a blend's prompt begins with ##")
    words = prompt.lstrip("#").strip()
    if not words and not references:
        raise invalid("prompt is empty")
    return words


def _inputs(world: World, account: Account, ability: Json) -> list[Reference]:
    entries = tree.objects(ability, "ability_list")
    if not 1 <= len(entries) <= _MAX_INPUTS:
        raise invalid("ability_list")
    return [_input(world, account, entry) for entry in entries]


def _input(world: World, account: Account, entry: Json) -> Reference:
    tree.identified(entry, "ability")
    node = tree.one(entry, "image_list")
    if entry.get("image_uri_list") != [node.get("uri")]:
        raise invalid("image_uri_list differs from image_list")
    return materials.image(world, account, node)


def _side(size: Json, key: str) -> int:
    side = tree.integer(size, key)
    if not 0 < side <= _MAX_SIDE:
        raise invalid(key)
    return side


def _resolution(size: Json) -> str:
    resolution = tree.text(size, "resolution_type")
    if resolution not in _RESOLUTIONS:
        raise invalid("resolution_type")
    return resolution
