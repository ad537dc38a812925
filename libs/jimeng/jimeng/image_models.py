"""The image models: their names, what each allows, and the sizes of pictures."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from jimeng.account import Region

DEFAULT_IMAGE_MODEL = "jimeng-5.0"
DEFAULT_IMAGE_RATIO = "1:1"
DEFAULT_IMAGE_RESOLUTION = "2k"
PER_JOB = 4
"""How many pictures the site makes of one job; not all of them need to come out."""

RATIO_CODES = {
    "1:1": 1,
    "3:4": 2,
    "16:9": 3,
    "4:3": 4,
    "9:16": 5,
    "2:3": 6,
    "3:2": 7,
    "21:9": 8,
}
"""`image_ratio` in a draft."""

Size = tuple[int, int]
Sizes = dict[str, dict[str, Size]]

SIZES: Sizes = {
    "1k": {
        "1:1": (1024, 1024),
        "3:4": (768, 1024),
        "16:9": (1024, 576),
        "4:3": (1024, 768),
        "9:16": (576, 1024),
        "2:3": (682, 1024),
        "3:2": (1024, 682),
        "21:9": (1195, 512),
    },
    "2k": {
        "1:1": (2048, 2048),
        "3:4": (1728, 2304),
        "16:9": (2560, 1440),
        "4:3": (2304, 1728),
        "9:16": (1440, 2560),
        "2:3": (1664, 2496),
        "3:2": (2496, 1664),
        "21:9": (3024, 1296),
    },
    "4k": {
        "1:1": (4096, 4096),
        "3:4": (3456, 4608),
        "16:9": (5120, 2880),
        "4:3": (4608, 3456),
        "9:16": (2880, 5120),
        "2:3": (3328, 4992),
        "3:2": (4992, 3328),
        "21:9": (6048, 2592),
    },
}
"""Width and height by resolution and ratio: the 24 sizes clients know."""

# The newest models' own 4k, as the site's configuration has it (protocol 5.6).
_NEWEST_4K = {
    "1:1": (4096, 4096),
    "3:4": (3520, 4693),
    "16:9": (5404, 3040),
    "4:3": (4693, 3520),
    "9:16": (3040, 5404),
    "2:3": (3328, 4992),
    "3:2": (4992, 3328),
    "21:9": (6197, 2656),
}

_CN: tuple[Region, ...] = ("cn",)
_ABROAD: tuple[Region, ...] = ("us", "hk", "jp", "sg")
_ASIA: tuple[Region, ...] = ("hk", "jp", "sg")
_EVERYWHERE: tuple[Region, ...] = (*_CN, *_ABROAD)


@dataclass(frozen=True, slots=True)
class ImageModel:
    """One image model of the site. `references` is how many images it may start from.

    Every image submit is a plain request: the page's signature was never asked of one.
    """

    kind: ClassVar[Literal["image"]] = "image"
    in_page: ClassVar[bool] = False

    key: str
    names: tuple[str, ...]
    resolutions: tuple[str, ...]
    regions: tuple[Region, ...] = _CN
    references: int = 10
    newest: bool = False
    ratios: tuple[str, ...] = tuple(RATIO_CODES)
    draft_version: str = "3.3.9"

    @property
    def name(self) -> str:
        """Its first public name."""
        return self.names[0]

    def size(self, resolution: str, ratio: str) -> Size:
        """Width and height of its pictures."""
        own = _NEWEST_4K if self.newest and resolution == "4k" else SIZES[resolution]
        return own[ratio]


def shape_of(width: int, height: int) -> tuple[str, str] | None:
    """The resolution and ratio of a size, of those in use; None: it is none of them."""
    for resolution, sizes in (*SIZES.items(), ("4k", _NEWEST_4K)):
        for ratio, size in sizes.items():
            if size == (width, height):
                return resolution, ratio
    return None


_ALL_SIZES = ("1k", "2k", "4k")


def _general(
    version: str,
    *names: str,
    resolutions: tuple[str, ...] = _ALL_SIZES,
    regions: tuple[Region, ...] = _CN,
    references: int = 10,
    newest: bool = False,
) -> ImageModel:
    return ImageModel(
        key=f"high_aes_general_{version}",
        names=names,
        resolutions=resolutions,
        regions=regions,
        references=references,
        newest=newest,
    )


# What a model takes beyond its key is read from what clients of the site send: 4k and
# several references since 4.0, 2k and one reference since 3.0. Where nothing is known
# of a region, the model is not offered there. One model of another maker
# (jm_image_model_yc_mj82) is left out: its sizes are not known.
IMAGE_MODELS: tuple[ImageModel, ...] = (
    _general("v50", "jimeng-5.0", "jimeng-5.0-lite", "jimeng", newest=True),
    _general("v50p_large", "jimeng-5.0-pro", newest=True),
    _general("v50_flash", "jimeng-5.0-flash", newest=True),
    _general("v43", "jimeng-4.7"),
    _general("v42", "jimeng-4.6"),
    _general("v40l", "jimeng-4.5", regions=_EVERYWHERE),
    _general("v41", "jimeng-4.1", regions=_EVERYWHERE),
    _general("v40", "jimeng-4.0", regions=_EVERYWHERE),
    _general(
        "v30l_art_fangzhou:general_v3.0_18b",
        "jimeng-3.1",
        resolutions=("1k", "2k"),
        references=1,
    ),
    _general(
        "v30l:general_v3.0_18b",
        "jimeng-3.0",
        resolutions=("1k", "2k"),
        regions=_EVERYWHERE,
        references=1,
    ),
    _general("v21_L:general_v2.1_L", "jimeng-2.1", resolutions=("1k",), references=0),
    _general(
        "v20_L:general_v2.0_L", "jimeng-2.0-pro", resolutions=("1k",), references=0
    ),
    _general("v20:general_v2.0", "jimeng-2.0", resolutions=("1k",), references=0),
    _general("v14:general_v1.4", "jimeng-1.4", resolutions=("1k",), references=0),
    ImageModel(
        key="text2img_xl_sft",
        names=("jimeng-xl-pro",),
        resolutions=("1k",),
        references=0,
    ),
    ImageModel(
        key="external_model_gemini_flash_image_v25",
        names=("nanobanana",),
        resolutions=("1k",),
        regions=_ASIA,
    ),
    ImageModel(
        key="dreamina_image_lib_1",
        names=("nanobananapro",),
        resolutions=_ALL_SIZES,
        regions=_ABROAD,
        newest=True,
    ),
)
