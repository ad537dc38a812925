"""What the reference files are, and the job they make together with the wish."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import blobs
import media
from contracts.values import FileRef, Job, Kind
from gateway_http.problems import invalid_field
from gateway_http.wish import Wish
from jimeng import (
    DEFAULT_MODEL,
    InvalidJob,
    VideoJob,
    check_lengths,
    expected_credits,
    fit,
)
from media import Kind as FileKind


async def look_at(
    store: blobs.Store, key: str, name: str, written: blobs.Written, place: int
) -> FileRef:
    """Say what a stored file is, by its bytes. Raises Problem naming it."""
    if not written.size:
        raise invalid_field(f"files.{place}", "is empty")
    path = store.path(key)
    try:
        probed = await media.probe(path)
    except media.NotMediaError as error:
        # A decoder's words may name the file as it lies here.
        text = str(error).replace(repr(str(path)), "it").replace(str(path), "it")
        raise invalid_field(f"files.{place}", text) from None
    return FileRef(
        key=key,
        name=name,
        kind=probed.kind,
        mime=probed.mime,
        size=written.size,
        sha256=written.sha256,
        width=probed.width,
        height=probed.height,
        duration_ms=probed.duration_ms,
    )


def linked(key: str, name: str, url: str, mime: str) -> FileRef:
    """Name a file that is still to be fetched, and guess its kind.

    The guess serves to refuse at once what cannot be meant; the bytes decide later.
    """
    told = mime.partition("/")[0].strip().lower()
    guesses = (_KINDS.get(told), _kind_of(name), _kind_of(name_in(url)))
    kind = next(filter(None, guesses), "image")
    return FileRef(key=key, name=name, kind=kind, mime="", size=0, sha256="", url=url)


def name_in(url: str) -> str:
    """Return what a URL calls its file; empty: nothing."""
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _kind_of(name: str) -> FileKind | None:
    return _KINDS.get(name.rpartition(".")[2].lower())


_KINDS: dict[str, FileKind] = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    **dict.fromkeys(("png", "jpg", "jpeg", "webp", "gif", "bmp", "tiff"), "image"),
    **dict.fromkeys(("mp4", "mov", "m4v"), "video"),
    **dict.fromkeys(("mp3", "wav"), "audio"),
}


@dataclass(frozen=True)
class Order:
    """A job, what it makes, and whether it needs the site's own page."""

    job: Job
    kind: Kind
    in_page: bool


def cost_of(job: Job) -> int:
    """Return how many credits a job is expected to cost; 0: that is not known."""
    try:
        return expected_credits(job.model, job.duration)
    except InvalidJob:  # of another version
        return 0


def order_of(wish: Wish, files: list[FileRef]) -> Order:
    """Fit a wish to its model, which decides what is made.

    What the client chose is never changed. Raises Problem naming the field.
    """
    try:
        fitted = fit(
            prompt=wish.prompt,
            model=wish.model,
            duration=wish.duration,
            ratio=wish.ratio,
            resolution=wish.resolution,
            function_mode=wish.function_mode,
            files=[file.kind for file in files],
        )
        check_lengths(fitted, [file.duration_ms for file in files])
    except InvalidJob as error:
        raise invalid_field(error.field, error.text) from None
    job = Job(
        model=(wish.model or DEFAULT_MODEL).strip().lower(),
        prompt=wish.prompt,
        duration=fitted.duration if isinstance(fitted, VideoJob) else 0,
        ratio=fitted.ratio,
        resolution=fitted.resolution,
        function_mode=wish.function_mode,
        files=tuple(files),
    )
    return Order(job, fitted.model.kind, fitted.model.in_page)
