"""A job: what a caller asks for, fitted to its model and checked against it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from jimeng.account import Region
from jimeng.checking import check_choice, check_region, check_text, default
from jimeng.errors import InvalidJob
from jimeng.image_jobs import ImageJob, check_image, fit_image
from jimeng.materials import FileKind
from jimeng.models import find_model
from jimeng.prompts import segments
from jimeng.video_models import (
    DEFAULT_DURATION,
    DEFAULT_MODEL,
    DEFAULT_RATIO,
    DEFAULT_RESOLUTION,
    References,
    VideoModel,
)


class Mode(StrEnum):
    """How the files of a video job are used."""

    TEXT = "text"
    FIRST_FRAME = "first_frame"
    FIRST_LAST = "first_last"
    OMNI = "omni"


@dataclass(frozen=True, slots=True)
class VideoJob:
    """One video to make; `files` are the kinds of its files in their order.

    `seed` None lets the draft take one from its submit id.
    """

    model: VideoModel
    prompt: str
    duration: int
    ratio: str
    resolution: str
    mode: Mode
    files: tuple[FileKind, ...] = ()
    seed: int | None = None


Job = VideoJob | ImageJob


def fit(
    *,
    prompt: str,
    model: str | None = None,
    duration: int | None = None,
    ratio: str | None = None,
    resolution: str | None = None,
    function_mode: str | None = None,
    files: Sequence[FileKind] = (),
    seed: int | None = None,
    region: Region | None = None,
) -> Job:
    """A checked job, of its model's kind. What is None is filled from the model.

    The defaults are 4 s, 9:16 and 720p of a video, 1:1 and 2k of an image, or the
    nearest the model has; what the caller chose is never changed. Raises InvalidJob,
    which names the field.
    """
    found = find_model(DEFAULT_MODEL if model is None else model)
    job: Job
    if isinstance(found, VideoModel):
        job = VideoJob(
            model=found,
            prompt=prompt,
            duration=_duration(found) if duration is None else duration,
            ratio=default(DEFAULT_RATIO, found.ratios) if ratio is None else ratio,
            resolution=default(DEFAULT_RESOLUTION, found.resolutions)
            if resolution is None
            else resolution,
            mode=mode_of(found, function_mode, files),
            files=tuple(files),
            seed=seed,
        )
    else:
        _only_of_videos(duration, function_mode)
        job = fit_image(
            found,
            prompt=prompt,
            ratio=ratio,
            resolution=resolution,
            files=files,
            seed=seed,
        )
    check(job, region=region)
    return job


def _only_of_videos(duration: int | None, function_mode: str | None) -> None:
    if duration:
        raise InvalidJob("duration", "an image has no duration")
    if function_mode is not None:
        raise InvalidJob("function_mode", "is for videos: images start from images")


def _duration(model: VideoModel) -> int:
    return min(model.durations, key=lambda each: abs(each - DEFAULT_DURATION))


_FUNCTION_MODES = {
    "omni_reference": Mode.OMNI,
    "omnireference": Mode.OMNI,
    "omni": Mode.OMNI,
    "first_last_frames": Mode.FIRST_LAST,
    "first_last": Mode.FIRST_LAST,
    "first_frame": Mode.FIRST_FRAME,
    "text": Mode.TEXT,
    "text_to_video": Mode.TEXT,
}


def mode_of(
    model: VideoModel, function_mode: str | None, files: Sequence[FileKind]
) -> Mode:
    """How the files are used: as the caller says, else as the model would.

    Without a word from the caller, files of a model that takes references are
    references, and images of any other are the first and the last frame.
    `first_last_frames` with one image means the first frame.
    """
    if function_mode is None:
        if not files:
            return Mode.TEXT
        return Mode.OMNI if model.omni else _frames(files)
    mode = _FUNCTION_MODES.get(function_mode.strip().lower())
    if mode is None:
        raise InvalidJob("function_mode", f"unknown mode {function_mode[:100]!r}")
    if mode is not Mode.FIRST_LAST:
        return mode
    return _frames(files) if files else Mode.TEXT


def _frames(files: Sequence[FileKind]) -> Mode:
    return Mode.FIRST_FRAME if len(files) == 1 else Mode.FIRST_LAST


def check(job: Job, *, region: Region | None = None) -> None:
    """Hold a job against its model's table. Raises InvalidJob, nothing else."""
    if isinstance(job, ImageJob):
        check_image(job, region=region)
    else:
        _check_video(job, region)


def _check_video(job: VideoJob, region: Region | None) -> None:
    model = job.model
    check_region(model.name, model.regions, region)
    # True is no 1.
    length = job.duration if type(job.duration) is int else repr(job.duration)
    check_choice("duration", length, model.name, model.durations)
    check_choice("ratio", job.ratio, model.name, model.ratios)
    check_choice("resolution", job.resolution, model.name, model.resolutions)
    check_text(job.prompt, job.seed)
    if job.mode is Mode.TEXT and not job.prompt.strip():
        raise InvalidJob("prompt", "a video from text needs a prompt")
    segments(job.prompt, job.files)
    _check_files(job)


def _check_files(job: VideoJob) -> None:
    match job.mode:
        case Mode.TEXT:
            if job.files:
                raise InvalidJob("files", "a video from text takes no files")
        case Mode.OMNI:
            _check_references(job)
        case Mode.FIRST_FRAME | Mode.FIRST_LAST:
            _check_frames(job)


def _check_frames(job: VideoJob) -> None:
    wanted = 1 if job.mode is Mode.FIRST_FRAME else 2
    if set(job.files) != {"image"} or len(job.files) != wanted:
        text = "one image is the first frame, a second the last; no other files"
        raise InvalidJob("files", text)
    if wanted > job.model.frames:
        raise InvalidJob("files", f"{job.model.name} takes no last frame")


def _check_references(job: VideoJob) -> None:
    limits = job.model.omni
    if limits is None:
        raise InvalidJob("function_mode", f"{job.model.name} takes no references")
    count = Counter(job.files)
    if not count["image"] + count["video"]:
        raise InvalidJob("files", "references need at least one image or video")
    allowed: dict[FileKind, int] = {
        "image": limits.images,
        "video": limits.videos,
        "audio": limits.audios,
    }
    for kind, limit in allowed.items():
        if count[kind] > limit:
            raise InvalidJob("files", f"{job.model.name} takes {limit} {kind} files")
    if len(job.files) > limits.total:
        raise InvalidJob("files", f"{job.model.name} takes {limits.total} files")


def check_lengths(job: Job, lengths_ms: Sequence[int | None]) -> None:
    """Hold the lengths of a job's files against its model; None is not known.

    Callable once the files have been looked at, before anything is sent.
    """
    if isinstance(job, ImageJob) or job.mode is not Mode.OMNI or not job.model.omni:
        return
    known = [(k, ms) for k, ms in zip(job.files, lengths_ms, strict=True) if ms]
    videos = [ms for kind, ms in known if kind == "video"]
    audios = [ms for kind, ms in known if kind == "audio"]
    _check_lengths(job.model.omni, videos, audios)


def _check_lengths(limits: References, videos: list[int], audios: list[int]) -> None:
    shortest, longest = limits.audio_ms
    if any(ms > limits.video_ms for ms in videos):
        raise InvalidJob("files", f"a video is longer than {limits.video_ms} ms")
    if sum(videos) > limits.videos_ms:
        raise InvalidJob("files", f"videos together exceed {limits.videos_ms} ms")
    if any(not shortest <= ms <= longest for ms in audios):
        raise InvalidJob("files", f"an audio is not within {shortest}-{longest} ms")
