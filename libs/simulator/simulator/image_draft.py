"""Reads an image draft, text to image or a blend of images, into an order."""

from simulator import materials, tree
from simulator.catalogue import IMAGE_MODELS
from simulator.errors import invalid
from simulator.image_sizes import RATIOS, sizes
from simulator.records import Json, Order, Reference
from simulator.settings import Account
from simulator.world import World

_MAX_INPUTS = 10
_LEAST, _LEAST_BLEND = (3, 0, 2), (3, 2, 9)


def read(world: World, account: Account, draft: Json, component: Json) -> Order:
    """The order in an `image_base_component`."""
    abilities = tree.identified(tree.mapping(component, "abilities"), "abilities")
    kind = tree.text(component, "generate_type")
    if kind not in ("generate", "blend"):
        raise invalid("generate_type")
    ability = tree.identified(tree.mapping(abilities, kind), kind)
    core = tree.identified(tree.mapping(ability, "core_param"), "core_param")
    references = _inputs(world, account, ability) if kind == "blend" else []
    _check_versions(draft, ability, references)
    _check_option(abilities, ability)
    model = _model(core)
    width, height, ratio, resolution = _size(model, core)
    return Order(
        kind="image",
        model=model,
        prompt=_prompt(core, references),
        width=width,
        height=height,
        ratio=ratio,
        resolution=resolution,
        seed=_seed(core),
        mode=kind,
        references=references,
        inputs=core,
    )


def _check_versions(draft: Json, ability: Json, references: list[Reference]) -> None:
    """A blend needs a newer page than text does; one of several images says so too."""
    least = tree.version(draft, "min_version")
    if least < (_LEAST_BLEND if references else _LEAST):
        raise invalid("min_version")
    if least > tree.version(draft, "version"):
        raise invalid("min_version above version")
    several = len(references) > 1
    if several and tree.version(ability, "min_version") < _LEAST_BLEND:
        raise invalid("blend.min_version")


def _check_option(abilities: Json, ability: Json) -> None:
    """`gen_option` stands beside the ability; some clients put it inside."""
    holder = abilities if "gen_option" in abilities else ability
    option = tree.identified(tree.mapping(holder, "gen_option"), "gen_option")
    if option.get("generate_all") is not False:
        raise invalid("generate_all")


def _model(core: Json) -> str:
    key = tree.filled(core, "model")
    if key not in IMAGE_MODELS:
        raise invalid(f"model {key}")
    return key


def _prompt(core: Json, references: list[Reference]) -> str:
    """A blend's prompt begins with one `##` per image; old clients sent one in all."""
    prompt = tree.text(core, "prompt")
    tree.text(core, "negative_prompt")
    words = prompt.lstrip("#")
    marks = len(prompt) - len(words)
    if references and marks not in (2, 2 * len(references)):
        raise invalid("a blend's prompt begins with ## for each image")
    if not words.strip() and not references:
        raise invalid("prompt is empty")
    return words.strip()


def _inputs(world: World, account: Account, ability: Json) -> list[Reference]:
    entries = tree.objects(ability, "ability_list")
    if not 1 <= len(entries) <= _MAX_INPUTS:
        raise invalid("ability_list")
    places = tree.objects(ability, "prompt_placeholder_info_list")
    told = [
        tree.integer(tree.identified(one, "place"), "ability_index") for one in places
    ]
    if told != list(range(len(entries))):
        raise invalid("prompt_placeholder_info_list")
    tree.identified(tree.mapping(ability, "postedit_param"), "postedit_param")
    return [_input(world, account, entry) for entry in entries]


def _input(world: World, account: Account, entry: Json) -> Reference:
    tree.identified(entry, "ability")
    if entry.get("name") != "byte_edit":
        raise invalid("name of an ability")
    _check_strength(entry, "strength")
    node = tree.one(entry, "image_list")
    if entry.get("image_uri_list") != [node.get("uri")]:
        raise invalid("image_uri_list differs from image_list")
    return materials.image(world, account, node)


def _size(model: str, core: Json) -> tuple[int, int, str, str]:
    """Width, height, ratio and resolution, which must belong together."""
    _check_strength(core, "sample_strength")
    size = tree.identified(tree.mapping(core, "large_image_info"), "large_image_info")
    resolution = tree.text(size, "resolution_type")
    asked = tree.integer(size, "width"), tree.integer(size, "height")
    known = sizes(model, resolution)
    if asked not in known:
        raise invalid(f"large_image_info of {resolution}")
    ratio = RATIOS[known.index(asked)]
    if core.get("intelligent_ratio") is not True:
        code = tree.integer(core, "image_ratio")
        if code != RATIOS.index(ratio) + 1:
            raise invalid("image_ratio is not that of the size")
    return *asked, ratio, resolution


def _check_strength(node: Json, key: str) -> None:
    strength = node.get(key)
    if isinstance(strength, bool) or not isinstance(strength, int | float):
        raise invalid(f"{key} is not a number")
    if not 0 <= strength <= 1:
        raise invalid(key)


def _seed(core: Json) -> int:
    seed = tree.integer(core, "seed")
    if not 0 <= seed < 2**32:
        raise invalid("seed")
    return seed
