"""The video and image models the site knows, and what each of them accepts.

Facts are those of the site's own configuration and of published captures: keys,
durations, resolutions and benefit types, the site's billing keys.
"""

from collections.abc import Callable
from dataclasses import dataclass

RATIOS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
REGIONS = frozenset({"cn", "us", "hk", "jp", "sg"})
_CN = frozenset({"cn"})
_ASIA = REGIONS - {"us"}
_OVERSEAS = frozenset({"hk", "jp", "sg"})
_VGFM = "dreamina_ic_generate_video_model_vgfm"
_SHORT_SIDE = {"480p": 480, "720p": 720, "1080p": 1080, "4k": 2160}

Benefits = Callable[[str, bool, bool], frozenset[str]]


@dataclass(frozen=True)
class VideoModel:
    """What one video model accepts; `cost` is credits per second of output."""

    key: str
    durations: frozenset[int]
    resolutions: tuple[str, ...]
    benefits: Benefits
    regions: frozenset[str] = _CN
    cost: int = 6
    omni: bool = False
    end_frame: bool = False
    draft_version: str = "3.0.5"
    materials: tuple[int, int, int] = (9, 3, 3)


def _same(name: str) -> Benefits:
    return lambda _resolution, _omni, _video: frozenset({name})


def _by_resolution(pattern: str) -> Benefits:
    return lambda resolution, _omni, _video: frozenset({pattern.format(resolution)})


def _three(resolution: str, _omni: bool, _video: bool) -> frozenset[str]:  # noqa: FBT001
    suffix = "_1080" if resolution == "1080p" else ""
    return frozenset({f"basic_video_operation_vgfm_v_three{suffix}"})


def _three_pro(resolution: str, omni: bool, video: bool) -> frozenset[str]:  # noqa: FBT001
    """3.0 Pro was seen with its own key and with the plain 3.0 ones."""
    plain = frozenset({"basic_video_operation_vgfm_v_three"})
    own = frozenset({"basic_video_operation_vgfm_v_three_pro"})
    return own | plain | _three(resolution, omni, video)


def _with_video(plain: str, with_video: str, omni_key: str = "") -> Benefits:
    """A model whose billing key changes when a reference *video* goes in.

    One web form used a third key for every all-in-one reference: `omni_key`.
    """

    def benefits(_resolution: str, omni: bool, video: bool) -> frozenset[str]:  # noqa: FBT001
        keys = {with_video if video else plain}
        return frozenset(keys | {omni_key} if omni and omni_key else keys)

    return benefits


def _seedance_25(resolution: str, _omni: bool, video: bool) -> frozenset[str]:  # noqa: FBT001
    stem = f"seedance_25_{resolution}"
    plain = {f"{stem}_output"}
    return frozenset(plain if video else plain | {f"{stem}_no_input_video_output"})


def _span(first: int, last: int) -> frozenset[int]:
    return frozenset(range(first, last + 1))


_SEEDANCE_20 = {"durations": _span(4, 15), "omni": True, "end_frame": True}

_VIDEO_MODELS = [
    VideoModel(
        "dreamina_seedance_45_pro",
        _span(4, 30),
        ("480p", "720p", "1080p"),
        _seedance_25,
        cost=14,
        omni=True,
        end_frame=True,
        draft_version="3.3.28",
        materials=(30, 10, 10),
    ),
    VideoModel(
        "dreamina_seedance_45_pro_draft",
        frozenset({5}),
        ("480p",),
        _same("seedance_25_draft_480p_no_input_video_output"),
        cost=9,
        draft_version="3.3.28",
    ),
    VideoModel(
        "dreamina_seedance_40_pro_vision",
        resolutions=("720p", "1080p", "4k"),
        benefits=_by_resolution("seedance_20_pro_{}_output"),
        cost=14,
        **_SEEDANCE_20,  # type: ignore[arg-type]
    ),
    VideoModel(
        "dreamina_seedance_40_vision",
        resolutions=("720p",),
        benefits=_same("seedance_20_fast_720p_output"),
        **_SEEDANCE_20,  # type: ignore[arg-type]
    ),
    VideoModel(
        "dreamina_seedance_40_mini",
        resolutions=("720p",),
        benefits=_same("seedance_20_mini_720p_output"),
        cost=5,
        **_SEEDANCE_20,  # type: ignore[arg-type]
    ),
    VideoModel(
        "dreamina_seedance_40_pro",
        resolutions=("720p",),
        benefits=_with_video(
            "dreamina_video_seedance_20_pro",
            "dreamina_video_seedance_20_pro_with_video",
            "dreamina_video_seedance_20_video_add",
        ),
        cost=10,
        **_SEEDANCE_20,  # type: ignore[arg-type]
    ),
    VideoModel(
        "dreamina_seedance_40",
        resolutions=("720p",),
        benefits=_with_video(
            "dreamina_seedance_20_fast",
            "dreamina_seedance_20_fast_with_video",
            "dreamina_video_seedance_20_video_add",
        ),
        **_SEEDANCE_20,  # type: ignore[arg-type]
    ),
    VideoModel(
        "seedance_2_0_lite",
        resolutions=("720p",),
        benefits=_with_video("seedance_2_0_lite", "seedance_2_0_lite_with_video"),
        cost=4,
        **_SEEDANCE_20,  # type: ignore[arg-type]
    ),
    VideoModel(
        f"{_VGFM}_3.5_pro",
        _span(4, 12),
        ("720p", "1080p"),
        _same("dreamina_video_seedance_15_pro"),
        REGIONS,
        end_frame=True,
    ),
    VideoModel(f"{_VGFM}_3.0_pro", _span(3, 10), ("1080p",), _three_pro, _ASIA),
    VideoModel(
        f"{_VGFM}_3.0",
        frozenset({5, 10}),
        ("720p", "1080p"),
        _three,
        REGIONS,
        cost=2,
        end_frame=True,
    ),
    VideoModel(
        f"{_VGFM}_3.0_fast",
        frozenset({5, 10}),
        ("720p", "1080p"),
        _three,
        _ASIA,
        cost=1,
    ),
    VideoModel(f"{_VGFM}_lite", frozenset({5, 10}), ("720p",), _three, _ASIA, cost=1),
    VideoModel(
        "dreamina_ic_generate_video_model_vgfm1.0",
        frozenset({5, 10}),
        ("720p",),
        _three,
        _ASIA,
        cost=2,
        end_frame=True,
    ),
    VideoModel(
        "dreamina_veo3_generate_video",
        frozenset({8}),
        ("720p",),
        _same("generate_video_veo3"),
        _OVERSEAS,
    ),
    VideoModel(
        "dreamina_veo3.1_generate_video",
        frozenset({8}),
        ("720p",),
        _same("generate_video_veo3.1"),
        _OVERSEAS,
    ),
    VideoModel(
        "dreamina_sora2_generate_video",
        frozenset({4, 8, 12}),
        ("720p",),
        _same("generate_video_sora2"),
        _OVERSEAS,
    ),
]

VIDEO_MODELS = {model.key: model for model in _VIDEO_MODELS}

_IMAGE_KEYS = """
high_aes_general_v50p_large high_aes_general_v50 high_aes_general_v50_flash
high_aes_general_v43 high_aes_general_v42 high_aes_general_v40l high_aes_general_v41
high_aes_general_v40 high_aes_general_v30l_art_fangzhou:general_v3.0_18b
high_aes_general_v30l:general_v3.0_18b high_aes_general_v21_L:general_v2.1_L
high_aes_general_v20_L:general_v2.0_L high_aes_general_v20:general_v2.0
high_aes_general_v14:general_v1.4 text2img_xl_sft jm_image_model_yc_mj82
external_model_gemini_flash_image_v25 dreamina_image_lib_1
"""

IMAGE_MODELS = frozenset(_IMAGE_KEYS.split())
IMAGE_COST = 1
IMAGE_COUNT = 4
_ABROAD_ONLY = ("external_model_gemini_", "dreamina_image_lib_")


def image_regions(key: str) -> frozenset[str]:
    """Where an image model is offered; of most of them nothing is known but China."""
    return REGIONS - _CN if key.startswith(_ABROAD_ONLY) else REGIONS


def video_size(resolution: str, ratio: str) -> tuple[int, int]:
    """Width and height of the result: the short side is the resolution's number."""
    short = _SHORT_SIDE[resolution]
    across, down = (int(part) for part in ratio.split(":"))
    wide = round(short * max(across, down) / min(across, down) / 2) * 2
    return (wide, short) if across >= down else (short, wide)


def nearest_ratio(width: int, height: int) -> str:
    """The ratio of the list a first frame's own shape comes closest to."""

    def distance(ratio: str) -> float:
        across, down = (int(part) for part in ratio.split(":"))
        return abs(across / down - width / height)

    return min(RATIOS, key=distance)
