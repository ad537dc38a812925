"""The video models: their names, what each allows, and how each is billed."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from jimeng.account import Region

RATIOS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
DEFAULT_MODEL = "jimeng-video-seedance-2.0"
DEFAULT_DURATION = 4
DEFAULT_RATIO = "9:16"
DEFAULT_RESOLUTION = "720p"

_EVERYWHERE: tuple[Region, ...] = ("cn", "us", "hk", "jp", "sg")
_CN_AND_ASIA: tuple[Region, ...] = ("cn", "hk", "jp", "sg")
_ASIA: tuple[Region, ...] = ("hk", "jp", "sg")


@dataclass(frozen=True, slots=True)
class References:
    """How many files an omni job may have, and how long they may be.

    Lengths are in milliseconds: of one video, of all videos together, and of one
    audio file (shortest, longest).
    """

    images: int = 9
    videos: int = 3
    audios: int = 3
    total: int = 12
    video_ms: int = 15_000
    videos_ms: int = 15_000
    audio_ms: tuple[int, int] = (2_000, 15_000)


_SEEDANCE_2 = References()
_SEEDANCE_25 = References(
    images=30,
    videos=10,
    audios=10,
    total=50,
    video_ms=30_200,
    videos_ms=30_200,
    audio_ms=(0, 30_200),
)


@dataclass(frozen=True, slots=True)
class VideoModel:
    """One video model of the site.

    `frames` is how many frame images it takes (1 first, 2 first and last); `omni`
    its limits for references, None when it takes none. `benefit` is the billing key,
    where `{resolution}` stands for the resolution; `benefit_with_video` replaces it
    when a video is among the references, `benefit_1080p` at that resolution.
    `in_page` says that the submit must be made inside the site's own page.
    """

    kind: ClassVar[Literal["video"]] = "video"

    key: str
    names: tuple[str, ...]
    durations: tuple[int, ...]
    resolutions: tuple[str, ...]
    regions: tuple[Region, ...]
    benefit: str
    benefit_with_video: str | None = None
    benefit_1080p: str | None = None
    ratios: tuple[str, ...] = RATIOS
    frames: int = 1
    omni: References | None = None
    sends_resolution: bool = False
    draft_version: str = "3.3.9"
    min_version: str = "3.0.5"
    draft_mode: bool = False

    @property
    def name(self) -> str:
        """Its first public name."""
        return self.names[0]

    @property
    def in_page(self) -> bool:
        """Must be submitted inside the page, whose script signs the request."""
        return self.key.startswith("dreamina_seedance_")

    def benefit_type(self, resolution: str, *, has_video: bool = False) -> str:
        """The billing key; one that does not fit the model is refused as 5001."""
        key = self.benefit
        if has_video and self.benefit_with_video:
            key = self.benefit_with_video
        elif resolution == "1080p" and self.benefit_1080p:
            key = self.benefit_1080p
        return key.format(resolution=resolution)


def _seedance(
    key: str,
    *names: str,
    benefit: str,
    with_video: str | None = None,
    resolutions: tuple[str, ...] = ("720p",),
    sends_resolution: bool = False,
) -> VideoModel:
    return VideoModel(
        key=key,
        names=names,
        durations=tuple(range(4, 16)),
        resolutions=resolutions,
        regions=("cn",),
        benefit=benefit,
        benefit_with_video=with_video,
        frames=2,
        omni=_SEEDANCE_2,
        sends_resolution=sends_resolution,
    )


def _vgfm(
    version: str,
    *names: str,
    durations: tuple[int, ...] = (5, 10),
    resolutions: tuple[str, ...] = ("720p",),
    regions: tuple[Region, ...] = _CN_AND_ASIA,
    benefit: str = "basic_video_operation_vgfm_v_three",
    frames: int = 1,
) -> VideoModel:
    three = benefit == "basic_video_operation_vgfm_v_three"
    return VideoModel(
        key=f"dreamina_ic_generate_video_model_vgfm{version}",
        names=names,
        durations=durations,
        resolutions=resolutions,
        regions=regions,
        benefit=benefit,
        benefit_1080p=f"{benefit}_1080" if three else None,
        frames=frames,
        sends_resolution=len(resolutions) > 1,
    )


def _foreign(short: str, *names: str, durations: tuple[int, ...]) -> VideoModel:
    return VideoModel(
        key=f"dreamina_{short}_generate_video",
        names=names,
        durations=durations,
        resolutions=("720p",),
        regions=_ASIA,
        benefit=f"generate_video_{short}",
    )


# The site lists further models of other makers (minimax, happyhorse, wan); their
# durations and billing keys are not known, so they cannot be submitted.
VIDEO_MODELS: tuple[VideoModel, ...] = (
    _seedance(
        "dreamina_seedance_40_pro",
        "jimeng-video-seedance-2.0",
        "seedance-2.0",
        "seedance-2.0-pro",
        "jimeng-video-seedance-2.0-pro",
        benefit="dreamina_video_seedance_20_pro",
        with_video="dreamina_video_seedance_20_pro_with_video",
    ),
    _seedance(
        "dreamina_seedance_40",
        "jimeng-video-seedance-2.0-fast",
        "seedance-2.0-fast",
        benefit="dreamina_seedance_20_fast",
        with_video="dreamina_seedance_20_fast_with_video",
    ),
    _seedance(
        "dreamina_seedance_40_mini",
        "jimeng-video-seedance-2.0-mini",
        "seedance-2.0-mini",
        benefit="seedance_20_mini_720p_output",
    ),
    _seedance(
        "dreamina_seedance_40_pro_vision",
        "jimeng-video-seedance-2.0-vip",
        "seedance-2.0-vip",
        benefit="seedance_20_pro_{resolution}_output",
        resolutions=("720p", "1080p", "4k"),
        sends_resolution=True,
    ),
    _seedance(
        "dreamina_seedance_40_vision",
        "jimeng-video-seedance-2.0-fast-vip",
        "seedance-2.0-fast-vip",
        benefit="seedance_20_fast_720p_output",
        sends_resolution=True,
    ),
    _seedance(
        "seedance_2_0_lite",
        "jimeng-video-seedance-2.0-lite",
        "seedance-2.0-lite",
        "seedance-1-lite",
        benefit="seedance_2_0_lite",
        with_video="seedance_2_0_lite_with_video",
    ),
    VideoModel(
        key="dreamina_seedance_45_pro",
        names=("jimeng-video-seedance-2.5", "seedance-2.5"),
        durations=tuple(range(4, 31)),
        resolutions=("480p", "720p", "1080p"),
        regions=("cn",),
        benefit="seedance_25_{resolution}_output",
        frames=2,
        omni=_SEEDANCE_25,
        sends_resolution=True,
        draft_version="3.3.28",
        min_version="3.3.28",
    ),
    VideoModel(
        key="dreamina_seedance_45_pro_draft",
        names=("jimeng-video-seedance-2.5-draft", "seedance-2.5-draft"),
        durations=(5,),
        resolutions=("480p",),
        regions=("cn",),
        benefit="seedance_25_draft_480p_no_input_video_output",
        sends_resolution=True,
        draft_version="3.3.28",
        min_version="3.3.28",
        draft_mode=True,
    ),
    _vgfm(
        "_3.5_pro",
        "jimeng-video-3.5-pro",
        "seedance-1.5-pro",
        durations=(5, 10, 12),
        regions=_EVERYWHERE,
        benefit="dreamina_video_seedance_15_pro",
        frames=2,
    ),
    _vgfm(
        "_3.0_pro",
        "jimeng-video-3.0-pro",
        resolutions=("1080p",),
        benefit="basic_video_operation_vgfm_v_three_pro",
    ),
    _vgfm(
        "_3.0",
        "jimeng-video-3.0",
        resolutions=("720p", "1080p"),
        regions=_EVERYWHERE,
        frames=2,
    ),
    _vgfm("_3.0_fast", "jimeng-video-3.0-fast", resolutions=("720p", "1080p")),
    _vgfm("_lite", "jimeng-video-2.0", "jimeng-video-s2.0"),
    _vgfm("1.0", "jimeng-video-2.0-pro", frames=2),
    _foreign("veo3", "jimeng-video-veo3", "veo3", durations=(8,)),
    _foreign("veo3.1", "jimeng-video-veo3.1", "veo3.1", durations=(8,)),
    _foreign("sora2", "jimeng-video-sora2", "sora2", durations=(4, 8, 12)),
)
